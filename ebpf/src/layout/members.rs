//! Which probes apply in a cgroup.

use super::put;

/// Identity of the list's content: tasks drop what they matched under another one.
pub const VERSION: usize = 0;
/// Probes in the list.
pub const COUNT: usize = 8;
/// How many of them have frames.
pub const CHAINED: usize = 12;
/// Their indices, 32 bits each. The place in the list is the probe's slot.
pub const PROBES: usize = 16;

/// Probes that may apply in one cgroup: progress of all of them is one 64-bit word.
pub const SLOTS: usize = 16;

/// Size of an entry in bytes.
pub const SIZE: usize = PROBES + 4 * SLOTS;

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// Unique for its content while the maps live; never 0, which is what a fresh task state holds.
    pub version: u64,
    /// Indices; what exceeds [`SLOTS`] is not encoded.
    pub probes: Vec<u32>,
    /// How many of them have frames.
    pub chained: u32,
}

impl Members {
    /// The bytes of the entry.
    #[must_use]
    pub fn encode(&self) -> [u8; SIZE] {
        let mut entry = [0; SIZE];
        let probes = self.probes.get(..SLOTS).unwrap_or(&self.probes);
        put(&mut entry, VERSION, &self.version.to_le_bytes());
        put(&mut entry, COUNT, &u32::try_from(probes.len()).unwrap_or(0).to_le_bytes());
        put(&mut entry, CHAINED, &self.chained.to_le_bytes());
        for (slot, probe) in probes.iter().enumerate() {
            put(&mut entry, PROBES + 4 * slot, &probe.to_le_bytes());
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_too_long_is_cut_at_the_last_slot() {
        let entry = Members { version: 1, probes: (0..20).collect(), chained: 2 }.encode();
        assert_eq!(entry[COUNT..PROBES], [16, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(entry[SIZE - 4..], [15, 0, 0, 0]);
    }
}
