//! What single instructions come to, for the machines that run programs here.

/// Bytes that a load or store of this code moves.
pub(crate) fn width(code: u8) -> usize {
    match code & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

/// The result of a 64-bit operation.
pub(crate) fn alu(op: u8, a: u64, b: u64) -> u64 {
    match op {
        0x00 => a.wrapping_add(b),
        0x10 => a.wrapping_sub(b),
        0x20 => a.wrapping_mul(b),
        0x30 => a.checked_div(b).unwrap_or(0),
        0x40 => a | b,
        0x50 => a & b,
        0x60 => a << (b & 63),
        0x70 => a >> (b & 63),
        0x90 => a.checked_rem(b).unwrap_or(a),
        0xa0 => a ^ b,
        0xb0 => b,
        0xc0 => (a as i64 >> (b & 63)) as u64,
        op => panic!("operation {op:#x}"),
    }
}

/// Whether a 64-bit comparison holds.
pub(crate) fn jumps(op: u8, a: u64, b: u64) -> bool {
    let (s, t) = (a as i64, b as i64);
    match op {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => s > t,
        0x70 => s >= t,
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => s < t,
        0xd0 => s <= t,
        op => panic!("comparison {op:#x}"),
    }
}
