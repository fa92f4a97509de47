//! `lab performance`: runs the benchmark of the engine on each kernel and writes what it prints into one file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use clap::Args;

use super::{CliError, Context};
use crate::artifacts;
use crate::bcc;
use crate::kernel::KernelId;

/// Below the checkout.
const FILE: &str = "docs/performance.md";

/// What stands before all sections.
const PREAMBLE: &str = include_str!("performance.md");

/// Enough for bcc, which takes 160 MiB.
const MEMORY_MIB: &str = "2048";

/// Counting, on two busy cores.
const TIMEOUT_S: &str = "3600";

/// The kernels that inject everything.
const MEASURED: [KernelId; 2] = [KernelId::V6_1, KernelId::V6_12];

/// The kernel on which bcc's inject is held against ours: no other fits both.
const BESIDE_BCC: KernelId = KernelId::V6_1;

#[derive(Debug, Args)]
pub(super) struct Performance {
    /// Only this kernel; the sections of others stay as they are
    #[arg(long, short, value_name = "KERNEL", conflicts_with = "bcc")]
    kernel: Vec<KernelId>,
    /// Instead, hold it against bcc's inject, in a root file system with Debian's bcc that is made and cached
    #[arg(long)]
    bcc: bool,
    /// Build as a release is: slower to build, and fewer instructions in user space. What runs in the kernel is the same
    #[arg(long)]
    release: bool,
}

impl Performance {
    pub(super) fn execute(self, context: &Context) -> Result<u8, CliError> {
        let path = artifacts::workspace().join(FILE);
        let mut file = File::parse(&fs::read_to_string(&path).unwrap_or_default());
        if self.bcc {
            let disk = bcc::disk(&BESIDE_BCC, &context.cache, &context.progress)?;
            let section = measure(&BESIDE_BCC, self.release, Some(disk))?;
            file.sections.insert(Section::Bcc, section);
        } else {
            let all = MEASURED.into();
            for id in if self.kernel.is_empty() { all } else { self.kernel } {
                file.sections.insert(Section::Kernel(id.to_string()), measure(&id, self.release, None)?);
            }
        }
        fs::write(&path, file.render())?;
        context.progress.note(&format!("wrote {}", path.display()));
        Ok(0)
    }
}

/// What the benchmark prints, in a boot of its own.
fn measure(id: &KernelId, release: bool, bcc: Option<PathBuf>) -> Result<String, CliError> {
    let mut lab = Command::new(env::current_exe()?);
    lab.args(["bench", "--package", "faultline-node-agent", "--bench", "performance", "--bin", "none"]);
    lab.args(["--memory", MEMORY_MIB, "--timeout", TIMEOUT_S]);
    lab.args(["--kernel", &id.to_string()]).args((!release).then_some("--dev"));
    if let Some(disk) = bcc {
        lab.arg("--disk").arg(disk).args(["--", "bcc"]);
    }
    let output = lab.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(CliError::NotMeasured(id.to_string(), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// In the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Kernel(String),
    Bcc,
}

impl Section {
    const BCC: &str = "Beside bcc";

    fn of(heading: &str) -> Self {
        match heading {
            Self::BCC => Self::Bcc,
            heading => Self::Kernel(heading.trim_start_matches("Linux ").to_owned()),
        }
    }

    fn heading(&self) -> String {
        match self {
            Self::Kernel(id) => format!("Linux {id}"),
            Self::Bcc => Self::BCC.to_owned(),
        }
    }
}

/// The file: sections that the benchmark printed, each replaced by itself.
#[derive(Debug, Default)]
struct File {
    sections: BTreeMap<Section, String>,
}

impl File {
    fn parse(text: &str) -> Self {
        let sections = text.split("\n## ").skip(1).filter_map(|section| section.split_once('\n'));
        Self {
            sections: sections
                .map(|(heading, body)| (Section::of(heading), body.trim().to_owned()))
                .collect(),
        }
    }

    fn render(&self) -> String {
        let section =
            |(section, body): (&Section, &String)| format!("\n## {}\n\n{body}\n", section.heading());
        PREAMBLE.to_owned() + &self.sections.iter().map(section).collect::<String>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed() -> String {
        fs::read_to_string(artifacts::workspace().join(FILE)).unwrap()
    }

    /// The headings and the first column of every table.
    fn shape(section: &str) -> Vec<&str> {
        let label = |line: &&str| line.starts_with('#') || line.starts_with('|');
        section.lines().filter(label).map(|line| line.split('|').nth(1).unwrap_or(line)).collect()
    }

    #[test]
    fn the_file_is_as_the_command_writes_it() {
        let file = File::parse(&committed());
        assert_eq!(file.render(), committed());
        let kernels = MEASURED.map(|id| Section::Kernel(id.to_string()));
        assert_eq!(file.sections.into_keys().collect::<Vec<_>>(), [&kernels[..], &[Section::Bcc]].concat());
    }

    #[test]
    fn every_kernel_was_measured_by_the_same_benchmark() {
        let file = File::parse(&committed());
        let [one, other] =
            MEASURED.map(|id| shape(&file.sections[&Section::Kernel(id.to_string())]).join("\n"));
        assert!(one.contains("the floor") && one.contains("64 experiments"), "{one}");
        assert_eq!(one, other);
    }
}
