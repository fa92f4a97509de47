//! `faultline compile`.

mod heading;
mod numbers;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use faultline_api::{
    Code, Diagnostic, Experiment,
    decode::{Content, Document, FileDocuments, decode},
};
use faultline_ebpf::{
    asm::{AsmError, Program},
    codegen::{Hook, chain_entry, chain_exit, gate},
    facts::{Facts, TargetFacts},
};
use serde::Serialize;

use super::{
    CliError, Outcome,
    explain::Name,
    kernel::{Chain, Kernel},
    output::{Format, print},
    validate::{Found, found},
};
use crate::{bounded::read_at_most, source::Limits};
use heading::Heading;
use numbers::{ADDRESS, Numbers};

/// What an agent counts its attachments with; programs carry it.
const GENERATION: u64 = 0;

/// Print the kernel programs of experiments, as an agent would load them on the kernel with these types
///
/// What differs between experiments on the same functions (probability, times, duration, containers, the order of the
/// chain) is data that the programs read, and no part of them. Whether a kernel accepts a program, only a node with that
/// kernel can say. docs/performance.md of the source holds what the verifier walked for the examples on real kernels.
///
/// Exit codes: 0 fine; 1 a file is wrong or does not fit the kernel, or has no such experiment; 2 usage, or something
/// cannot be read.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline compile experiments/mount-enomem.yaml --btf /sys/kernel/btf/vmlinux
  faultline compile experiments/*.yaml --btf vmlinux.btf --experiment chaos-testing/mount-enomem
  faultline compile experiments/mount-enomem.yaml --btf vmlinux.btf --mechanism kprobe
  faultline compile experiments/mount-enomem.yaml --btf vmlinux.btf -o json")]
pub(super) struct Compile {
    /// Files with experiments
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The types of the kernel to compile for: a copy of its /sys/kernel/btf/vmlinux; with functions of modules, copies
    /// of theirs too, each under its module's name
    #[arg(long, required = true, value_name = "FILE")]
    btf: Vec<PathBuf>,
    /// Only this one, as NAMESPACE/NAME
    #[arg(long, value_name = "NAMESPACE/NAME")]
    experiment: Option<Name>,
    /// How the programs are attached: only a node with that kernel can say how they will be
    #[arg(long, value_enum, default_value_t)]
    mechanism: Mechanism,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// How programs are attached to functions of the kernel itself. On those of modules, agents put kprobes in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Mechanism {
    /// `fmod_ret`, fentry and fexit, which an agent tries first
    #[default]
    Trampoline,
    /// A kprobe that overrides, kprobes and kretprobes, which it takes where the kernel refuses a trampoline
    Kprobe,
}

/// What came of the files.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Compiled {
    experiments: Vec<Listed>,
    findings: Vec<Found>,
    /// Files that could not be read, with the reason.
    unreadable: BTreeMap<String, String>,
    #[serde(skip)]
    rendered: String,
}

/// An experiment's programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    experiment: String,
    file: String,
    line: u32,
    #[serde(flatten)]
    heading: Heading,
    programs: Vec<Listing>,
}

/// One program.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    name: String,
    attach: String,
    instructions: usize,
    listing: String,
}

impl Compile {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { files, btf, experiment, mechanism, output } = self;
        let kernel = Kernel::read(&btf)?;
        let path = btf.into_iter().next().unwrap_or_default();
        let facts = kernel.facts().map_err(|missing| CliError::NoPrograms { path, missing })?;
        let compiler = Compiler { kernel, facts, mechanism, only: experiment };
        let mut compiled = Compiled::default();
        for path in &files {
            match read(path) {
                Ok(content) => compiler.file(path, &content, &mut compiled),
                Err(why) => drop(compiled.unreadable.insert(path.display().to_string(), why)),
            }
        }
        // Where there is nothing to show, the reason is all there is to say.
        if !compiled.experiments.is_empty() || !compiled.findings.is_empty() {
            print(&compiled, output, Compiled::text)?;
        }
        if !compiled.unreadable.is_empty() {
            return Err(CliError::Unreadable(compiled.unreadable));
        }
        match compiled.findings.iter().any(Found::is_error) {
            true => Ok(Outcome::Found),
            false if compiled.experiments.is_empty() => Err(CliError::NoExperiment(compiler.only)),
            false => Ok(Outcome::Fine),
        }
    }
}

impl Compiled {
    fn text(&self) -> String {
        let listed = self.experiments.iter().map(Listed::text).collect::<Vec<_>>();
        self.rendered.clone() + &listed.join("\n")
    }
}

impl Listed {
    fn text(&self) -> String {
        let programs = self.programs.iter().map(|program| format!("\n{}", program.listing));
        let place = format!("{}:{}", self.file, self.line);
        self.heading.text(&self.experiment, &place, &self.programs) + &programs.collect::<String>()
    }
}

/// What files are compiled with.
struct Compiler {
    kernel: Kernel,
    facts: Facts,
    mechanism: Mechanism,
    only: Option<Name>,
}

impl Compiler {
    /// Nothing is listed of a file that has errors.
    fn file(&self, path: &Path, content: &[u8], compiled: &mut Compiled) {
        let path = path.display().to_string();
        let FileDocuments { documents, mut diagnostics } = decode(content);
        let mut listed = Vec::new();
        for document in &documents {
            let Content::Experiment(experiment) = &document.content else { continue };
            if self.only.as_ref().is_some_and(|only| !only.is(&experiment.id)) {
                continue;
            }
            match self.experiment(document, experiment, &path) {
                Ok(experiment) => listed.push(experiment),
                Err(problems) => diagnostics.extend(problems),
            }
        }
        if !diagnostics.iter().any(Diagnostic::is_error) {
            compiled.experiments.extend(listed);
        }
        compiled.rendered += &faultline_api::render(&diagnostics, &path, content, true);
        compiled.findings.extend(diagnostics.into_iter().map(|diagnostic| found(&path, content, diagnostic)));
    }

    fn experiment(
        &self,
        document: &Document,
        experiment: &Experiment,
        path: &str,
    ) -> Result<Listed, Vec<Diagnostic>> {
        let chain = self.kernel.resolve(document, experiment)?;
        let numbers = Numbers::of(experiment, &chain, self.mechanism);
        let beyond = self.beyond_registers(document, &chain);
        if !beyond.is_empty() {
            return Err(beyond);
        }
        let too_long = |error: AsmError| {
            let message = format!("its predicates are too long for one program: {error}");
            vec![Diagnostic::error(Code::InvalidPredicate, document.span, message)]
        };
        let programs = self.programs(&chain, &numbers).map_err(too_long)?;
        Ok(Listed {
            experiment: experiment.id.to_string(),
            file: path.to_owned(),
            line: document.line,
            heading: Heading::of(experiment, &chain, &numbers, self.mechanism),
            programs: programs.iter().map(listing).collect(),
        })
    }

    /// What kprobes cannot evaluate.
    fn beyond_registers(&self, document: &Document, chain: &Chain) -> Vec<Diagnostic> {
        if self.mechanism == Mechanism::Trampoline {
            return Vec::new();
        }
        let frames = document.frames.iter().zip(&chain.frames);
        frames.filter_map(|(place, frame)| self.kernel.beyond_registers(place, frame)).collect()
    }

    /// Those of each function on the way, that at its exit first, and then the gate: the order in which they are
    /// attached.
    fn programs(&self, chain: &Chain, numbers: &Numbers<'_>) -> Result<Vec<Program>, AsmError> {
        let mut programs = Vec::new();
        for (function, predicates) in numbers.functions() {
            programs.push(chain_exit(&self.facts, &function)?);
            programs.push(chain_entry(&self.facts, &function, &predicates, GENERATION)?);
        }
        let target = match self.mechanism {
            Mechanism::Trampoline => chain.target,
            Mechanism::Kprobe => TargetFacts { hook: Hook::Kprobe { address: ADDRESS }, ..chain.target },
        };
        programs.push(gate(&self.facts, &target, &numbers.of_target(), GENERATION)?);
        Ok(programs)
    }
}

fn listing(program: &Program) -> Listing {
    Listing {
        name: program.name.clone(),
        attach: program.attach.to_string(),
        instructions: program.len(),
        listing: program.listing(),
    }
}

/// Bounded as a file of a source is.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let limit = Limits::default().document_bytes;
    let content = File::open(path).and_then(|file| read_at_most(file, limit));
    let content = content.map_err(|error| error.to_string())?;
    content.ok_or_else(|| format!("it is larger than {limit} bytes"))
}
