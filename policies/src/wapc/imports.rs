//! The functions of `wapc` by which a guest reads its question and answers it.

use faultline_core::review::Undecided;
use wasmtime::{Caller, Linker};

use super::{conversation::Conversation, log, memory::window};
use crate::{call::Ended, engine::limits};

/// The module that they are imported from.
pub(super) const MODULE: &str = "wapc";

/// Defines `__guest_request`, `__guest_response`, `__guest_error` and `__console_log`.
pub(super) fn define(linker: &mut Linker<Conversation>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "__guest_request", request)?;
    linker.func_wrap(MODULE, "__guest_response", |mut caller: Caller<'_, Conversation>, at, len| {
        let said = taken(&mut caller, at, len)?;
        caller.data_mut().response = Some(said);
        Ok(())
    })?;
    linker.func_wrap(MODULE, "__guest_error", |mut caller: Caller<'_, Conversation>, at, len| {
        let said = taken(&mut caller, at, len)?;
        caller.data_mut().error = Some(said);
        Ok(())
    })?;
    linker.func_wrap(MODULE, "__console_log", |mut caller: Caller<'_, Conversation>, at, len| {
        write_log(&mut caller, at, len)
    })?;
    Ok(())
}

/// Hands over the operation and its payload, whose lengths the guest was called with.
fn request(mut caller: Caller<'_, Conversation>, operation: u32, payload: u32) -> wasmtime::Result<()> {
    let lengths = (caller.data().operation.len(), caller.data().payload.len());
    let (bytes, conversation) = window(&mut caller, operation, lengths.0)?;
    bytes.copy_from_slice(conversation.operation.as_bytes());
    let (bytes, conversation) = window(&mut caller, payload, lengths.1)?;
    bytes.copy_from_slice(&conversation.payload);
    Ok(())
}

/// What the guest says, a copy of it.
fn taken(caller: &mut Caller<'_, Conversation>, at: u32, len: u32) -> wasmtime::Result<Vec<u8>> {
    let len = usize::try_from(len)?;
    let (bytes, _) = window(caller, at, len)?;
    if len > limits::ANSWER {
        let why = format!("{len} bytes, more than {} KiB", limits::ANSWER >> 10);
        return Err(Ended(Undecided::BadAnswer(why)).into());
    }
    Ok(bytes.to_vec())
}

/// Adds to the log as much as it would keep.
pub(super) fn write_log(caller: &mut Caller<'_, Conversation>, at: u32, len: u32) -> wasmtime::Result<()> {
    let (bytes, conversation) = window(caller, at, usize::try_from(len)?)?;
    conversation.log.write(&bytes[bytes.len().saturating_sub(log::KEPT)..]);
    Ok(())
}
