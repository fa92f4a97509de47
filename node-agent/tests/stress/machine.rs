//! What every test here starts from: a machine of the lab, its cgroups, and its log.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use faultline_node_agent::kernel::{BootNanos, EngineConfig};
use rustix::time::{ClockId, clock_gettime};

/// Engines see each other's programs, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Where the lab says which kernel it runs.
const LAB: &str = "FAULTLINE_LAB";

/// Cgroups for containers, and a place for the budgets.
pub(crate) struct Machine {
    pub(crate) config: EngineConfig,
    pub(crate) root: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Machine {
    /// Absent, loudly, outside the lab.
    pub(crate) fn new(containers: usize) -> Option<Self> {
        if std::env::var_os(LAB).is_none_or(|kernel| kernel == "stock") {
            eprintln!("SKIPPED: needs a real kernel: cargo lab test -p faultline-node-agent --test stress");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("faultline-stress-{}-{}", std::process::id(), boot_ns());
        let root = Path::new("/sys/fs/cgroup").join(&name);
        fs::create_dir(&root).unwrap();
        let config = EngineConfig { pins: Path::new("/sys/fs/bpf").join(&name), ..EngineConfig::default() };
        let machine = Self { config, root, _turn: turn };
        for container in 0..containers {
            fs::create_dir(machine.container(container)).unwrap();
        }
        Some(machine)
    }

    pub(crate) fn container(&self, container: usize) -> PathBuf {
        container_in(&self.root, container)
    }

    /// The ids of the containers' cgroups.
    pub(crate) fn ids(&self, containers: usize) -> Vec<u64> {
        (0..containers).map(|at| fs::metadata(self.container(at)).unwrap().ino()).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.config.pins);
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            remove(&entry.path());
        }
        remove(&self.root);
    }
}

/// Cgroups go when their last process is reaped, which may take a moment. Files in them are not to be removed.
fn remove(cgroup: &Path) {
    for _ in 0..100 {
        if !cgroup.is_dir() || fs::remove_dir(cgroup).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The cgroup of a container.
pub(crate) fn container_in(root: &Path, container: usize) -> PathBuf {
    root.join(format!("c{container}"))
}

/// A number that whoever boots the machine may set, on the kernel's command line.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    let words = fs::read_to_string("/proc/cmdline").unwrap();
    let value = words.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.map_or(default, |value| value.parse().unwrap())
}

/// The boot clock, in nanoseconds.
pub(crate) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// The boot clock, so far ahead.
pub(crate) fn in_ms(milliseconds: u64) -> BootNanos {
    BootNanos(boot_ns() + milliseconds * 1_000_000)
}

/// What the kernel complained about since it booted.
pub(crate) fn complaints() -> Vec<String> {
    let mut log = Vec::new();
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
    let kmsg = rustix::fs::open("/dev/kmsg", flags, rustix::fs::Mode::empty()).unwrap();
    let (mut kmsg, mut line) = (fs::File::from(kmsg), vec![0; 8192]);
    while let Ok(length) = kmsg.read(&mut line) {
        log.push(String::from_utf8_lossy(&line[..length]).into_owned());
    }
    assert!(!log.is_empty(), "a kernel that has booted has a log");
    log.retain(|line| {
        ["BUG", "WARNING", "Oops", "general protection"].iter().any(|word| line.contains(word))
    });
    log
}
