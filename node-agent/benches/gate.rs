//! What a slab allocation costs a task that is not a target: `cargo lab bench -p faultline-node-agent --bench
//! gate --bin none`, which counts instructions (a nanosecond of the guest's clock is one).
//!
//! Every figure is the difference to a kernel without any program, per allocation, so only the figures of one
//! run on one kernel compare.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use faultline_api::{CallChain, Frame};
use faultline_ebpf::asm::{Asm, Attach, Program, Reg};
use faultline_ebpf::btf::Btf;
use faultline_node_agent::kernel::{
    Alone, BootNanos, BudgetKey, Engine, EngineConfig, FaultKind, Kernel, ProbeId, ProbeSpec,
};
use rustix::time::{ClockId, clock_gettime};

/// Rounds in a sample, short enough to fit between two timer ticks' worth of other work.
const ROUNDS: u64 = 4_000;

/// Samples of which the least counts.
const SAMPLES: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("FAULTLINE_LAB").is_none() {
        eprintln!("SKIPPED: needs a real kernel: cargo lab bench -p faultline-node-agent --bench gate");
        return Ok(());
    }
    let bench = Bench::prepare()?;
    let allocations = bench.allocations()?;
    let bare = round()?;
    let over = |with: f64| (with - bare) / allocations;
    let empty = {
        let _program = Alone::attach(&empty()?)?;
        over(round()?)
    };
    let mut rows = vec![("an empty fmod_ret program".to_owned(), empty)];
    for probes in [1, 8, 64] {
        let _engine = bench.armed(probes)?;
        rows.push((format!("ours, {probes} probes on other containers"), over(round()?)));
    }
    println!("instructions per slab allocation of a bystander, over a kernel without programs");
    println!("({allocations:.2} allocations a round, {bare:.0} instructions a round without programs)");
    for (name, figure) in rows {
        println!("{name:<45} {figure:>8.1} {:>6.2}x", figure / empty);
    }
    Ok(())
}

/// One round: asking after a file, which takes a buffer for its name from a slab and gives it back at once. (What
/// is freed later, as open files are, makes the next allocations cheaper or dearer.) The least of
/// several samples: the kernel frees detached programs on its own time, in the middle of any of them.
fn round() -> Result<f64, Box<dyn Error>> {
    let mut least = f64::INFINITY;
    for _ in 0..SAMPLES {
        let began = now()?;
        rounds(ROUNDS)?;
        least = least.min((now()? - began) as f64 / ROUNDS as f64);
    }
    Ok(least)
}

fn rounds(count: u64) -> std::io::Result<()> {
    (0..count).try_for_each(|_| fs::metadata("/").map(drop))
}

fn now() -> Result<u64, std::num::TryFromIntError> {
    let now = clock_gettime(ClockId::Monotonic);
    Ok(u64::try_from(now.tv_sec)? * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}

struct Bench {
    config: EngineConfig,
    cgroups: PathBuf,
}

impl Bench {
    fn prepare() -> std::io::Result<Self> {
        let name = format!("faultline-bench-{}", std::process::id());
        let cgroups = Path::new("/sys/fs/cgroup").join(&name);
        fs::create_dir(&cgroups)?;
        let config = EngineConfig { pins: Path::new("/sys/fs/bpf").join(name), ..EngineConfig::default() };
        Ok(Self { config, cgroups })
    }

    /// An engine with that many probes, each on the mounts of a container of its own.
    fn armed(&self, probes: u64) -> Result<Engine, Box<dyn Error>> {
        let scopes: Vec<PathBuf> = (0..probes).map(|probe| self.cgroups.join(format!("c{probe}"))).collect();
        for scope in scopes.iter().filter(|scope| !scope.exists()) {
            fs::create_dir(scope)?;
        }
        let frames = vec!["__x64_sys_mount".to_owned()];
        let specs: Vec<ProbeSpec> =
            scopes.iter().zip(0..).map(|(scope, id)| spec(id, &frames, scope)).collect();
        self.engine(&specs)
    }

    /// Slab allocations in a round, as a probe that never injects counts them.
    fn allocations(&self) -> Result<f64, Box<dyn Error>> {
        let own = self.cgroups.join("own");
        fs::create_dir(&own)?;
        let other = self.cgroups.join("engine");
        fs::create_dir(&other)?;
        let probe = ProbeSpec { probability: 0, ..spec(0, &[], &own) };
        // The engine refuses to work on its own cgroup, so this process joins only afterwards.
        let engine = self.engine(std::slice::from_ref(&probe))?;
        fs::write(own.join("cgroup.procs"), "0")?;
        let hits = || engine.counters().get(&probe.id).map_or(0, |counters| counters.hits);
        rounds(ROUNDS)?;
        let before = hits();
        rounds(ROUNDS)?;
        let allocations = (hits() - before) as f64 / ROUNDS as f64;
        fs::write(other.join("cgroup.procs"), "0")?;
        Ok(allocations)
    }

    fn engine(&self, specs: &[ProbeSpec]) -> Result<Engine, Box<dyn Error>> {
        let mut engine = Engine::open(&self.config)?;
        engine.set_lease(BootNanos::NEVER);
        for outcome in engine.converge(specs) {
            outcome.result?;
        }
        Ok(engine)
    }
}

fn spec(id: u64, frames: &[String], scope: &Path) -> ProbeSpec {
    ProbeSpec {
        id: ProbeId(id),
        fault: FaultKind::Slab,
        call_chain: CallChain {
            frames: frames.iter().map(|function| frame(function)).collect(),
            target: None,
        },
        probability: 100,
        times: None,
        ends: BootNanos::NEVER,
        budget: BudgetKey([0; 16]),
        scope: vec![scope.to_owned()],
    }
}

fn frame(function: &str) -> Frame {
    Frame { function: function.to_owned(), predicate: None }
}

/// The floor of injection: a program that does nothing.
fn empty() -> Result<Program, Box<dyn Error>> {
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux")?)?;
    let function = FaultKind::Slab.function();
    let btf_id = btf.functions(function).next().ok_or("no should_failslab")?;
    let mut asm = Asm::new();
    asm.mov(Reg::R0, 0);
    asm.exit();
    Ok(asm.finish("bench_empty", Attach::ModifyReturn(function.to_owned()), btf_id)?)
}
