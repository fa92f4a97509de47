//! `faultline preflight`.

mod report;

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use faultline_api::{
    Diagnostic, Experiment,
    decode::{Content, decode},
};
use faultline_node_agent::{
    DEFAULT_BPFFS,
    kernel::{EngineConfig, rehearse},
};

use super::{
    CliError, Outcome,
    compile::read,
    output::{Format, print},
    validate::{Found, found},
};
use report::{Report, Told};

/// Say what this machine's kernel can inject, and what would come of experiments on it
///
/// Each answer comes from an attempt and not from the kernel's configuration: programs are attached for a moment,
/// disarmed, and calls are counted while this process does what has to make them. With files, the same is done with the
/// call chain and the predicates of each experiment. Nothing is injected, and nothing stays attached. It takes root, or
/// CAP_BPF, CAP_PERFMON and CAP_SYSLOG.
///
/// As JSON: `kernel` (what nodes report, and an inventory carries: `release`, `machine`, a verdict for each of its
/// `faults`, and where there are any `obstacles`, what keeps any agent from injecting here, `untried`, faults whose
/// function nobody was seen to call, with why, and `caveats`, rules of containment that hold in part only), `lockdown`,
/// `cgroup2`, `others` (faults whose function carries programs of others, with which), and of each file's `experiments`
/// its `usable` and `reasons`, and for each of its `frames` and the `target` the `function` as written, the kernel's
/// `symbol`, the `mechanism` by which programs were attached, the `others` that are on it too, and the `problem`;
/// `findings` are errors in the files.
///
/// Exit codes: 0 it can be injected: at least one fault, or every experiment of the files; 1 it cannot, or a file is
/// wrong; 2 it cannot be told: rights are missing, or a file cannot be read.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline preflight
  faultline preflight -o json
  faultline preflight experiments/*.yaml
  faultline preflight -o json | jq .kernel            # for this node's entry in an inventory")]
pub(super) struct Preflight {
    /// Files with experiments
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A bpf file system
    #[arg(long, value_name = "DIR", default_value = DEFAULT_BPFFS)]
    bpffs: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Preflight {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { files, bpffs, output } = self;
        let read = Files::read(&files);
        // A directory of its own: a running agent's budgets are not touched.
        let pins = bpffs.join("faultline-preflight");
        let chain = |asked: &Asked| (asked.experiment.fault.into(), asked.experiment.call_chain.clone());
        let wanted: Vec<_> = read.asked.iter().map(chain).collect();
        let config = EngineConfig { pins, ..EngineConfig::default() };
        let (preflight, rehearsals) = rehearse(&config, &wanted);
        let told = read.asked.iter().zip(&rehearsals).map(|(asked, rehearsal)| Told::of(asked, rehearsal));
        let report = Report::new(&preflight, told.collect(), read.findings, read.rendered);
        print(&report, output, Report::text)?;
        if !read.unreadable.is_empty() {
            return Err(CliError::Unreadable(read.unreadable));
        }
        let nothing_to_judge = !files.is_empty() && read.asked.is_empty();
        match report.can() {
            _ if !preflight.could_tell() => Ok(Outcome::Undecided),
            _ if report.is_wrong() => Ok(Outcome::Found),
            _ if nothing_to_judge => Err(CliError::NoExperiment(None)),
            true => Ok(Outcome::Fine),
            false => Ok(Outcome::Found),
        }
    }
}

/// An experiment of a file.
pub(super) struct Asked {
    experiment: Experiment,
    file: String,
    line: u32,
}

/// What the files say.
#[derive(Default)]
struct Files {
    asked: Vec<Asked>,
    findings: Vec<Found>,
    rendered: String,
    unreadable: BTreeMap<String, String>,
}

impl Files {
    fn read(paths: &[PathBuf]) -> Self {
        let mut files = Self::default();
        for path in paths {
            match read(path) {
                Ok(content) => files.decode(&path.display().to_string(), &content),
                Err(why) => drop(files.unreadable.insert(path.display().to_string(), why)),
            }
        }
        files
    }

    /// Nothing is asked about a file that has errors.
    fn decode(&mut self, path: &str, content: &[u8]) {
        let decoded = decode(content);
        self.rendered += &faultline_api::render(&decoded.diagnostics, path, content, true);
        if !decoded.diagnostics.iter().any(Diagnostic::is_error) {
            self.asked.extend(decoded.documents.into_iter().filter_map(|document| match document.content {
                Content::Experiment(experiment) => {
                    Some(Asked { experiment: *experiment, file: path.to_owned(), line: document.line })
                }
                _ => None,
            }));
        }
        let findings = decoded.diagnostics.into_iter().map(|diagnostic| found(path, content, diagnostic));
        self.findings.extend(findings);
    }
}
