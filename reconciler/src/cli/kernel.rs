//! `--btf`: what an experiment is on a kernel: whether that has its functions, and whether their predicates fit.

use std::{fs::File, path::Path};

use faultline_api::{
    Code, Diagnostic, Experiment, Fault, Span,
    decode::{Content, Document, FramePlace, PredicatePlace},
};
use faultline_ebpf::{
    Target,
    btf::{Btf, Kind},
    facts::{Facts, MissingFact, TargetFacts},
    predicate::{self, Function, Ir, Problems},
    symbol::{self, Symbol},
};

use super::CliError;
use crate::bounded::read_at_most;

/// Largest description of a kernel's types, in bytes. Those of distributions have 4 to 10 MiB.
const MAX_BTF_BYTES: u64 = 128 << 20;

/// The types of a kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    btf: Btf,
}

impl Kernel {
    /// Reads them from a file.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let failed = |source| CliError::Read { path: path.to_owned(), source };
        let refused = |why: &str| CliError::Btf { path: path.to_owned(), why: why.to_owned() };
        let bytes = File::open(path).and_then(|file| read_at_most(file, MAX_BTF_BYTES)).map_err(failed)?;
        let bytes = bytes.ok_or_else(|| refused(&format!("it is larger than {MAX_BTF_BYTES} bytes")))?;
        if bytes.starts_with(b"\x7fELF") {
            let why = "it is an ELF file; copy /sys/kernel/btf/vmlinux, or take the section out of it with `objcopy \
                       --dump-section .BTF=vmlinux.btf vmlinux /dev/null`";
            return Err(refused(why));
        }
        let btf = Btf::parse(bytes).map_err(|error| refused(&error.to_string()))?;
        if btf.find(Kind::Struct, "task_struct").is_none() {
            return Err(refused("it has no task_struct, so it may be that of a module or a program"));
        }
        Ok(Self { btf })
    }

    /// What every program must know of the kernel.
    pub(super) fn facts(&self) -> Result<Facts, MissingFact> {
        Facts::from_btf(&self.btf)
    }

    /// What is wrong with a document on this kernel.
    pub(super) fn problems(&self, document: &Document) -> Vec<Diagnostic> {
        match &document.content {
            Content::Experiment(experiment) => self.resolve(document, experiment).err().unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// What the functions and predicates of an experiment are on this kernel; else everything that is wrong there.
    pub(super) fn resolve(
        &self,
        document: &Document,
        experiment: &Experiment,
    ) -> Result<Chain, Vec<Diagnostic>> {
        let on_the_way = experiment.call_chain.frames.len();
        let (on_the_way, of_target) = document.frames.split_at(on_the_way.min(document.frames.len()));
        let of_target = of_target.first();
        let mut problems = Vec::new();
        let frames = on_the_way.iter().filter_map(|frame| kept(self.frame(frame), &mut problems)).collect();
        let place = of_target.map_or(document.span, |frame| frame.span);
        let target = TargetFacts::from_btf(&self.btf, target(experiment.fault));
        let target = target.map_err(|missing| vec![not_injectable(place, experiment.fault, &missing)]);
        let target = kept(target, &mut problems);
        let predicate = target.zip(of_target.and_then(|frame| frame.predicate.as_ref()));
        let condition = predicate.and_then(|(target, place)| {
            let function = Function { btf: &self.btf, id: target.btf_id, is_syscall: false };
            kept(condition(function, place), &mut problems)
        });
        match target {
            Some(target) if problems.is_empty() => Ok(Chain { frames, target, condition }),
            _ => Err(problems),
        }
    }

    fn frame(&self, frame: &FramePlace) -> Result<Resolved, Vec<Diagnostic>> {
        let symbol = symbol::find(&self.btf, &frame.function);
        let symbol = symbol.map_err(|nearest| vec![unknown(frame, &nearest)])?;
        let is_syscall = symbol::is_syscall(&symbol.name);
        let function = Function { btf: &self.btf, id: symbol.id, is_syscall };
        let condition = frame.predicate.as_ref().map(|place| condition(function, place)).transpose()?;
        Ok(Resolved { symbol, condition })
    }
}

/// A call chain on one kernel.
#[derive(Debug)]
pub(super) struct Chain {
    /// The functions on the way, outermost first.
    pub(super) frames: Vec<Resolved>,
    /// The one that fails.
    pub(super) target: TargetFacts,
    /// What must hold at its entry.
    pub(super) condition: Option<Ir>,
}

/// A frame on one kernel.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Its function.
    pub(super) symbol: Symbol,
    /// What must hold at its entry.
    pub(super) condition: Option<Ir>,
}

/// The value; what is wrong instead goes to the other problems.
fn kept<T>(result: Result<T, Vec<Diagnostic>>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    result.map_err(|more| problems.extend(more)).ok()
}

fn condition(function: Function<'_>, place: &PredicatePlace) -> Result<Ir, Vec<Diagnostic>> {
    predicate::read(function, &place.predicate).map_err(|problems| match problems {
        Problems::Parameters(problems) => {
            problems.into_iter().map(|problem| place.of_parameters(problem)).collect()
        }
        Problems::Predicate(problems) => problems.into_iter().map(|problem| place.of_text(problem)).collect(),
    })
}

/// The target function of a fault, as the compiler knows it.
const fn target(fault: Fault) -> Target {
    match fault {
        Fault::Slab => Target::Slab,
        Fault::Page => Target::Page,
        Fault::Bio => Target::Bio,
    }
}

fn not_injectable(place: Span, fault: Fault, missing: &MissingFact) -> Diagnostic {
    let function = fault.target_function();
    let message = format!("on this kernel `{function}` cannot be made to fail: it has {missing}");
    let diagnostic = Diagnostic::error(Code::UnknownFunction, place, message);
    let option = match fault {
        Fault::Slab => "CONFIG_FAILSLAB",
        Fault::Page => "CONFIG_FAIL_PAGE_ALLOC",
        Fault::Bio => return diagnostic,
    };
    diagnostic.help(format!("from Linux 6.11 on, kernels have this function only with {option}"))
}

fn unknown(frame: &FramePlace, nearest: &[String]) -> Diagnostic {
    let message = format!("this kernel has no function `{}` that could be traced", frame.function);
    let help = match nearest {
        [] => "it may be inlined, or in a module: those have types of their own".to_owned(),
        names => format!("did you mean `{}`?", names.join("`, or `")),
    };
    Diagnostic::error(Code::UnknownFunction, frame.span, message).help(help)
}
