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
/// A zero before the addresses: what a walk that has found all frames goes on comparing with.
pub const NO_SITE: usize = FUNCTIONS + 2 * (MAX_FRAMES + 1);
/// Address of each frame's function.
pub const SITES: usize = NO_SITE + 8;
/// Size of an entry in bytes.
pub const SIZE: usize = SITES + 8 * MAX_FRAMES;

/// A return address less than this many bytes after a function's start is the call that the kernel patched
/// into its entry: five bytes, after an optional four of `endbr64`. The function's own first call ends no
/// earlier than ten bytes in. Every live activation with an exit program has exactly one of these on its
/// stack, also where the function's own frame is gone (tail calls) or is skipped by the unwinder.
pub const SITE_SPAN: i32 = 10;

/// A frame of a chain: a function of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The function's number, 1 and up.
    pub function: u16,
    /// Where it starts.
    pub address: u64,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it makes fail.
    pub target: Target,
    /// Key of its budget.
    pub budget: [u8; 16],
    /// Outermost first; what exceeds [`MAX_FRAMES`] is not encoded.
    pub frames: Vec<Frame>,
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
        for (position, frame) in frames.iter().enumerate() {
            put(&mut entry, FUNCTIONS + 2 * position, &frame.function.to_le_bytes());
            put(&mut entry, SITES + 8 * position, &frame.address.to_le_bytes());
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_chain_still_ends_with_a_zero() {
        let frames = vec![Frame { function: 3, address: 0x1122 }; MAX_FRAMES];
        let entry = Probe { target: Target::Bio, budget: [9; 16], frames }.encode();
        assert_eq!(entry[TARGET..BUDGET], [2, 0, 0, 0, 15, 0, 0, 0]);
        assert_eq!(entry[BUDGET..FUNCTIONS], [9; 16]);
        assert_eq!(entry[NO_SITE - 4..NO_SITE], [3, 0, 0, 0]);
        assert_eq!(entry[NO_SITE..SITES + 2], [0, 0, 0, 0, 0, 0, 0, 0, 0x22, 0x11]);
        assert_eq!(entry[SIZE - 8..], 0x1122u64.to_le_bytes());
    }
}
