//! A probe's unchanging part.

use super::{MAX_FRAMES, MAX_FUNCTIONS, MAX_PREDICATES, put};
use crate::Target;

/// Target, as [`Target::code`].
pub const TARGET: usize = 0;
/// Number of frames.
pub const FRAMES: usize = 4;
/// Key of its budget.
pub const BUDGET: usize = 8;
/// The steps of its chain, 16 bits each, outermost first: see [`Step`]. The last is the target's own.
///
/// There is one place more than there can be frames: the target's step has no function, so a finished chain never
/// advances.
pub const STEPS: usize = 24;
/// Whether its probability is 100: then every draw favours it, and it does not matter which activation made it.
pub const CERTAIN: usize = STEPS + 2 * (MAX_FRAMES + 1);
/// Size of an entry in bytes.
pub const SIZE: usize = CERTAIN + 8;

/// Bits of a step that hold the number of its function.
pub const FUNCTION_BITS: i32 = 10;
const _: () = assert!(MAX_FUNCTIONS < 1 << FUNCTION_BITS && MAX_PREDICATES < 1 << (16 - FUNCTION_BITS));

/// What a chain waits for: the entry of a function, and what must hold there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Number of the function, 1 and up; 0 for the target.
    pub function: u16,
    /// Number of the predicate among those of the function or target, 1 and up; 0 for none.
    pub predicate: u8,
}

impl Step {
    /// The step as one word.
    #[must_use]
    pub const fn word(self) -> u16 {
        (self.predicate as u16) << FUNCTION_BITS | self.function
    }
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it makes fail.
    pub target: Target,
    /// Key of its budget.
    pub budget: [u8; 16],
    /// The frames, outermost first; what exceeds [`MAX_FRAMES`] is not encoded.
    pub frames: Vec<Step>,
    /// Number of the target's own predicate; 0 for none.
    pub predicate: u8,
    /// Its probability is 100, and stays so.
    pub certain: bool,
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
        put(&mut entry, CERTAIN, &u32::from(self.certain).to_le_bytes());
        let target = Step { function: 0, predicate: self.predicate };
        for (position, step) in frames.iter().chain([&target]).enumerate() {
            put(&mut entry, STEPS + 2 * position, &step.word().to_le_bytes());
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_chain_still_ends_with_a_step_that_has_no_function() {
        let frames = vec![Step { function: 3, predicate: 1 }; MAX_FRAMES + 1];
        let entry =
            Probe { target: Target::Bio, budget: [9; 16], frames, predicate: 63, certain: true }.encode();
        assert_eq!(entry[TARGET..BUDGET], [2, 0, 0, 0, 15, 0, 0, 0]);
        assert_eq!(entry[BUDGET..STEPS], [9; 16]);
        assert_eq!(entry[CERTAIN - 4..CERTAIN], [3, 4, 0, 63 << 2]);
        assert_eq!(entry[CERTAIN..], [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
