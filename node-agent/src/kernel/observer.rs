//! A program that tests bring along, with maps of its own: what they count with, beside the engine and apart from it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use faultline_ebpf::asm::{MapId, Program};
use faultline_ebpf::layout::maps::MapShape;

use super::maps;
use super::programs::{Alone, ProgramStatus};
use super::sys::{self, BpfError, MapRequest};

/// The program, attached until this is dropped.
#[derive(Debug)]
pub struct Observer {
    program: Alone,
    maps: BTreeMap<MapId, (OwnedFd, MapShape)>,
}

impl Observer {
    /// Makes maps of these shapes for the places that the program calls by those names, and attaches it. They have
    /// nothing to do with the engine's; maps per CPU and task storage cannot be had.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn attach(program: &Program, shapes: &[(MapId, MapShape)]) -> Result<Self, BpfError> {
        let mut maps = BTreeMap::new();
        for (id, shape) in shapes {
            maps.insert(*id, (create(*shape)?, *shape));
        }
        let number = |id| maps.get(&id).map_or(-1, |(map, _): &(OwnedFd, _)| map.as_raw_fd());
        Ok(Self { program: Alone::attach_with(program, number)?, maps })
    }

    /// The value of a key; absent where the map has none.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn value(&self, map: MapId, key: &[u8]) -> Result<Option<Vec<u8>>, BpfError> {
        let Some((map, shape)) = self.maps.get(&map) else { return Ok(None) };
        let mut value = vec![0; shape.value as usize];
        Ok(sys::map_lookup(map.as_fd(), key, &mut value)?.map(|()| value))
    }

    /// What the kernel says of the program.
    #[must_use]
    pub fn status(&self) -> ProgramStatus {
        self.program.status()
    }
}

fn create(MapShape { kind, key, value, entries }: MapShape) -> Result<OwnedFd, BpfError> {
    let (kind, flags) = maps::numbers(kind);
    sys::map_create(&MapRequest {
        name: "observer",
        kind,
        key,
        value,
        entries,
        flags,
        types: None,
        inner: None,
    })
}
