//! What may change in a probe while programs read it: three words, each stored whole.

/// Distance between probes.
pub const STRIDE_SHIFT: i32 = 5;
/// Percent, 0 to 100.
pub const PROBABILITY: usize = 0;
/// Injections allowed under the probe's budget; all ones is without limit.
pub const TIMES: usize = 8;
/// The probe's own end, boot clock nanoseconds; 0 disarms it.
pub const ENDS: usize = 16;

/// Size of the value in bytes.
pub const SIZE: usize = (super::MAX_PROBES as usize) << STRIDE_SHIFT;

/// Where a word of a probe is, in bytes from the start of the value.
#[must_use]
pub const fn offset(probe: u32, word: usize) -> usize {
    ((probe as usize) << STRIDE_SHIFT) + word
}
