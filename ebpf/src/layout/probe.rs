//! A probe's unchanging part.

use super::{MAX_FRAMES, put};
use crate::Target;

/// Target, as [`Target::code`].
pub const TARGET: usize = 0;
/// Number of frames.
pub const FRAMES: usize = 4;
/// Key of its budget.
pub const BUDGET: usize = 8;
/// Number of the function of each frame, 16 bits each, outermost first; 0 ends the list.
///
/// There is one place more than there can be frames, so that a finished chain reads a 0 and never advances.
pub const FUNCTIONS: usize = 24;
/// Size of an entry in bytes.
pub const SIZE: usize = FUNCTIONS + 2 * (MAX_FRAMES + 1);

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it makes fail.
    pub target: Target,
    /// Key of its budget.
    pub budget: [u8; 16],
    /// Numbers of functions, 1 and up, outermost first; what exceeds [`MAX_FRAMES`] is not encoded.
    pub frames: Vec<u16>,
}

impl Probe {
    /// The bytes of the entry.
    #[must_use]
    pub fn encode(&self) -> [u8; SIZE] {
        let mut entry = [0; SIZE];
        let frames = self.frames.get(..MAX_FRAMES).unwrap_or(&self.frames);
        let count = u32::try_from(frames.len()).unwrap_or(0);
        put(&mut entry, TARGET, &self.target.code().to_le_bytes());
        put(&mut entry, FRAMES, &count.to_le_bytes());
        put(&mut entry, BUDGET, &self.budget);
        for (position, function) in frames.iter().enumerate() {
            put(&mut entry, FUNCTIONS + 2 * position, &function.to_le_bytes());
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_chain_still_ends_with_a_zero() {
        let entry = Probe { target: Target::Bio, budget: [9; 16], frames: vec![3; MAX_FRAMES + 1] }.encode();
        assert_eq!(entry[TARGET..BUDGET], [2, 0, 0, 0, 15, 0, 0, 0]);
        assert_eq!(entry[BUDGET..FUNCTIONS], [9; 16]);
        assert_eq!(entry[SIZE - 4..], [3, 0, 0, 0]);
    }
}
