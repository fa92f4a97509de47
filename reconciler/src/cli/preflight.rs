//! `faultline preflight`.

use std::path::PathBuf;

use clap::Args;
use faultline_core::inventory::{Injectability, KernelReport};
use faultline_node_agent::{
    DEFAULT_BPFFS,
    kernel::{EngineConfig, preflight},
    kernel_report,
};

use super::{
    CliError, Outcome,
    output::{Format, print},
};

/// Say which faults this machine's kernel can inject, and what the others lack
///
/// Each answer is confirmed by attaching for a moment, disarmed, which takes root or CAP_BPF and CAP_PERFMON.
///
/// Exit codes: 0 at least one fault can be injected; 1 none can.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline preflight
  faultline preflight -o json")]
pub(super) struct Preflight {
    /// A bpf file system
    #[arg(long, value_name = "DIR", default_value = DEFAULT_BPFFS)]
    bpffs: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Preflight {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        // A directory of its own: a running agent's budgets are not touched.
        let pins = self.bpffs.join("faultline-preflight");
        let report = kernel_report(&preflight(&EngineConfig { pins, ..EngineConfig::default() }));
        print(&report, self.output, text)?;
        let can = report.faults.values().any(|can| matches!(can, Injectability::Yes { .. }));
        Ok(if can { Outcome::Fine } else { Outcome::Found })
    }
}

fn text(report: &KernelReport) -> String {
    let KernelReport { release, machine, faults } = report;
    let lines = faults.iter().map(|(fault, can)| {
        let name = format!("{fault:?}").to_lowercase();
        let answer = match can {
            Injectability::Yes { mechanism } => format!("yes, by {mechanism}"),
            Injectability::No { reason } => format!("no: {reason}"),
        };
        format!("  {name:<5} (failtype {}, {}): {answer}\n", fault.failtype(), fault.target_function())
    });
    format!("kernel {release} {machine}\n") + &lines.collect::<String>()
}
