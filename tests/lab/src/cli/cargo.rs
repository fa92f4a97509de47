//! `lab test` and `lab bench`: binaries of the workspace, built statically, run in one boot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::machine::MachineArgs;
use super::{CliError, Context, run};
use crate::artifacts::{self, Artifact, ArtifactKind, static_bins, static_build};
use crate::exec::Exec;
use crate::machine::{Machine, Share};

/// Programs that tests find in PATH.
const HELPERS: [&str; 3] = ["faultline", "faultline-agent", "victim"];
/// Instead of a program's name: none at all.
const NO_PROGRAM: &str = "none";

#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    machine: MachineArgs,
    /// The package with the tests
    #[arg(long, short, default_value = "faultline-tests")]
    package: String,
    /// Its test targets; with `lib`, the unit tests of the library
    #[arg(long, default_value = "story", value_name = "NAME")]
    test: Vec<String>,
    #[command(flatten)]
    programs: Programs,
    /// Arguments for the tests: a filter, --test-threads, --nocapture
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    machine: MachineArgs,
    /// The package with the benchmarks
    #[arg(long, short, default_value = "faultline-tests")]
    package: String,
    /// Its benchmark targets
    #[arg(long, required = true, value_name = "NAME")]
    bench: Vec<String>,
    /// Measure time, not instructions
    #[arg(long)]
    time: bool,
    /// Build as for tests, which is quicker: what runs in the kernel is the same
    #[arg(long, conflicts_with = "release")]
    dev: bool,
    #[command(flatten)]
    programs: Programs,
    /// Arguments for the benchmarks
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Debug, Args)]
struct Programs {
    /// Programs to have in PATH, built with the tests; `none` for none
    #[arg(long = "bin", value_name = "NAME", default_values = HELPERS)]
    bins: Vec<String>,
    /// Build everything optimised
    #[arg(long)]
    release: bool,
    /// Seconds each binary may take
    #[arg(long, default_value_t = 1200, value_name = "SECONDS")]
    timeout: u64,
}

impl Test {
    pub(super) fn execute(self, context: &Context) -> Result<u8, CliError> {
        let targets = self.test.iter().flat_map(|name| match name.as_str() {
            "lib" => vec!["--lib".into()],
            name => vec!["--test".into(), name.to_owned()],
        });
        let build = ["test", "--no-run", "--workspace"].map(String::from).into_iter().chain(targets);
        let built = self.programs.build(build.collect(), context)?;
        let machine = self.machine.machine(context)?;
        let runs = Runs {
            machine: &self.machine,
            programs: &self.programs,
            kind: ArtifactKind::Test,
            package: &self.package,
            arguments: self.arguments,
        };
        runs.execute(machine, &built, context)
    }
}

impl Bench {
    pub(super) fn execute(self, context: &Context) -> Result<u8, CliError> {
        let targets = self.bench.iter().flat_map(|name| ["--bench".to_owned(), name.clone()]);
        let profile: &[&str] = if self.dev { &["--profile", "dev"] } else { &[] };
        let build = ["bench", "--no-run", "--workspace"].iter().chain(profile).copied().map(String::from);
        let built = self.programs.build(build.chain(targets).collect(), context)?;
        let machine = Machine { icount: !self.time, ..self.machine.machine(context)? };
        let arguments = std::iter::once("--bench".to_owned()).chain(self.arguments).collect();
        let runs = Runs {
            machine: &self.machine,
            programs: &self.programs,
            kind: ArtifactKind::Bench,
            package: &self.package,
            arguments,
        };
        runs.execute(machine, &built, context)
    }
}

/// Static executables: those asked for, and the folders that hold the programs.
struct Built {
    wanted: Vec<Artifact>,
    path: Vec<PathBuf>,
}

impl Programs {
    fn build(&self, mut wanted: Vec<String>, context: &Context) -> Result<Built, CliError> {
        let step = context.progress.step("static", "building static executables for the guest");
        let mut path = Vec::new();
        let bins: Vec<&str> = self.bins.iter().map(String::as_str).filter(|bin| *bin != NO_PROGRAM).collect();
        if !bins.is_empty() {
            let programs = static_bins(&bins, self.release)?;
            path.extend(programs.iter().filter_map(|program| program.parent()).map(Path::to_path_buf));
        }
        path.dedup();
        if self.release && wanted[0] == "test" {
            wanted.push("--release".into());
        }
        let wanted = static_build(&wanted.iter().map(String::as_str).collect::<Vec<_>>())?;
        step.done();
        Ok(Built { wanted, path })
    }
}

/// One boot, one binary after the other.
struct Runs<'a> {
    machine: &'a MachineArgs,
    programs: &'a Programs,
    kind: ArtifactKind,
    package: &'a str,
    arguments: Vec<String>,
}

impl Runs<'_> {
    fn execute(&self, mut machine: Machine, built: &Built, context: &Context) -> Result<u8, CliError> {
        let binaries: Vec<&Artifact> =
            built.wanted.iter().filter(|artifact| self.asked_for(artifact)).collect();
        if binaries.is_empty() {
            return Err(CliError::NothingBuilt(if self.kind == ArtifactKind::Test {
                "test"
            } else {
                "benchmark"
            }));
        }
        share_in_place(&mut machine, &binaries, &built.path);
        let vm = self.machine.boot(&machine, context)?;
        context.progress.note(&format!(
            "booted {} in {}",
            vm.release(),
            crate::clock::spoken(vm.boot_time())
        ));
        let mut worst = 0;
        for binary in binaries {
            let limit = Duration::from_secs(self.programs.timeout);
            let code = run::stream(&vm, self.exec(binary, &built.path), Some(limit), false)?;
            worst = worst.max(code);
        }
        vm.shutdown()?;
        Ok(worst)
    }

    /// The whole workspace is built for, so that what its packages share is compiled once; a folder is named as its
    /// package is, without the prefix.
    fn asked_for(&self, artifact: &Artifact) -> bool {
        let folder = self.package.strip_prefix("faultline-").unwrap_or(self.package);
        artifact.kind == self.kind && artifact.package.ends_with(folder)
    }

    fn exec(&self, binary: &Artifact, path: &[PathBuf]) -> Exec {
        let program = binary.path.display().to_string();
        let folders: String = path.iter().map(|folder| format!("{}:", folder.display())).collect();
        Exec::new([program].into_iter().chain(self.arguments.iter().cloned()))
            .cwd(binary.package.display().to_string())
            .env("PATH", format!("{folders}/bin:/sbin:/usr/bin:/usr/sbin"))
            .env("FAULTLINE_LAB", self.machine.kernel.to_string())
            .env("CARGO_MANIFEST_DIR", binary.package.display().to_string())
            .env("RUST_BACKTRACE", "1")
            .env("TMPDIR", "/tmp")
    }
}

/// The guest sees the checkout and the built files at the paths they have on the host, so that paths
/// compiled into tests hold there too.
fn share_in_place(machine: &mut Machine, binaries: &[&Artifact], path: &[PathBuf]) {
    // With the programs of its package, which cargo builds for a benchmark and puts into the folder above its own.
    let built = binaries.iter().filter_map(|binary| binary.path.ancestors().nth(2));
    let folders = [artifacts::workspace()].into_iter().chain(built).chain(path.iter().map(PathBuf::as_path));
    for folder in folders {
        let known = machine.shares.iter().any(|share| folder.starts_with(&share.host));
        if !known {
            machine.shares.push(Share { host: folder.into(), guest: folder.display().to_string() });
        }
    }
}
