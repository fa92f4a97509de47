//! What every test here starts from: an engine with budgets of its own, and cgroups.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use faultline_api::{CallChain, Frame, Predicate};
use faultline_node_agent::kernel::{
    BootNanos, BudgetKey, Counters, Engine, EngineConfig, FaultKind, Kernel, Kprobes, ProbeId, ProbeSpec,
    attached_programs,
};

use rustix::process::Pid;

use crate::victim::{Victim, boot_ns};

/// Engines see each other's programs, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Debian's own kernel image, which cannot inject.
const STOCK: &str = "stock";

/// The kernel that has the foundation of fault injection and none of the options that build on it.
const NOFAIL: &str = "nofail";

/// The kernel that comes with a module in `/lib/modules`.
const WITH_MODULE: [&str; 2] = ["6.1", "6.12"];

/// Where the lab says which kernel it runs.
const LAB: &str = "FAULTLINE_LAB";

/// How long a test's lease lasts: longer than any test.
const LEASE_NS: u64 = 600_000_000_000;

/// An engine, and a folder of cgroups that goes with it.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) config: EngineConfig,
    root: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// Absent, loudly, outside the lab and on the kernels that cannot inject everything.
    pub(crate) fn new() -> Option<Self> {
        Self::when(|kernel| kernel != STOCK && kernel != NOFAIL)
    }

    /// On every kernel of the lab.
    pub(crate) fn any() -> Option<Self> {
        Self::when(|_| true)
    }

    /// Only on the kernel that the lab builds a module for.
    pub(crate) fn with_module() -> Option<Self> {
        Self::when(|kernel| WITH_MODULE.contains(&kernel))
    }

    /// Only on the quick kernel: for what takes long and is the same on all.
    pub(crate) fn quick() -> Option<Self> {
        Self::when(|kernel| kernel == "6.1")
    }

    /// Only on the kernel that has `io_uring`.
    pub(crate) fn with_rings() -> Option<Self> {
        Self::when(|kernel| kernel == "6.12")
    }

    /// Only on the kernel without the options.
    pub(crate) fn without_options() -> Option<Self> {
        Self::when(|kernel| kernel == NOFAIL)
    }

    /// The same on the kernel that cannot inject, and only there.
    pub(crate) fn stock() -> Option<Self> {
        Self::when(|kernel| kernel == STOCK)
    }

    fn when(fits: impl Fn(&str) -> bool) -> Option<Self> {
        let Ok(kernel) = std::env::var(LAB) else {
            eprintln!("SKIPPED: needs a real kernel: cargo lab test -p faultline-node-agent --test kernel");
            return None;
        };
        if !fits(&kernel) {
            eprintln!("SKIPPED: not about the {kernel} kernel");
            return None;
        }
        let turn = take_turn();
        let name = format!("faultline-test-{}-{}", std::process::id(), mark());
        let config = EngineConfig { pins: Path::new("/sys/fs/bpf").join(&name), ..EngineConfig::default() };
        let root = Path::new("/sys/fs/cgroup").join(&name);
        fs::create_dir(&root).unwrap();
        let engine = Engine::open(&config).unwrap();
        engine.set_lease(BootNanos(boot_now().0 + LEASE_NS));
        Some(Self { engine, config, root, _turn: turn })
    }

    /// A new cgroup for a container.
    pub(crate) fn cgroup(&self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// A cgroup and a victim in it.
    pub(crate) fn container(&self, name: &str) -> (PathBuf, Victim) {
        let cgroup = self.cgroup(name);
        let victim = Victim::start(&cgroup);
        (cgroup, victim)
    }

    /// Converges, and insists that every probe is attached.
    pub(crate) fn arm(&mut self, desired: &[ProbeSpec]) {
        for outcome in self.engine.converge(desired) {
            outcome.result.unwrap();
        }
    }

    pub(crate) fn counters(&self, spec: &ProbeSpec) -> Counters {
        self.engine.counters()[&spec.id]
    }

    /// The engine again, with kprobes in place of trampolines.
    pub(crate) fn with_kprobes(&mut self, kprobes: Kprobes) {
        self.config.kprobes = kprobes;
        self.restart();
    }

    /// The process was killed and another one starts: programs are gone, budgets are not.
    pub(crate) fn restart(&mut self) {
        self.engine.converge(&[]);
        self.engine = Engine::open(&self.config).unwrap();
        self.engine.set_lease(BootNanos(boot_now().0 + LEASE_NS));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.converge(&[]);
        let _ = fs::remove_dir_all(&self.config.pins);
        remove_cgroups(&self.root);
    }
}

/// While it is held, no other test has an engine. Absent, loudly, outside the lab.
pub(crate) fn without_engine() -> Option<MutexGuard<'static, ()>> {
    if std::env::var_os(LAB).is_none() {
        eprintln!("SKIPPED: needs a real kernel");
        return None;
    }
    Some(take_turn())
}

fn take_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Cgroups go when their last process is reaped, which may take a moment.
fn remove_cgroups(at: &Path) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    for _ in 0..100 {
        if fs::remove_dir(at).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Every mount in a container fails for want of slab memory.
pub(crate) fn failing_mounts(scope: &Path) -> ProbeSpec {
    ProbeSpec {
        id: ProbeId(mark()),
        fault: FaultKind::Slab,
        call_chain: CallChain { frames: vec![frame("__x64_sys_mount")], target: None },
        probability: 100,
        times: None,
        ends: BootNanos::NEVER,
        budget: BudgetKey(u128::from(mark()).to_le_bytes()),
        scope: vec![scope.to_owned()],
    }
}

fn frame(function: &str) -> Frame {
    Frame { function: function.to_owned(), predicate: None }
}

/// A predicate without declarations.
fn predicate(text: &str) -> Option<Predicate> {
    Some(Predicate { text: text.to_owned(), parameters: None })
}

/// Builders for what tests vary.
pub(crate) trait Vary: Sized {
    fn fault(self, fault: FaultKind) -> Self;
    fn frames(self, frames: &[&str]) -> Self;
    /// What must hold at the entry of the last frame so far.
    fn when(self, text: &str) -> Self;
    /// As [`Self::when`], with declarations.
    fn declared(self, parameters: &str) -> Self;
    /// What must hold at the entry of the target.
    fn target_when(self, text: &str) -> Self;
    fn probability(self, percent: u8) -> Self;
    fn times(self, times: u32) -> Self;
    fn ends(self, ends: BootNanos) -> Self;
}

impl Vary for ProbeSpec {
    fn fault(self, fault: FaultKind) -> Self {
        Self { fault, ..self }
    }

    fn frames(self, frames: &[&str]) -> Self {
        let call_chain = CallChain { frames: frames.iter().map(|name| frame(name)).collect(), target: None };
        Self { call_chain, ..self }
    }

    fn when(mut self, text: &str) -> Self {
        self.call_chain.frames.last_mut().unwrap().predicate = predicate(text);
        self
    }

    fn declared(mut self, parameters: &str) -> Self {
        let frame = self.call_chain.frames.last_mut().unwrap();
        frame.predicate.as_mut().unwrap().parameters = Some(parameters.to_owned());
        self
    }

    fn target_when(mut self, text: &str) -> Self {
        self.call_chain.target = predicate(text);
        self
    }

    fn probability(self, probability: u8) -> Self {
        Self { probability, ..self }
    }

    fn times(self, times: u32) -> Self {
        Self { times: NonZeroU32::new(times), ..self }
    }

    fn ends(self, ends: BootNanos) -> Self {
        Self { ends, ..self }
    }
}

/// The threads of a victim.
pub(crate) fn threads(victim: &Victim) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{}/task", victim.child.id())).unwrap();
    tasks
        .map(|task| Pid::from_raw(task.unwrap().file_name().to_str().unwrap().parse().unwrap()).unwrap())
        .collect()
}

/// Waits until every thread of a victim sleeps: then it reads its orders.
pub(crate) fn wait_until_idle(victim: &Victim) {
    let sleeps = |thread: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", thread.as_raw_nonzero())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    };
    while !threads(victim).iter().all(sleeps) {
        thread::sleep(Duration::from_millis(10));
    }
}

/// A number that no other test of this run has.
pub(crate) fn mark() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// The boot clock.
pub(crate) fn boot_now() -> BootNanos {
    BootNanos(boot_ns())
}

/// Our programs that are attached, after the kernel has had a while to let go of the others, which it does on its own time.
pub(crate) fn programs_left() -> Vec<String> {
    for _ in 0..100 {
        if attached_programs().unwrap().is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    attached_programs().unwrap()
}
