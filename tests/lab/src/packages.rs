//! The host's packages: what is missing is installed where that is allowed, else named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::progress::Progress;

/// Set: nothing is installed or downloaded by apt.
pub const NO_INSTALL: &str = "FAULTLINE_LAB_NO_INSTALL";

/// Lines of apt's output that an error shows.
const TAIL_LINES: usize = 15;

/// What the packages are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Booting a machine.
    Boot,
    /// Building a kernel.
    Build,
    /// Making a disk image.
    Disk,
    /// Trusting Debian's archive on a machine that is not Debian.
    Trust,
    /// Building guests that are not written in Rust.
    Guests,
}

impl Purpose {
    /// Those that the whole test command has a use for, on every machine.
    pub const ALL: [Self; 4] = [Self::Boot, Self::Build, Self::Disk, Self::Guests];
}

/// How to tell that a package is there, whoever installed it.
enum Probe {
    /// A command in PATH or a folder of system commands.
    Command(&'static str),
    /// A file.
    File(&'static str),
    /// A program that needs no libraries: the guest has none.
    Static(&'static str),
}

use Probe::{Command as Cmd, File, Static};

const BOOT: &[(&str, Probe)] = &[
    ("qemu-system-x86", Cmd(crate::qemu::PROGRAM)),
    ("busybox-static", Static("/bin/busybox")),
    ("util-linux", Cmd("setpriv")),
];

const BUILD: &[(&str, Probe)] = &[
    ("gcc", Cmd("gcc")),
    ("libc6-dev", File("/usr/include/stdio.h")),
    ("make", Cmd("make")),
    ("binutils", Cmd("ld")),
    ("dwarves", Cmd("pahole")),
    ("bc", Cmd("bc")),
    ("flex", Cmd("flex")),
    ("bison", Cmd("bison")),
    ("libelf-dev", File("/usr/include/libelf.h")),
    ("libssl-dev", File("/usr/include/openssl/ssl.h")),
    ("cpio", Cmd("cpio")),
    ("kmod", Cmd("depmod")),
    ("rsync", Cmd("rsync")),
    ("xz-utils", Cmd("xz")),
    ("python3", Cmd("python3")),
];

const DISK: &[(&str, Probe)] = &[("e2fsprogs", Cmd("mkfs.ext4"))];

const GUESTS: &[(&str, Probe)] = &[("clang", Cmd("clang")), ("lld", Cmd("wasm-ld"))];

const TRUST: &[(&str, Probe)] = &[("debian-archive-keyring", File(crate::apt::KEYRING))];

/// Why something is missing still.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Nothing may be installed here.
    #[error("missing: {}\n{why}; install them with\n  {command}", packages.join(" "))]
    Missing {
        /// Debian's and Ubuntu's names.
        packages: Vec<&'static str>,
        /// Why the lab did not install them.
        why: &'static str,
        /// What does.
        command: String,
    },
    /// apt failed.
    #[error("`{command}` failed:\n{tail}")]
    Apt {
        /// What ran.
        command: String,
        /// The end of what it said.
        tail: String,
    },
}

/// Makes sure that all packages for these purposes are there.
///
/// # Errors
/// When some are missing and cannot be installed.
pub fn ensure(purposes: &[Purpose], progress: &Progress) -> Result<(), PackageError> {
    let missing: Vec<&str> = purposes.iter().flat_map(|purpose| missing(*purpose)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let prefix = privilege().map_err(|why| PackageError::Missing {
        command: format!(
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
            missing.join(" ")
        ),
        packages: missing.clone(),
        why,
    })?;
    let step = progress.step("apt", &format!("installing {}", missing.join(" ")));
    apt(prefix, &["update"])?;
    apt(prefix, &[&["install", "-y", "--no-install-recommends"], missing.as_slice()].concat())?;
    step.done();
    Ok(())
}

/// The packages for a purpose that are not there.
#[must_use]
pub fn missing(purpose: Purpose) -> Vec<&'static str> {
    let needs = match purpose {
        Purpose::Boot => BOOT,
        Purpose::Build => BUILD,
        Purpose::Disk => DISK,
        Purpose::Trust => TRUST,
        Purpose::Guests => GUESTS,
    };
    needs.iter().filter(|(_, probe)| !holds(probe)).map(|(package, _)| *package).collect()
}

/// Where a command is, in PATH or where system commands are that an ordinary user's PATH leaves out.
#[must_use]
pub fn command(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn holds(probe: &Probe) -> bool {
    match probe {
        Cmd(name) => command(name).is_some(),
        File(path) => Path::new(path).exists(),
        Static(path) => runs_alone(Path::new(path)),
    }
}

/// Whether a program is there and needs no libraries.
pub(crate) fn runs_alone(path: &Path) -> bool {
    fs::read(path).is_ok_and(|program| !names_a_loader(&program))
}

/// A program that is loaded with libraries names the loader that does it.
fn names_a_loader(program: &[u8]) -> bool {
    const LOADER: &[u8] = b"/ld-linux-x86-64.so";
    // The interpreter's path is in the first page; scanning further would find busybox's own strings.
    program[..program.len().min(4096)].windows(LOADER.len()).any(|window| window == LOADER)
}

/// Whether the user forbids it.
pub(crate) fn may_not_install() -> bool {
    std::env::var_os(NO_INSTALL).is_some()
}

/// The words before apt-get, or why the lab must not run it.
fn privilege() -> Result<&'static [&'static str], &'static str> {
    if may_not_install() {
        return Err("FAULTLINE_LAB_NO_INSTALL is set");
    }
    if command("apt-get").is_none() {
        return Err("this machine has no apt (the names are Debian's)");
    }
    if rustix::process::geteuid().is_root() {
        return Ok(&[]);
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).stderr(Stdio::null()).status();
    if sudo.is_ok_and(|status| status.success()) { Ok(&["sudo", "-n"]) } else { Err("this needs root") }
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<(), PackageError> {
    let env = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"];
    let words: Vec<&str> = prefix.iter().chain(&env).chain(arguments).copied().collect();
    let output = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    let tail = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => tail(&[output.stdout, output.stderr].concat(), TAIL_LINES),
        Err(error) => error.to_string(),
    };
    Err(PackageError::Apt { command: words.join(" "), tail })
}

/// The last lines of some output.
pub(crate) fn tail(output: &[u8], lines: usize) -> String {
    let text = String::from_utf8_lossy(output);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_tells_what_is_there_from_what_is_not() {
        assert!(holds(&Cmd("sh")) && !holds(&Cmd("no-such-command")));
        assert!(holds(&File("/etc/passwd")) && !holds(&File("/no/such/file")));
        assert!(!holds(&Static("/bin/sh")), "a shell with libraries is no use in a guest");
    }

    #[test]
    fn the_tail_is_the_end_and_no_more() {
        assert_eq!(tail(b"a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail(b"a", 5), "a");
    }
}
