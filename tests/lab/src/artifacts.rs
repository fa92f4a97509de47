//! Static executables for the guest, which has no libraries: built by cargo for the GNU target with
//! the C runtime linked in, so that no other target need be installed.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;

/// The only target the lab has kernels for.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
const CRT_STATIC: &str = "-C target-feature=+crt-static";

/// Why an executable could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The lab's kernels are for x86_64.
    #[error("the lab needs an x86_64 Linux host, for the executables of its guests are built here")]
    Host,
    /// cargo did not start, or its output broke off.
    #[error("cannot run cargo")]
    Cargo(#[from] std::io::Error),
    /// cargo failed; it said why on standard error.
    #[error("cargo could not build {0}")]
    Failed(String),
    /// It built something else.
    #[error("cargo built no executable named {0}")]
    Missing(String),
}

/// What kind of target an executable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// A program.
    Bin,
    /// An integration test, or a library's or program's unit tests.
    Test,
    /// A benchmark.
    Bench,
    /// An example.
    Example,
}

/// A static executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The target's name, such as `kernel` for tests/kernel.rs.
    pub name: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// Where it is.
    pub path: PathBuf,
    /// The folder of its package.
    pub package: PathBuf,
}

/// The checkout that this lab was built from.
#[must_use]
pub fn workspace() -> &'static Path {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.ancestors().nth(2).unwrap_or(lab)
}

/// Builds with `cargo SUBCOMMAND ARGUMENTS…`, such as `build -p faultline-node-agent --bin agent` or
/// `test --no-run -p faultline-tests --test kernel`, and returns every executable that belongs to it.
/// cargo's own progress and errors go to standard error.
///
/// # Errors
/// When the host has another architecture, or cargo fails.
pub fn static_build(arguments: &[&str]) -> Result<Vec<Artifact>, ArtifactError> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Err(ArtifactError::Host);
    }
    let mut cargo = cargo(arguments).spawn()?;
    let mut artifacts = Vec::new();
    if let Some(stdout) = cargo.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            artifacts.extend(executable(&line?));
        }
    }
    if cargo.wait()?.success() { Ok(artifacts) } else { Err(ArtifactError::Failed(arguments.join(" "))) }
}

/// Builds programs of the workspace, by their names, and returns them in that order. All come from one run of cargo,
/// and with the features that the whole workspace agrees on: what they share is compiled once.
///
/// # Errors
/// As [`static_build`], and when the workspace has no such program.
pub fn static_bins(names: &[&str], release: bool) -> Result<Vec<PathBuf>, ArtifactError> {
    let bins = names.iter().flat_map(|name| ["--bin", *name]);
    let profile = release.then_some("--release");
    let arguments: Vec<&str> = ["build", "--workspace"].into_iter().chain(bins).chain(profile).collect();
    let built = static_build(&arguments)?;
    names.iter().map(|name| program(&built, name)).collect()
}

fn program(built: &[Artifact], name: &str) -> Result<PathBuf, ArtifactError> {
    let found = built.iter().find(|artifact| artifact.kind == ArtifactKind::Bin && artifact.name == name);
    found.map(|artifact| artifact.path.clone()).ok_or_else(|| ArtifactError::Missing(name.into()))
}

/// The lab's init, built at most once in this process.
pub(crate) fn init() -> Result<&'static Path, ArtifactError> {
    static INIT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = INIT.get() {
        return Ok(path);
    }
    let path = program(&static_build(&["build", "-p", "faultline-lab-init", "--bin", "init"])?, "init")?;
    Ok(INIT.get_or_init(|| path))
}

fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    let (subcommand, rest) = arguments.split_first().unwrap_or((&"build", &[]));
    command
        .arg(subcommand)
        .args(["--quiet", "--target", TARGET, "--message-format=json-render-diagnostics"])
        .args(rest)
        .current_dir(workspace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // RUSTFLAGS wins over the target's own variable, so what it holds has to be carried over.
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", format!("{flags} {CRT_STATIC}"));
    command
}

#[derive(Deserialize)]
struct Line {
    reason: String,
    target: Option<Target>,
    manifest_path: Option<PathBuf>,
    executable: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// One line of cargo's messages, if it announces an executable.
fn executable(line: &str) -> Option<Artifact> {
    let line: Line = serde_json::from_str(line).ok()?;
    let (target, path, profile) = (line.target?, line.executable?, line.profile?);
    if line.reason != "compiler-artifact" || target.kind.iter().any(|kind| kind == "custom-build") {
        return None;
    }
    let is = |kind: &str| target.kind.iter().any(|k| k == kind);
    let kind = match () {
        () if is("bench") => ArtifactKind::Bench,
        () if profile.test => ArtifactKind::Test,
        () if is("example") => ArtifactKind::Example,
        () => ArtifactKind::Bin,
    };
    let package = line.manifest_path?.parent()?.to_path_buf();
    Some(Artifact { name: target.name, kind, path, package })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, test: bool, executable: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/w/p/Cargo.toml","target":{{"name":"t","kind":["{kind}"]}},"profile":{{"test":{test}}},"executable":{executable}}}"#
        )
    }

    #[test]
    fn executables_are_told_apart_by_their_target() {
        let kind = |kind, test| executable(&message(kind, test, r#""/x""#)).map(|artifact| artifact.kind);
        assert_eq!(kind("bin", false), Some(ArtifactKind::Bin));
        assert_eq!(kind("bin", true), Some(ArtifactKind::Test));
        assert_eq!(kind("test", true), Some(ArtifactKind::Test));
        assert_eq!(kind("bench", true), Some(ArtifactKind::Bench));
        assert_eq!(kind("custom-build", false), None);
    }

    #[test]
    fn libraries_and_other_messages_are_passed_over() {
        assert_eq!(executable(&message("lib", false, "null")), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("not a message"), None);
    }
}
