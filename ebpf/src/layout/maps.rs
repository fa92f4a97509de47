//! How each map is made.

use super::{MAX_BUDGETS, MAX_CGROUPS, MAX_PROBES, counters, globals, hot, members, probe, spared, task};
use crate::asm::MapId;

/// The kernel's kinds of map that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    /// An array.
    Array,
    /// An array whose only value is mapped into the agent.
    Mapped,
    /// An array with a value per CPU.
    PerCpuArray,
    /// A hash table, allocated in advance: nothing may allocate inside an allocation.
    Hash,
    /// Storage that hangs on tasks.
    TaskStorage,
}

/// The shape of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapShape {
    /// Its kind.
    pub kind: MapKind,
    /// Size of a key in bytes.
    pub key: u32,
    /// Size of a value in bytes.
    pub value: u32,
    /// How many entries; task storage takes none.
    pub entries: u32,
}

/// The shape of a map.
#[must_use]
pub const fn shape(map: MapId) -> MapShape {
    match map {
        MapId::Globals => make(MapKind::Mapped, 4, globals::SIZE, 1),
        MapId::Hot => make(MapKind::Mapped, 4, hot::SIZE, 1),
        MapId::Probes => make(MapKind::Array, 4, probe::SIZE, MAX_PROBES),
        MapId::Members => make(MapKind::Hash, 8, members::SIZE, MAX_CGROUPS),
        MapId::Budgets => make(MapKind::Hash, 16, 8, MAX_BUDGETS),
        MapId::Counters => make(MapKind::PerCpuArray, 4, counters::SIZE, MAX_PROBES),
        MapId::Spared => make(MapKind::Hash, spared::SIZE as u32, 8, spared::ENTRIES),
        MapId::Tasks => make(MapKind::TaskStorage, 4, task::SIZE, 0),
        MapId::Busy | MapId::Calls => make(MapKind::PerCpuArray, 4, 8, 1),
    }
}

const fn make(kind: MapKind, key: u32, value: usize, entries: u32) -> MapShape {
    #[expect(clippy::cast_possible_truncation, reason = "all values are far below 4 GiB")]
    MapShape { kind, key, value: value as u32, entries }
}
