//! What every measurement starts from: cgroups, engines, and programs to compare with.

use std::fs;
use std::path::{Path, PathBuf};

use faultline_api::{CallChain, Frame};
use faultline_ebpf::asm::{Asm, Attach, Cond, Helper, Program, Reg};
use faultline_ebpf::btf::Btf;
use faultline_node_agent::kernel::{
    Alone, BootNanos, BudgetKey, Engine, EngineConfig, FaultKind, Kernel as _, ProbeId, ProbeSpec,
};

pub(crate) struct Ground {
    name: String,
    cgroups: PathBuf,
}

impl Ground {
    pub(crate) fn prepare() -> Self {
        let name = format!("faultline-bench-{}", std::process::id());
        let cgroups = Path::new("/sys/fs/cgroup").join(&name);
        fs::create_dir(&cgroups).unwrap();
        Self { name, cgroups }
    }

    /// A cgroup, made where it is not there yet.
    pub(crate) fn cgroup(&self, name: &str) -> PathBuf {
        let path = self.cgroups.join(name);
        if !path.exists() {
            fs::create_dir(&path).unwrap();
        }
        path
    }

    /// Containers, one for each of so many experiments.
    pub(crate) fn containers(&self, experiments: u64) -> Vec<PathBuf> {
        (0..experiments).map(|nth| self.cgroup(&format!("c{nth}"))).collect()
    }

    /// A folder for pinned budgets.
    pub(crate) fn pins(&self) -> PathBuf {
        Path::new("/sys/fs/bpf").join(&self.name)
    }

    /// An engine with these probes armed.
    pub(crate) fn arm(&self, specs: &[ProbeSpec]) -> Engine {
        let mut engine =
            Engine::open(&EngineConfig { pins: self.pins(), ..EngineConfig::default() }).unwrap();
        engine.set_lease(BootNanos::NEVER);
        for outcome in engine.converge(specs) {
            outcome.result.unwrap();
        }
        engine
    }
}

/// As `uname -r` says.
pub(crate) fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Slab allocations on a chain of functions fail in a container.
pub(crate) fn spec(id: u64, functions: &[&str], scope: &Path) -> ProbeSpec {
    let frame = |name: &&str| Frame { function: (*name).to_owned(), predicate: None };
    ProbeSpec {
        id: ProbeId(id),
        fault: FaultKind::Slab,
        call_chain: CallChain { frames: functions.iter().map(frame).collect(), target: None },
        probability: 100,
        times: None,
        ends: BootNanos::NEVER,
        budget: BudgetKey(u128::from(fresh()).to_le_bytes()),
        scope: vec![scope.to_owned()],
    }
}

/// A number that nothing else in this boot has: a budget that was spent is not had again.
fn fresh() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// The floor of injection: a program where the gate is, that does nothing.
pub(crate) fn empty_gate() -> Alone {
    attach(Attach::ModifyReturn(slab()), &slab(), |asm| asm.mov(Reg::R0, 0))
}

/// The least that injects: fails every slab allocation of one process.
pub(crate) fn least_gate(process: u32) -> Alone {
    attach(Attach::ModifyReturn(slab()), &slab(), |asm| {
        let other = asm.label("other");
        asm.call(Helper::CurrentPidTgid);
        asm.mov(Reg::R1, Reg::R0);
        asm.mov(Reg::R0, 0);
        asm.wide(Reg::R2, u64::from(process) << 32 | u64::from(process));
        asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, other);
        asm.mov(Reg::R0, -rustix::io::Errno::NOMEM.raw_os_error());
        asm.bind(other);
    })
}

/// Programs at a function's entry and exit that do nothing.
pub(crate) fn empty_pair(function: &str) -> [Alone; 2] {
    [Attach::Exit(function.to_owned()), Attach::Entry(function.to_owned())]
        .map(|place| attach(place, function, |asm| asm.mov(Reg::R0, 0)))
}

fn slab() -> String {
    FaultKind::Slab.function().to_owned()
}

fn attach(place: Attach, function: &str, body: impl FnOnce(&mut Asm)) -> Alone {
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let id = btf.functions(function).next().unwrap();
    let mut asm = Asm::new();
    body(&mut asm);
    asm.exit();
    let program: Program = asm.finish("bench", place, id).unwrap();
    Alone::attach(&program).unwrap()
}
