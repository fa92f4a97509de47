//! A memory whose content follows from its addresses.

use faultline_ebpf::predicate::{Memory, Space};

/// Texts in it are short, some of it cannot be read, and no address is far from one that can.
#[derive(Debug, Clone)]
pub struct Imagined {
    /// What everything follows from.
    pub seed: u64,
}

impl Memory for Imagined {
    fn argument(&self, nth: u16) -> u64 {
        let word = mixed(self.seed ^ u64::from(nth) << 40);
        // Large numbers, and small ones of either sign.
        if word.is_multiple_of(3) { word % 7 } else { word.rotate_left(u32::from(nth)) }
    }

    fn current(&self) -> u64 {
        0xffff_8880_0000_4000
    }

    fn byte(&self, space: Space, address: u64) -> Option<u8> {
        let block = mixed(self.seed ^ address >> 5 ^ if space == Space::User { 1 << 60 } else { 0 });
        let nth = usize::try_from(mixed(block ^ address) % 4).ok()?;
        (!block.is_multiple_of(8)).then(|| b"ab\0\xff"[nth])
    }
}

const fn mixed(word: u64) -> u64 {
    let word = (word ^ word >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ word >> 29
}
