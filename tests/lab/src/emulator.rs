//! Which QEMU executes a machine.
//!
//! A kernel patches its own code whenever a probe comes or goes. Before QEMU 8.1 a CPU that TCG emulates could
//! translate code while another was writing it, and keep the old translation: such a guest dies of a
//! breakpoint that its memory no longer holds, within seconds on 7.2 where probes come and go in a hot
//! function. (8.1 holds the pages' locks while it translates.) Debian 12 has 7.2, and a newer one in
//! backports; it is unpacked into the cache and not installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::apt::{self, Apt, AptError};
use crate::cache::Cache;
use crate::machine::{Accel, Machine};
use crate::packages;
use crate::progress::Progress;
use crate::qemu::PROGRAM;

/// The first version, as major and minor, in which several threads may translate.
const SOUND: (u32, u32) = (8, 1);

/// What the program consists of. Its libraries are those of the release's own.
const PACKAGES: [&str; 4] = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"];

/// Below the folder that packages were unpacked to.
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// How TCG executes several CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// Each on its own.
    Many,
    /// In turns on one.
    One,
}

/// A QEMU that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Emulator {
    pub(crate) program: PathBuf,
    /// Folders of firmware; empty where the program knows its own.
    pub(crate) firmware: Vec<PathBuf>,
    pub(crate) threads: Threads,
}

/// Why the newer QEMU is not to be had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{} is set", packages::NO_INSTALL)]
    Forbidden,
    #[error(transparent)]
    Apt(#[from] AptError),
    #[error("what was downloaded does not run here")]
    Unusable,
    #[error("the cache cannot be written")]
    Io(#[from] io::Error),
}

/// The QEMU for a machine: the installed one wherever that is sound, else a newer one from the cache or from
/// backports, else the installed one on a single thread, which is slow and said.
pub(crate) fn choose(cache: &Cache, machine: &Machine, accel: Accel) -> Emulator {
    let installed = Emulator { program: PROGRAM.into(), firmware: Vec::new(), threads: Threads::Many };
    let in_parallel = accel != Accel::Kvm && !machine.icount && machine.cpus > 1;
    if !in_parallel || is_sound(&installed.program) {
        return installed;
    }
    let progress = Progress::stderr(cache);
    newer(cache, &progress).unwrap_or_else(|error| {
        progress.note(&format!(
            "{PROGRAM} is older than {}.{} and a newer one is not to be had ({error}): the CPUs take turns on \
             one thread, which is several times slower",
            SOUND.0, SOUND.1
        ));
        Emulator { threads: Threads::One, ..installed }
    })
}

/// The newer one, downloaded by whoever comes first.
fn newer(cache: &Cache, progress: &Progress) -> Result<Emulator, FetchError> {
    let held = cache.lock("qemu", || progress.note("waiting for another process that fetches QEMU"))?;
    let root = cache.root().join("qemu");
    let emulator = below(&root);
    if is_sound(&emulator.program) {
        return Ok(emulator);
    }
    if packages::may_not_install() {
        return Err(FetchError::Forbidden);
    }
    let step = progress.step("qemu", "downloading a QEMU whose CPUs may patch code under each other");
    let work = cache.work("qemu", &held)?;
    let apt = Apt::update(cache, progress)?;
    for package in PACKAGES {
        apt.unpack(&format!("{package}/{}", apt::BACKPORTS), work.path())?;
    }
    if !is_sound(&below(work.path()).program) {
        return Err(FetchError::Unusable);
    }
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    fs::rename(work.keep(), &root)?;
    step.done();
    Ok(emulator)
}

fn below(root: &Path) -> Emulator {
    Emulator {
        program: root.join("usr/bin").join(PROGRAM),
        firmware: FIRMWARE.iter().map(|folder| root.join(folder)).collect(),
        threads: Threads::Many,
    }
}

/// A program that does not run is not.
fn is_sound(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output();
    let version = output.ok().and_then(|output| version(&String::from_utf8_lossy(&output.stdout)));
    version.is_some_and(|version| version >= SOUND)
}

/// Major and minor of `QEMU emulator version 7.2.22 (Debian …)`.
fn version(said: &str) -> Option<(u32, u32)> {
    let number = said.split_once("version ")?.1.split_whitespace().next()?;
    let mut parts = number.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_with_or_without_a_distributions_words() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright (c) 2003-2022";
        assert_eq!(version(debian), Some((7, 2)));
        assert_eq!(version("QEMU emulator version 10.0.2\n"), Some((10, 0)));
        assert_eq!(version("sh: not found"), None);
        assert!((10, 0) > SOUND && (8, 0) < SOUND);
    }

    #[test]
    fn a_program_that_is_not_there_is_not_sound() {
        assert!(!is_sound(Path::new("/no/such/qemu")));
    }

    #[test]
    fn one_cpu_and_the_hosts_virtualisation_need_no_newer_program() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let one = Machine { cpus: 1, ..Machine::default() };
        let counting = Machine { icount: true, ..Machine::default() };
        for (machine, accel) in
            [(&one, Accel::Tcg), (&counting, Accel::Tcg), (&Machine::default(), Accel::Kvm)]
        {
            let emulator = choose(&cache, machine, accel);
            assert_eq!((emulator.program, emulator.threads), (PROGRAM.into(), Threads::Many));
        }
        assert!(!folder.path().join("qemu").exists());
    }
}
