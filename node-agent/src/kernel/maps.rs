//! The engine's maps: made from the layouts, linked into every program.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use aya_obj::generated::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, bpf_map_type};
use faultline_ebpf::asm::MapId;
use faultline_ebpf::btf::BtfBuilder;
use faultline_ebpf::layout::counters::{self, Counter};
use faultline_ebpf::layout::maps::{MapKind, MapShape, shape};
use faultline_ebpf::layout::{members, spared};

use super::error::OpenError;
use super::host::{lacking, possible_cpus};
use super::spec::{BudgetKey, Counters, Guarded};
use super::stacks;
use super::sys::{self, BpfError, MapRequest};
use super::words::Words;

/// File name of the pinned budgets; the number is that of the layout.
const BUDGETS: &str = "faultline_budgets_v1";

/// `statfs` type of bpffs.
const BPFFS: i64 = 0xcafe_4a11;

/// An update that must not replace what is there.
const NO_EXIST: u64 = 1;

/// All maps, open.
#[derive(Debug)]
pub(super) struct Maps {
    maps: BTreeMap<MapId, OwnedFd>,
    /// An array of maps, whose update the kernel ends with a wait for all running programs.
    barrier: OwnedFd,
    /// Keeps call stacks from being cut shorter.
    _stacks: OwnedFd,
    pub(super) globals: Words,
    pub(super) hot: Words,
    cpus: usize,
}

impl Maps {
    /// Budgets are pinned beneath `pins`; without it they go with the process.
    pub(super) fn create(pins: Option<&Path>) -> Result<Self, OpenError> {
        let mut maps = BTreeMap::new();
        for id in MapId::ALL {
            let map = match pins {
                Some(pins) if id == MapId::Budgets => budgets(pins)?,
                _ => create(id).map_err(setup(id.name()))?,
            };
            maps.insert(id, map);
        }
        let barrier = barrier(&maps).map_err(setup("barrier"))?;
        let stacks = stacks::hold()
            .map_err(|error| stacks::refused(&error).unwrap_or_else(|| setup("stacks")(error)))?;
        let words = |id: MapId| {
            let map = maps.get(&id).ok_or(std::io::ErrorKind::NotFound)?;
            Words::map(map, shape(id).value as usize)
        };
        let mapped = |source| OpenError::Io { path: "a BPF map's memory".into(), source };
        let (globals, hot) = (words(MapId::Globals).map_err(mapped)?, words(MapId::Hot).map_err(mapped)?);
        Ok(Self { barrier, _stacks: stacks, globals, hot, maps, cpus: possible_cpus()? })
    }

    /// The descriptor that programs are linked with.
    pub(super) fn number(&self, id: MapId) -> i32 {
        self.maps.get(&id).map_or(-1, AsRawFd::as_raw_fd)
    }

    fn map(&self, id: MapId) -> BorrowedFd<'_> {
        // Every id is in the table from `create` on; the barrier stands in only to keep this total.
        self.maps.get(&id).unwrap_or(&self.barrier).as_fd()
    }

    pub(super) fn write_probe(&self, index: u32, entry: &[u8]) -> Result<(), BpfError> {
        sys::map_update(self.map(MapId::Probes), &index.to_le_bytes(), entry, 0)
    }

    pub(super) fn clear_counters(&self, index: u32) -> Result<(), BpfError> {
        let zeroes = vec![0; counters::SIZE * self.cpus];
        sys::map_update(self.map(MapId::Counters), &index.to_le_bytes(), &zeroes, 0)
    }

    /// Sums over CPUs; zero where the kernel has no such entry.
    pub(super) fn counters(&self, index: u32) -> Counters {
        let mut values = vec![0; counters::SIZE * self.cpus];
        // The array holds every index, so a lookup cannot fail once the map is open.
        let _ = sys::map_lookup(self.map(MapId::Counters), &index.to_le_bytes(), &mut values);
        let sum = |counter: Counter| {
            values.chunks_exact(counters::SIZE).map(|cpu| word(cpu, counter.offset())).sum::<u64>()
        };
        Counters {
            hits: sum(Counter::Hits),
            matches: sum(Counter::Matches),
            rejected: sum(Counter::Rejected),
            unread: sum(Counter::Unread),
            sampled_out: sum(Counter::SampledOut),
            exhausted: sum(Counter::Exhausted),
            expired: sum(Counter::Expired),
            missed_returns: sum(Counter::MissedReturns),
            shadowed: sum(Counter::Shadowed),
            contended: sum(Counter::Contended),
            guarded: Guarded {
                nofail: sum(Counter::NoFail),
                exiting: sum(Counter::Exiting),
                reclaim: sum(Counter::Reclaim),
                oom: sum(Counter::Oom),
                protected: sum(Counter::Protected),
                own: sum(Counter::Own),
                oom_killer: sum(Counter::OomKiller),
                starting: sum(Counter::Starting),
            },
            injections: sum(Counter::Injections),
        }
    }

    /// Makes sure that the budget exists; what is spent of it stays.
    pub(super) fn open_budget(&self, key: BudgetKey) -> Result<(), BpfError> {
        match sys::map_update(self.map(MapId::Budgets), &key.0, &0u64.to_le_bytes(), NO_EXIST) {
            Err(error) if error.is(libc::EEXIST) => Ok(()),
            result => result,
        }
    }

    pub(super) fn spent(&self, key: BudgetKey) -> u64 {
        let mut value = [0; 8];
        match sys::map_lookup(self.map(MapId::Budgets), &key.0, &mut value) {
            Ok(Some(())) => u64::from_le_bytes(value),
            // The map is open and the key has its size, so this is a key that was never used.
            Ok(None) | Err(_) => 0,
        }
    }

    pub(super) fn forget_budget(&self, key: BudgetKey) {
        // Nothing is lost where it stays: the key is never asked for again.
        let _ = sys::map_delete(self.map(MapId::Budgets), &key.0);
    }

    pub(super) fn write_members(&self, cgroup: u64, entry: &[u8]) -> Result<(), BpfError> {
        sys::map_update(self.map(MapId::Members), &cgroup.to_le_bytes(), entry, 0)
    }

    pub(super) fn remove_members(&self, cgroup: u64) -> Result<(), BpfError> {
        sys::map_delete(self.map(MapId::Members), &cgroup.to_le_bytes()).map(drop)
    }

    /// From now on the process or the name with this key is never injected.
    pub(super) fn spare(&self, key: &[u8; spared::SIZE]) -> Result<(), BpfError> {
        sys::map_update(self.map(MapId::Spared), key, &0u64.to_le_bytes(), 0)
    }

    /// The lists as they are in the kernel, those that children inherited included.
    ///
    /// The kernel starts over where the last key is gone, so the number of steps is bounded, and a cgroup
    /// that is removed meanwhile may hide others until the next call.
    pub(super) fn members(&self) -> Result<BTreeMap<u64, Vec<u8>>, BpfError> {
        let map = self.map(MapId::Members);
        let mut lists = BTreeMap::new();
        let (mut key, mut next) = (None::<[u8; 8]>, [0; 8]);
        for _ in 0..2 * shape(MapId::Members).entries {
            let last = key.as_ref().map(<[u8; 8]>::as_slice);
            if sys::map_next_key(map, last, &mut next)?.is_none() {
                break;
            }
            let mut entry = vec![0; members::SIZE];
            if sys::map_lookup(map, &next, &mut entry)?.is_some() {
                lists.insert(u64::from_le_bytes(next), entry);
            }
            key = Some(next);
        }
        Ok(lists)
    }

    /// Returns when every program that was running has returned.
    ///
    /// Tracing programs run inside an RCU read section, and the kernel ends the update of a map of maps with
    /// `synchronize_rcu`, so that user space may count on programs having let go of the old inner map. Unlike
    /// membarrier(2) it does so on one CPU and with `nohz_full` as well.
    pub(super) fn wait_for_programs(&self) -> Result<(), BpfError> {
        let inner = self.map(MapId::Probes).as_raw_fd().to_le_bytes();
        sys::map_update(self.barrier.as_fd(), &0u32.to_le_bytes(), &inner, 0)
    }
}

fn setup(what: &'static str) -> impl FnOnce(BpfError) -> OpenError {
    move |source| match source {
        error if error.is(libc::EPERM) => {
            OpenError::NotPermitted { lacking: lacking(), source: error.source }
        }
        source => OpenError::Setup { what, source },
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
}

pub(super) fn create(id: MapId) -> Result<OwnedFd, BpfError> {
    let MapShape { kind, key, value, entries } = shape(id);
    let name = format!("fl_{}", id.name());
    let (kind, flags) = numbers(kind);
    let mut request = MapRequest { name: &name, kind, key, value, entries, flags, types: None, inner: None };
    if id == MapId::Tasks {
        let (types, key_type, value_type) = storage_types(value);
        let btf = sys::btf_load(&types)?;
        request.types = Some((btf.as_fd(), key_type, value_type));
        return sys::map_create(&request);
    }
    sys::map_create(&request)
}

pub(super) fn numbers(kind: MapKind) -> (u32, u32) {
    use bpf_map_type as kinds;
    match kind {
        MapKind::Array => (kinds::BPF_MAP_TYPE_ARRAY as u32, 0),
        MapKind::Mapped => (kinds::BPF_MAP_TYPE_ARRAY as u32, BPF_F_MMAPABLE),
        MapKind::PerCpuArray => (kinds::BPF_MAP_TYPE_PERCPU_ARRAY as u32, 0),
        MapKind::Hash => (kinds::BPF_MAP_TYPE_HASH as u32, 0),
        MapKind::TaskStorage => (kinds::BPF_MAP_TYPE_TASK_STORAGE as u32, BPF_F_NO_PREALLOC),
    }
}

/// Task storage wants its key and value described: an int, and a struct of nothing but bytes.
fn storage_types(size: u32) -> (Vec<u8>, u32, u32) {
    let mut btf = BtfBuilder::new();
    let key = btf.int("int", 4);
    let byte = btf.int("unsigned char", 1);
    let bytes = btf.array(byte, key, size);
    let value = btf.structure("faultline_task", size, &[("bytes", bytes, 0)]);
    (btf.build(), key, value)
}

fn barrier(maps: &BTreeMap<MapId, OwnedFd>) -> Result<OwnedFd, BpfError> {
    sys::map_create(&MapRequest {
        name: "fl_barrier",
        kind: bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS as u32,
        key: 4,
        value: 4,
        entries: 1,
        flags: 0,
        types: None,
        inner: maps.get(&MapId::Probes).map(AsFd::as_fd),
    })
}

/// Looked at before anything is made: where none is mounted, sysfs says no more than that there is no such file.
pub(super) fn on_bpffs(pins: &Path) -> Result<(), OpenError> {
    let there = pins.ancestors().find(|path| path.exists()).unwrap_or(pins);
    if rustix::fs::statfs(there).is_ok_and(|fs| fs.f_type == BPFFS) {
        return Ok(());
    }
    Err(OpenError::NoBpffs { path: pins.parent().unwrap_or(pins).to_owned() })
}

/// Opens the pinned budgets of an earlier agent, or makes and pins them.
fn budgets(pins: &Path) -> Result<OwnedFd, OpenError> {
    on_bpffs(pins)?;
    fs::create_dir_all(pins).map_err(|source| OpenError::Io { path: pins.to_owned(), source })?;
    let path = pins.join(BUDGETS);
    match sys::pinned(&path) {
        Ok(map) => {
            let MapShape { kind, key, value, entries } = shape(MapId::Budgets);
            let same =
                sys::map_shape(map.as_fd()).is_ok_and(|is| is == (numbers(kind).0, key, value, entries));
            if same { Ok(map) } else { Err(OpenError::ForeignPin { path }) }
        }
        Err(error) if error.is(libc::ENOENT) => {
            let map = create(MapId::Budgets).map_err(setup("budgets"))?;
            sys::pin(map.as_fd(), &path).map_err(setup("pinned budgets"))?;
            Ok(map)
        }
        Err(error) => Err(setup("pinned budgets")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_bpf_file_system_is_mounted_the_error_says_how_to_and_nothing_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let error = budgets(&directory.path().join("bpf/faultline")).unwrap_err().to_string();
        let mount = format!("mount -t bpf bpf {}", directory.path().join("bpf").display());
        assert!(error.contains(&mount), "{error}");
        assert!(!directory.path().join("bpf").exists());
    }
}
