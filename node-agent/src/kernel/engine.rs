//! The real kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faultline_api::CallChain;
use faultline_ebpf::btf::Btf;
use faultline_ebpf::facts::Facts;
use faultline_ebpf::layout::{MAX_PROBES, globals};
use faultline_ebpf::symbol::{self, Table};

use super::cgroups::Tree;
use super::error::OpenError;
use super::files;
use super::functions::Functions;
use super::gates::{self, Gates};
use super::host::{self, Host};
use super::hot::HOTTEST;
use super::maps::Maps;
use super::membership::Membership;
use super::preflight::{FaultVerdict, Obstacle, Preflight};
use super::programs::{Live, ProgramStatus};
use super::rehearsal::Rehearsal;
use super::spared::{self, RUNTIMES};
use super::spec::{BootNanos, BudgetKey, Counters, FaultKind, ProbeId, ProbeOutcome, ProbeSpec};
use super::symbols::{self, Listed, Symbols};
use super::{Kernel, converge};

/// How an engine is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Directory on a bpf file system for the pinned budgets; made where it is missing. Agents that share it
    /// share budgets, and must not run at the same time.
    pub pins: PathBuf,
    /// Process ids that are never injected besides pid 1, kernel threads and the agent itself. With
    /// [`Self::protected_names`] at most [`ENTRIES`](faultline_ebpf::layout::spared::ENTRIES) less one.
    pub protected: Vec<u32>,
    /// Where kprobes are used although trampolines could be had.
    pub kprobes: Kprobes,
    /// Names of processes that are never injected: of those that run and of those to come. The kernel keeps 15 bytes.
    pub protected_names: Vec<String>,
    /// How long a container is spared after its start, which is that of the first process of its process namespace. One
    /// that shares the machine's, or another container's, has none of its own.
    pub grace: Duration,
    /// Calls per second and CPU that a function of a chain may have when it is first attached to; `None`: any number.
    pub hottest: Option<u64>,
}

/// Where kprobes are used whatever else there is, as on a kernel that has nothing else. By default, nowhere: trampolines
/// cost less, and their exits are missed less often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kprobes {
    /// For gates.
    pub gates: bool,
    /// For the functions of chains.
    pub frames: bool,
}

/// How long a container is spared after its start unless told otherwise.
pub const GRACE: Duration = Duration::from_nanos(GRACE_NANOS);

/// The same in nanoseconds.
pub const GRACE_NANOS: u64 = 500_000_000;

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            pins: "/sys/fs/bpf/faultline".into(),
            protected: Vec::new(),
            kprobes: Kprobes::default(),
            protected_names: RUNTIMES.map(str::to_owned).into(),
            grace: GRACE,
            hottest: Some(HOTTEST),
        }
    }
}

/// The engine on this machine's kernel. Dropping it detaches every program; budgets stay.
///
/// Fields drop in order, so gates go before entry programs and those before exit programs.
#[derive(Debug)]
pub struct Engine {
    pub(super) gates: Gates,
    pub(super) functions: Functions,
    pub(super) followers: Option<[Live; 2]>,
    pub(super) maps: Maps,
    pub(super) facts: Facts,
    pub(super) tree: Tree,
    pub(super) probes: BTreeMap<ProbeId, LiveProbe>,
    /// Places for probe entries that no program can be reading.
    pub(super) free: Vec<u32>,
    pub(super) membership: Membership,
    /// Counts attachments; every program carries the one it was made under.
    pub(super) generation: u64,
    pub(super) symbols: Symbols,
    pub(super) kprobes: Kprobes,
    preflight: Preflight,
}

/// A probe that is in force.
#[derive(Debug)]
pub(super) struct LiveProbe {
    pub(super) content: Content,
    pub(super) index: u32,
    /// What it counted under earlier content.
    pub(super) base: Counters,
}

/// What cannot change in place: other content takes another index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) fault: FaultKind,
    pub(super) call_chain: CallChain,
    pub(super) budget: BudgetKey,
    /// Its probability is 100: what tasks matched under that must not outlast it.
    pub(super) certain: bool,
}

impl Engine {
    /// Sets the maps up, tries every gate once, and attaches nothing that stays.
    ///
    /// # Errors
    /// Why this machine cannot run the engine.
    pub fn open(config: &EngineConfig) -> Result<Self, OpenError> {
        let host = Host::look();
        let mount = host.check()?;
        files::raise_limit();
        let tree = Tree::new(&mount).map_err(|source| OpenError::Io { path: mount, source })?;
        let Tried { facts, maps, gates, symbols, oom_lock } =
            Tried::on(&host, Some(&config.pins), config.kprobes)?;
        spared::spare(&maps, config)?;
        let caveat = spared::watch_oom_killer(&maps, &facts, &oom_lock).err();
        if let Some(caveat) = &caveat {
            tracing::warn!("{caveat}");
        }
        let caveats = caveat.into_iter().collect();
        let preflight = Preflight { caveats, ..report(&host, Vec::new(), gates.verdicts()) };
        Ok(Self {
            gates,
            functions: Functions::with_hottest(config.hottest),
            followers: None,
            maps,
            facts,
            tree,
            probes: BTreeMap::new(),
            free: (0..MAX_PROBES).rev().collect(),
            membership: Membership::default(),
            generation: gates::TRIED,
            symbols,
            kprobes: config.kprobes,
            preflight,
        })
    }

    /// The lease as last set.
    #[must_use]
    pub fn lease(&self) -> BootNanos {
        BootNanos(self.maps.globals.load(globals::LEASE))
    }

    /// Cgroups that are members now, by the kernel's own count: inherited ones are in, removed ones are out.
    #[must_use]
    pub fn members(&self) -> usize {
        self.maps.members().map_or(0, |members| members.len())
    }

    /// The programs attached.
    pub(super) fn lives(&self) -> impl Iterator<Item = &Live> {
        let followers = self.followers.iter().flatten();
        self.gates.programs().chain(self.functions.programs()).chain(followers)
    }

    /// Gates attached from now on inject on the strength of their records alone, which is wrong: what tests compare with.
    #[cfg(any(test, feature = "testing"))]
    pub fn believe_records(&mut self) {
        self.gates.believe_records();
    }
}

impl Kernel for Engine {
    fn preflight(&self) -> Preflight {
        self.preflight.clone()
    }

    fn converge(&mut self, desired: &[ProbeSpec]) -> Vec<ProbeOutcome> {
        converge::converge(self, desired)
    }

    fn rehearse(&mut self, fault: FaultKind, chain: &CallChain) -> Rehearsal {
        self.attach_and_detach(fault, chain)
    }

    fn set_lease(&self, until: BootNanos) {
        self.maps.globals.store(globals::LEASE, until.0);
    }

    fn programs(&self) -> Vec<ProgramStatus> {
        self.lives().map(Live::status).collect()
    }

    fn counters(&self) -> BTreeMap<ProbeId, Counters> {
        self.probes.iter().map(|(id, probe)| (*id, probe.base + self.maps.counters(probe.index))).collect()
    }

    fn spent(&self, key: BudgetKey) -> u64 {
        self.maps.spent(key)
    }

    fn forget_budget(&mut self, key: BudgetKey) {
        if self.probes.values().all(|probe| probe.content.budget != key) {
            self.maps.forget_budget(key);
        }
    }
}

/// What an engine is made of, but for the hierarchy of cgroups: every gate was tried.
pub(super) struct Tried {
    facts: Facts,
    maps: Maps,
    pub(super) gates: Gates,
    symbols: Symbols,
    oom_lock: Listed,
}

impl Tried {
    pub(super) fn on(host: &Host, pins: Option<&Path>, kprobes: Kprobes) -> Result<Self, OpenError> {
        let path = || PathBuf::from(host::BTF);
        let bytes = std::fs::read(host::BTF).map_err(|source| OpenError::NoBtf { path: path(), source })?;
        let btf = Btf::parse(bytes)?;
        let facts = Facts::from_btf(&btf)?;
        let (symbols, table) = Symbols::read(&btf, names()).map_err(unread)?;
        let oom_lock = table.listed(symbol::OOM_LOCK, None);
        let table = targets(&table)?;
        let maps = Maps::create(pins)?;
        let gates = Gates::try_all(&btf, &facts, &maps, host, &table, kprobes);
        Ok(Self { facts, maps, gates, symbols, oom_lock })
    }
}

/// Whether the symbol table shows where functions are.
pub(super) fn shown() -> Result<(), OpenError> {
    targets(&symbols::read(names()).map_err(unread)?.0).map(drop)
}

/// The names that are asked for before any chain is.
fn names() -> impl Iterator<Item = String> {
    FaultKind::ALL.map(FaultKind::function).into_iter().chain([symbol::OOM_LOCK]).map(str::to_owned)
}

/// What the symbol table says of the target functions.
fn targets(table: &Table) -> Result<BTreeMap<FaultKind, Listed>, OpenError> {
    if names().any(|name| table.listed(&name, None).addresses.contains(&0)) {
        return Err(OpenError::HiddenSymbols);
    }
    Ok(FaultKind::ALL.map(|kind| (kind, table.listed(kind.function(), None))).into())
}

fn unread(source: std::io::Error) -> OpenError {
    OpenError::Io { path: symbols::TABLE.into(), source }
}

pub(super) fn report(host: &Host, obstacles: Vec<Obstacle>, faults: Vec<FaultVerdict>) -> Preflight {
    Preflight {
        release: host.release.clone(),
        arch: host.arch.clone(),
        lockdown: host.lockdown.clone(),
        cgroup2: host.cgroup2.clone(),
        obstacles,
        faults,
        caveats: Vec::new(),
    }
}
