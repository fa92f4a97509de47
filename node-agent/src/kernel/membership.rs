//! Which cgroup carries which probes: written whole, list by list, and kept in step with the tree.

use std::collections::{BTreeMap, BTreeSet};

use faultline_ebpf::layout::globals::{BITMAP, BITMAP_BITS, bitmap_place};
use faultline_ebpf::layout::members::{self, Members, SLOTS};

use super::maps::Maps;
use super::sys::BpfError;

/// Probe indices by cgroup id.
pub(super) type Lists = BTreeMap<u64, BTreeSet<u32>>;

/// The versions of the lists in force. A version belongs to one content for good.
#[derive(Debug, Default)]
pub(super) struct Membership {
    versions: BTreeMap<BTreeSet<u32>, u64>,
    last: u64,
}

impl Membership {
    /// Forgets the versions of lists that are not in use; the same list gets another one next time.
    pub(super) fn begin(&mut self, lists: &Lists) {
        let used: BTreeSet<&BTreeSet<u32>> = lists.values().collect();
        self.versions.retain(|list, _| used.contains(list));
    }

    /// Writes one list where the kernel has another, then sets its bit.
    pub(super) fn write(
        &mut self,
        maps: &Maps,
        cgroup: u64,
        list: &BTreeSet<u32>,
        chained: &BTreeSet<u32>,
        present: Option<&Vec<u8>>,
    ) -> Result<(), BpfError> {
        let version = *self.versions.entry(list.clone()).or_insert_with(|| {
            self.last += 1;
            self.last
        });
        let chained = u32::try_from(list.intersection(chained).count()).unwrap_or(0);
        let entry = Members { version, probes: list.iter().copied().collect(), chained }.encode();
        if present.is_none_or(|present| present.as_slice() != entry) {
            maps.write_members(cgroup, &entry)?;
        }
        let (word, bit) = bitmap_place(cgroup);
        maps.globals.set(word, bit);
        Ok(())
    }
}

/// The probes of a list as it is in the kernel.
pub(super) fn probes_of(entry: &[u8]) -> BTreeSet<u32> {
    let word =
        |at: usize| entry.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes);
    let count = (word(members::COUNT) as usize).min(SLOTS);
    (0..count).map(|slot| word(members::PROBES + 4 * slot)).collect()
}

/// Clears bits that stand for nobody any more.
///
/// A child may be made between the reading and the storing, and set its bit; the second reading puts it back.
/// For that moment the child is out of scope, never the other way round.
pub(super) fn recount_bits(maps: &Maps) -> Result<(), BpfError> {
    let mut words = BTreeMap::new();
    for cgroup in maps.members()?.into_keys() {
        let (word, bit) = bitmap_place(cgroup);
        *words.entry(word).or_insert(0) |= bit;
    }
    for word in (BITMAP..).step_by(8).take((BITMAP_BITS / 64) as usize) {
        let wanted = words.get(&word).copied().unwrap_or(0);
        if maps.globals.load(word) & !wanted != 0 {
            maps.globals.store(word, wanted);
        }
    }
    for cgroup in maps.members()?.into_keys() {
        let (word, bit) = bitmap_place(cgroup);
        maps.globals.set(word, bit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_as_it_was_written() {
        let list: BTreeSet<u32> = [3, 9, 700].into();
        let entry = Members { version: 4, probes: list.iter().copied().collect(), chained: 1 }.encode();
        assert_eq!(probes_of(&entry), list);
    }

    #[test]
    fn damaged_bytes_name_no_more_probes_than_there_are_slots() {
        assert!(probes_of(&[0xff; members::SIZE]).len() <= SLOTS);
        assert!(probes_of(&[0xff; 12]).len() <= 1);
    }
}
