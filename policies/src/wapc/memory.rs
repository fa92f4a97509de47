//! The guest's memory, at addresses that the guest names.

use faultline_core::review::Undecided;
use wasmtime::{Caller, Extern, Trap};

use super::conversation::Conversation;
use crate::call::Ended;

/// Fuel for a call to the host, however little it does.
const CALL_FUEL: u64 = 50;
/// Bytes that one unit of fuel copies.
const BYTES_PER_FUEL: u64 = 16;

/// `len` bytes from `at` on, with the host's side of the conversation. Costs fuel, so that a guest cannot have the host
/// copy for it without end.
///
/// # Errors
/// The range does not lie in the guest's memory, or the fuel is used up: the call ends.
pub(super) fn window<'a>(
    caller: &'a mut Caller<'_, Conversation>,
    at: u32,
    len: usize,
) -> wasmtime::Result<(&'a mut [u8], &'a mut Conversation)> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(Ended(Undecided::RefusedModule("it exports no memory".to_owned())).into());
    };
    let start = usize::try_from(at)?;
    let size = memory.data_size(&mut *caller);
    let Some(end) = start.checked_add(len).filter(|end| *end <= size) else {
        let why = format!("it points at {len} bytes from {at} on, and its memory has {size}");
        return Err(Ended(Undecided::BadAnswer(why)).into());
    };
    burn(caller, len)?;
    let (data, conversation) = memory.data_and_store_mut(caller);
    Ok((&mut data[start..end], conversation))
}

/// Takes the fuel for a call that moves `len` bytes.
///
/// # Errors
/// There is not enough.
pub(super) fn burn(caller: &mut Caller<'_, Conversation>, len: usize) -> wasmtime::Result<()> {
    let cost = CALL_FUEL + u64::try_from(len)? / BYTES_PER_FUEL;
    let left = caller.get_fuel()?.checked_sub(cost);
    caller.set_fuel(left.unwrap_or(0))?;
    left.map(drop).ok_or_else(|| Trap::OutOfFuel.into())
}

/// Writes one number, least significant byte first.
///
/// # Errors
/// As for [`window`].
pub(super) fn put<const N: usize>(
    caller: &mut Caller<'_, Conversation>,
    at: u32,
    bytes: [u8; N],
) -> wasmtime::Result<()> {
    window(caller, at, N)?.0.copy_from_slice(&bytes);
    Ok(())
}
