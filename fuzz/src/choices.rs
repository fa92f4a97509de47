//! An input as a series of choices: whatever the bytes, they choose something.

/// Bytes that are still to choose with. When they are used up, the first of everything is chosen.
#[derive(Debug, Clone)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Every byte is one choice.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left to choose with.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let low = usize::from(self.byte());
        if bound <= 256 { low % bound } else { (low | usize::from(self.byte()) << 8) % bound }
    }

    /// One of these.
    pub fn of<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }

    /// A number that is often small, and sometimes at an edge.
    pub fn number(&mut self) -> u64 {
        let byte = self.byte();
        match byte {
            0..=199 => u64::from(byte % 20),
            200..=219 => u64::from(self.byte()) << (byte & 7),
            220..=235 => (1 << (self.byte() & 63)) - 1,
            _ => (1 << (self.byte() & 63)) | u64::from(byte & 1),
        }
    }
}
