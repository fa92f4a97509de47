//! The functions of `wapc` by which a guest asks the host. It is told nothing: a verdict depends on the module, its
//! settings and the review alone. What it logs is taken.

use wasmtime::{Caller, Linker};

use super::{
    conversation::Conversation,
    imports::{MODULE, write_log},
    length,
    memory::{burn, window},
};

/// Bytes of each name of a call that are shown.
const NAME_BYTES: usize = 64;
/// Distinct calls that are remembered.
const MOST: usize = 16;

/// Defines `__host_call` and the four by which a guest learns what came of it.
pub(super) fn define(linker: &mut Linker<Conversation>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "__host_call", host_call)?;
    // A call that succeeds answers with nothing.
    linker.func_wrap(MODULE, "__host_response_len", |mut caller: Caller<'_, Conversation>| {
        burn(&mut caller, 0).map(|()| 0_u32)
    })?;
    linker.func_wrap(MODULE, "__host_response", |mut caller: Caller<'_, Conversation>, at: u32| {
        window(&mut caller, at, 0).map(drop)
    })?;
    linker.func_wrap(MODULE, "__host_error_len", |mut caller: Caller<'_, Conversation>| {
        burn(&mut caller, 0).map(|()| length(caller.data().refusal.as_bytes()))
    })?;
    linker.func_wrap(MODULE, "__host_error", |mut caller: Caller<'_, Conversation>, at: u32| {
        let len = caller.data().refusal.len();
        let (bytes, conversation) = window(&mut caller, at, len)?;
        bytes.copy_from_slice(conversation.refusal.as_bytes());
        Ok(())
    })?;
    Ok(())
}

/// A call of `operation` in `namespace` of `binding`, each an address and a length, with a payload: 1 where it
/// succeeds, and only logging does.
#[expect(clippy::too_many_arguments, reason = "waPC has it so")]
fn host_call(
    mut caller: Caller<'_, Conversation>,
    binding: u32,
    binding_len: u32,
    namespace: u32,
    namespace_len: u32,
    operation: u32,
    operation_len: u32,
    payload: u32,
    payload_len: u32,
) -> wasmtime::Result<u32> {
    let binding = name(&mut caller, binding, binding_len)?;
    let namespace = name(&mut caller, namespace, namespace_len)?;
    let operation = name(&mut caller, operation, operation_len)?;
    window(&mut caller, payload, usize::try_from(payload_len)?)?;
    if (&*binding, &*namespace, &*operation) == ("kubewarden", "tracing", "log") {
        write_log(&mut caller, payload, payload_len)?;
        caller.data_mut().refusal.clear();
        return Ok(1);
    }
    let call = format!("{binding} {namespace} {operation}");
    let conversation = caller.data_mut();
    conversation.refusal = format!("{call}: nothing answers this here");
    if conversation.unanswered.len() < MOST {
        conversation.unanswered.insert(call);
    }
    Ok(0)
}

/// A name as it is shown.
fn name(caller: &mut Caller<'_, Conversation>, at: u32, len: u32) -> wasmtime::Result<String> {
    let (bytes, _) = window(caller, at, usize::try_from(len)?)?;
    let shown = &bytes[..bytes.len().min(NAME_BYTES)];
    Ok(String::from_utf8_lossy(shown).replace(char::is_control, " "))
}
