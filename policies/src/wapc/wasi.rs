//! Just enough of WASI preview 1 for the run-time libraries that compilers add. There is no outside: a constant clock,
//! the same random bytes for each instance, no arguments, environment or files, and what is written goes to the log.
//!
//! Numbers and layouts: <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md>.

use faultline_core::review::Undecided;
use wasmtime::{Caller, ExternType, Linker, Module, Val};

use super::{
    conversation::Conversation,
    imports::write_log,
    memory::{burn, put, window},
};
use crate::call::Ended;

const MODULE: &str = "wasi_snapshot_preview1";

/// `errno`.
const SUCCESS: u32 = 0;
const BADF: u32 = 8;
const INVAL: u32 = 28;
const NOSYS: u32 = 52;

/// The time, always: 2020-01-01T00:00:00Z in nanoseconds. Go's run-time library refuses to start at zero.
const NOW: u64 = 1_577_836_800_000_000_000;

/// Functions on file descriptors, of which there are none but standard output and error.
const ON_FILES: [&str; 32] = [
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "sock_accept",
    "sock_shutdown",
];

/// Functions that are not there.
const MISSING: [&str; 4] = ["poll_oneoff", "proc_raise", "sock_recv", "sock_send"];

/// The guest is done.
#[derive(Debug, thiserror::Error)]
#[error("it exited with code {0}")]
pub(super) struct Exit(pub(super) u32);

/// Defines every function of WASI, those that only fail with the type that `module` imports them with.
pub(super) fn define(linker: &mut Linker<Conversation>, module: &Module) -> wasmtime::Result<()> {
    working(linker)?;
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| import.module() == MODULE) {
        let errno = match import.name() {
            name if ON_FILES.contains(&name) => BADF,
            name if MISSING.contains(&name) => NOSYS,
            _ => continue,
        };
        let ExternType::Func(ty) = import.ty() else { continue };
        if ty.results().len() != 1 || !ty.results().all(|result| result.is_i32()) {
            continue;
        }
        linker.func_new(MODULE, import.name(), ty, move |mut caller, _, results| {
            results.fill(Val::I32(errno.cast_signed()));
            burn(&mut caller, 0)
        })?;
    }
    Ok(())
}

/// Those that do something.
fn working(linker: &mut Linker<Conversation>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "proc_exit", |code: u32| -> wasmtime::Result<()> { Err(Exit(code).into()) })?;
    linker.func_wrap(MODULE, "sched_yield", |mut caller: Caller<'_, Conversation>| {
        burn(&mut caller, 0).map(|()| SUCCESS)
    })?;
    for (sizes, lists) in [("args_sizes_get", "args_get"), ("environ_sizes_get", "environ_get")] {
        linker.func_wrap(MODULE, sizes, nothing)?;
        linker.func_wrap(MODULE, lists, |mut caller: Caller<'_, Conversation>, _: u32, _: u32| {
            burn(&mut caller, 0).map(|()| SUCCESS)
        })?;
    }
    linker.func_wrap(MODULE, "clock_res_get", |caller: Caller<'_, Conversation>, clock: u32, at: u32| {
        clock_value(caller, clock, at, 1)
    })?;
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |caller: Caller<'_, Conversation>, clock: u32, _: u64, at: u32| clock_value(caller, clock, at, NOW),
    )?;
    linker.func_wrap(MODULE, "random_get", random)?;
    linker.func_wrap(MODULE, "fd_write", write)?;
    Ok(())
}

/// There are none, of no bytes.
fn nothing(mut caller: Caller<'_, Conversation>, count: u32, bytes: u32) -> wasmtime::Result<u32> {
    put(&mut caller, count, 0_u32.to_le_bytes())?;
    put(&mut caller, bytes, 0_u32.to_le_bytes())?;
    Ok(SUCCESS)
}

/// `value` of a clock: real time, monotonic, and the CPU's for the process and the thread.
fn clock_value(
    mut caller: Caller<'_, Conversation>,
    clock: u32,
    at: u32,
    value: u64,
) -> wasmtime::Result<u32> {
    if clock > 3 {
        return burn(&mut caller, 0).map(|()| INVAL);
    }
    put(&mut caller, at, value.to_le_bytes())?;
    Ok(SUCCESS)
}

/// SplitMix64, from the same seed in each instance: hash maps want to be seeded, and nothing here is a secret.
fn random(mut caller: Caller<'_, Conversation>, at: u32, len: u32) -> wasmtime::Result<u32> {
    let (bytes, conversation) = window(&mut caller, at, usize::try_from(len)?)?;
    for chunk in bytes.chunks_mut(8) {
        conversation.random = conversation.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = conversation.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
    }
    Ok(SUCCESS)
}

/// Writes `count` pieces, an address and a length each, and says at `written` how many bytes those were.
fn write(
    mut caller: Caller<'_, Conversation>,
    fd: u32,
    pieces: u32,
    count: u32,
    written: u32,
) -> wasmtime::Result<u32> {
    if !(1..=2).contains(&fd) {
        return burn(&mut caller, 0).map(|()| BADF);
    }
    let len = usize::try_from(count)?.checked_mul(8).ok_or_else(too_long)?;
    let pieces = window(&mut caller, pieces, len)?.0.to_vec();
    let mut total = 0_u32;
    for piece in pieces.chunks_exact(8) {
        let [at, len] = [&piece[..4], &piece[4..]].map(number);
        write_log(&mut caller, at, len)?;
        total = total.checked_add(len).ok_or_else(too_long)?;
    }
    put(&mut caller, written, total.to_le_bytes())?;
    Ok(SUCCESS)
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn too_long() -> wasmtime::Error {
    Ended(Undecided::BadAnswer("it writes more than 4 GiB".to_owned())).into()
}
