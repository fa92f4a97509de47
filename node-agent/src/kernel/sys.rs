//! bpf(2), made safe: every pointer handed to the kernel is borrowed from a slice for the call's time.
#![expect(unsafe_code, reason = "system calls and descriptors from them; each block says why it is sound")]

use std::ffi::{CString, c_char};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use aya_obj::generated::{
    PERF_FLAG_FD_CLOEXEC, bpf_attach_type, bpf_attr, bpf_cmd, bpf_link_info, bpf_map_info, bpf_prog_info,
    bpf_prog_type, bpf_stats_type, perf_event_attr,
};
use thiserror::Error;

/// What bpf(2) said.
#[derive(Debug, Error)]
#[error("{call}: {source}{}", log_tail(.log))]
pub struct BpfError {
    /// The command, in words.
    pub call: &'static str,
    /// The error number.
    pub source: io::Error,
    /// The verifier's log, where the command has one and wrote it.
    pub log: String,
}

impl BpfError {
    /// The error number is that one.
    #[must_use]
    pub fn is(&self, errno: i32) -> bool {
        self.source.raw_os_error() == Some(errno)
    }
}

/// The last lines say what was wrong; before them stands how the verifier came there.
fn log_tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("processed ")).collect();
    let tail = lines.get(lines.len().saturating_sub(3)..).unwrap_or_default();
    if tail.is_empty() { String::new() } else { format!(" ({})", tail.join("; ")) }
}

/// The kernel's names for our maps and programs are cut to this.
const NAME: usize = 15;

/// Large enough for the last instructions of a refused program; the log of an accepted one is not read.
const LOG: usize = 1 << 20;

/// A map to be made.
pub(super) struct MapRequest<'a> {
    pub(super) name: &'a str,
    pub(super) kind: u32,
    pub(super) key: u32,
    pub(super) value: u32,
    pub(super) entries: u32,
    pub(super) flags: u32,
    /// BTF and in it the types of key and value, where the kind wants them.
    pub(super) types: Option<(BorrowedFd<'a>, u32, u32)>,
    /// What a map of maps holds.
    pub(super) inner: Option<BorrowedFd<'a>>,
}

pub(super) fn map_create(request: &MapRequest<'_>) -> Result<OwnedFd, BpfError> {
    let mut attr = zeroed();
    attr.__bindgen_anon_1.map_type = request.kind;
    attr.__bindgen_anon_1.key_size = request.key;
    attr.__bindgen_anon_1.value_size = request.value;
    attr.__bindgen_anon_1.max_entries = request.entries;
    attr.__bindgen_anon_1.map_flags = request.flags;
    attr.__bindgen_anon_1.map_name = kernel_name(request.name);
    if let Some((btf, key, value)) = &request.types {
        attr.__bindgen_anon_1.btf_fd = number(*btf);
        attr.__bindgen_anon_1.btf_key_type_id = *key;
        attr.__bindgen_anon_1.btf_value_type_id = *value;
    }
    if let Some(inner) = request.inner {
        attr.__bindgen_anon_1.inner_map_fd = number(inner);
    }
    descriptor("make a map", bpf_cmd::BPF_MAP_CREATE, &mut attr)
}

/// Absent where the map has no such key. `value` must be as long as the map's value: times the possible CPUs,
/// each rounded up to eight bytes, for maps per CPU.
pub(super) fn map_lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> Result<Option<()>, BpfError> {
    let mut attr = element(map, key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
    absent(call("look a key up", bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr))
}

pub(super) fn map_update(map: BorrowedFd<'_>, key: &[u8], value: &[u8], flags: u64) -> Result<(), BpfError> {
    let mut attr = element(map, key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_ptr() as u64;
    attr.__bindgen_anon_2.flags = flags;
    call("update a map", bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Absent where there was no such key.
pub(super) fn map_delete(map: BorrowedFd<'_>, key: &[u8]) -> Result<Option<()>, BpfError> {
    absent(call("delete a key", bpf_cmd::BPF_MAP_DELETE_ELEM, &mut element(map, key)))
}

/// Writes the key after `key` (the first one, where that is gone) into `next`; absent at the end.
pub(super) fn map_next_key(
    map: BorrowedFd<'_>,
    key: Option<&[u8]>,
    next: &mut [u8],
) -> Result<Option<()>, BpfError> {
    let mut attr = element(map, key.unwrap_or_default());
    if key.is_none() {
        attr.__bindgen_anon_2.key = 0;
    }
    attr.__bindgen_anon_2.__bindgen_anon_1.next_key = next.as_mut_ptr() as u64;
    absent(call("list keys", bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr))
}

pub(super) fn btf_load(btf: &[u8]) -> Result<OwnedFd, BpfError> {
    let mut attr = zeroed();
    attr.__bindgen_anon_7.btf = btf.as_ptr() as u64;
    attr.__bindgen_anon_7.btf_size = length(btf);
    descriptor("load types", bpf_cmd::BPF_BTF_LOAD, &mut attr)
}

/// A program to be loaded.
pub(super) struct ProgramRequest<'a> {
    pub(super) name: &'a str,
    pub(super) insns: &'a [u8],
    pub(super) kind: bpf_prog_type,
    /// For tracing programs; for kprobes, as zero as it is by default.
    pub(super) attach: bpf_attach_type,
    pub(super) attach_btf_id: u32,
}

/// The programs use helpers that the kernel reserves for this licence.
const LICENSE: &[u8] = b"GPL\0";

/// Loads without a log first: asking for one doubles the verifier's time. A refusal is repeated with it.
pub(super) fn program_load(request: &ProgramRequest<'_>) -> Result<OwnedFd, BpfError> {
    match try_load(request, &mut []) {
        Err(error) if !error.is(libc::EPERM) => {
            let mut log = vec![0; LOG];
            let result = try_load(request, &mut log);
            let end = log.iter().position(|byte| *byte == 0).unwrap_or(0);
            let log = String::from_utf8_lossy(log.get(..end).unwrap_or_default()).into_owned();
            result.map_err(|error| BpfError { log, ..error })
        }
        result => result,
    }
}

fn try_load(request: &ProgramRequest<'_>, log: &mut [u8]) -> Result<OwnedFd, BpfError> {
    let mut attr = zeroed();
    attr.__bindgen_anon_3.prog_type = request.kind as u32;
    attr.__bindgen_anon_3.insns = request.insns.as_ptr() as u64;
    attr.__bindgen_anon_3.insn_cnt = length(request.insns) / 8;
    attr.__bindgen_anon_3.license = LICENSE.as_ptr() as u64;
    attr.__bindgen_anon_3.prog_name = kernel_name(request.name);
    attr.__bindgen_anon_3.expected_attach_type = request.attach as u32;
    attr.__bindgen_anon_3.attach_btf_id = request.attach_btf_id;
    if !log.is_empty() {
        attr.__bindgen_anon_3.log_level = 1;
        attr.__bindgen_anon_3.log_size = length(log);
        attr.__bindgen_anon_3.log_buf = log.as_mut_ptr() as u64;
    }
    descriptor("load a program", bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// Attaches a tracing program where it was loaded for. It stays until the link is closed.
pub(super) fn attach(program: BorrowedFd<'_>) -> Result<OwnedFd, BpfError> {
    let mut attr = zeroed();
    attr.raw_tracepoint.prog_fd = number(program);
    descriptor("attach a program", bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// A perf event of the kind that kprobes have on this machine: a kprobe at `address`, for as long as the event is open.
pub(super) fn kprobe_event(kind: u32, config: u64, address: u64) -> Result<OwnedFd, BpfError> {
    // SAFETY: plain integers and arrays of them, for which all zeroes is a value.
    let mut attr: perf_event_attr = unsafe { mem::zeroed() };
    attr.type_ = kind;
    attr.size = u32::try_from(mem::size_of_val(&attr)).unwrap_or(0);
    attr.config = config;
    attr.__bindgen_anon_4.kprobe_addr = address;
    // Programs run on every CPU, whichever the event is for.
    let (any_task, first_cpu, no_group) = (-1, 0, -1);
    // SAFETY: `attr` is valid for its size, which it states, and names no memory.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attr,
            any_task,
            first_cpu,
            no_group,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(BpfError {
            call: "make a kprobe",
            source: io::Error::last_os_error(),
            log: String::new(),
        });
    }
    // SAFETY: the call returned a new descriptor that nobody else knows of.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap_or(-1)) })
}

/// Attaches a program to a perf event. Both stay until the link is closed, whoever closes the event.
pub(super) fn attach_to_event(program: BorrowedFd<'_>, event: &OwnedFd) -> Result<OwnedFd, BpfError> {
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = number(program);
    attr.link_create.__bindgen_anon_2.target_fd = number(event.as_fd());
    attr.link_create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    descriptor("attach a program to a kprobe", bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// How often the kernel passed over the kprobe of a link because another was being handled on that CPU, or because none
/// of the places for returns was free; 0 before 6.7, which does not tell.
pub(super) fn kprobe_missed(link: BorrowedFd<'_>) -> Result<u64, BpfError> {
    // SAFETY: plain integers, for which all zeroes is a value.
    let mut info: bpf_link_info = unsafe { mem::zeroed() };
    info_of(link, (&raw mut info).cast(), mem::size_of_val(&info))?;
    // SAFETY: the kernel wrote these plain integers for links of perf events, or left them zero.
    Ok(unsafe { info.__bindgen_anon_1.perf_event.__bindgen_anon_1.kprobe.missed })
}

pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> Result<(), BpfError> {
    let path = c_path(path)?;
    let mut attr = zeroed();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    attr.__bindgen_anon_4.bpf_fd = number(object);
    call("pin a map", bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop)
}

pub(super) fn pinned(path: &Path) -> Result<OwnedFd, BpfError> {
    let path = c_path(path)?;
    let mut attr = zeroed();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    descriptor("open a pinned map", bpf_cmd::BPF_OBJ_GET, &mut attr)
}

/// Kind, key size, value size and entries of a map.
pub(super) fn map_shape(map: BorrowedFd<'_>) -> Result<(u32, u32, u32, u32), BpfError> {
    // SAFETY: plain integers and arrays of them, for which all zeroes is a value.
    let mut info: bpf_map_info = unsafe { mem::zeroed() };
    info_of(map, (&raw mut info).cast(), mem::size_of_val(&info))?;
    Ok((info.type_, info.key_size, info.value_size, info.max_entries))
}

/// Instructions that the verifier walked, and runs that the kernel dropped.
pub(super) fn program_counts(program: BorrowedFd<'_>) -> Result<(u32, u64), BpfError> {
    // SAFETY: plain integers and arrays of them, for which all zeroes is a value.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    info_of(program, (&raw mut info).cast(), mem::size_of_val(&info))?;
    Ok((info.verified_insns, info.recursion_misses))
}

/// The kernel counts how often programs run until the descriptor is closed.
pub(super) fn count_runs() -> Result<OwnedFd, BpfError> {
    let mut attr = zeroed();
    attr.enable_stats.type_ = bpf_stats_type::BPF_STATS_RUN_TIME as u32;
    descriptor("count runs of programs", bpf_cmd::BPF_ENABLE_STATS, &mut attr)
}

/// How often a program ran while runs were counted.
pub(super) fn program_runs(program: BorrowedFd<'_>) -> Result<u64, BpfError> {
    // SAFETY: plain integers and arrays of them, for which all zeroes is a value.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    info_of(program, (&raw mut info).cast(), mem::size_of_val(&info))?;
    Ok(info.run_cnt)
}

/// The name of the program of every link in the kernel, in the order in which they were attached.
pub(super) fn attached_names() -> Result<Vec<String>, BpfError> {
    let mut names = Vec::new();
    let mut last = 0;
    while let Some(next) = next_id(bpf_cmd::BPF_LINK_GET_NEXT_ID, last)? {
        last = next;
        if let Some(link) = by_id(bpf_cmd::BPF_LINK_GET_FD_BY_ID, next)? {
            names.extend(name_of_program(program_of(link.as_fd())?)?);
        }
    }
    Ok(names)
}

/// The number of the next object of the kind that `command` lists; absent at the end.
pub(super) fn next_id(command: bpf_cmd, last: u32) -> Result<Option<u32>, BpfError> {
    let mut attr = zeroed();
    attr.__bindgen_anon_6.__bindgen_anon_1.start_id = last;
    let found = absent(call("list objects", command, &mut attr))?;
    // SAFETY: the kernel wrote the field next to the one above, both plain integers.
    Ok(found.map(|()| unsafe { attr.__bindgen_anon_6.next_id }))
}

/// An object of the kind that `command` opens; absent where it is gone since it was listed.
pub(super) fn by_id(command: bpf_cmd, id: u32) -> Result<Option<OwnedFd>, BpfError> {
    let mut attr = zeroed();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    match descriptor("open an object", command, &mut attr) {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The name of a program; absent where it is gone.
pub(super) fn name_of_program(id: u32) -> Result<Option<String>, BpfError> {
    let program = by_id(bpf_cmd::BPF_PROG_GET_FD_BY_ID, id)?;
    program.map(|program| program_name(program.as_fd())).transpose()
}

/// The number of a link's program.
fn program_of(link: BorrowedFd<'_>) -> Result<u32, BpfError> {
    // SAFETY: plain integers, for which all zeroes is a value.
    let mut info: bpf_link_info = unsafe { mem::zeroed() };
    info_of(link, (&raw mut info).cast(), mem::size_of_val(&info))?;
    Ok(info.prog_id)
}

fn program_name(program: BorrowedFd<'_>) -> Result<String, BpfError> {
    // SAFETY: plain integers and arrays of them, for which all zeroes is a value.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    info_of(program, (&raw mut info).cast(), mem::size_of_val(&info))?;
    let bytes = info.name.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// `info` is valid for `size` bytes, and so is what it points to for the lengths that it states.
pub(super) fn info_of(object: BorrowedFd<'_>, info: *mut u8, size: usize) -> Result<(), BpfError> {
    let mut attr = zeroed();
    attr.info.bpf_fd = number(object);
    attr.info.info_len = u32::try_from(size).unwrap_or(0);
    attr.info.info = info as u64;
    call("ask about an object", bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

fn element(map: BorrowedFd<'_>, key: &[u8]) -> bpf_attr {
    let mut attr = zeroed();
    attr.__bindgen_anon_2.map_fd = number(map);
    attr.__bindgen_anon_2.key = key.as_ptr() as u64;
    attr
}

fn zeroed() -> bpf_attr {
    // SAFETY: a union of plain integers, for which all zeroes is a value, and the kernel's default.
    unsafe { mem::zeroed() }
}

fn call(call: &'static str, command: bpf_cmd, attr: &mut bpf_attr) -> Result<i64, BpfError> {
    // SAFETY: `attr` is valid for its size, zero beyond what the command uses. Pointers inside it were taken
    // from slices that the caller of each wrapper holds for the time of the call, with their lengths.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_int, &raw mut *attr, mem::size_of_val(attr))
    };
    if result < 0 {
        return Err(BpfError { call, source: io::Error::last_os_error(), log: String::new() });
    }
    Ok(result)
}

fn descriptor(what: &'static str, command: bpf_cmd, attr: &mut bpf_attr) -> Result<OwnedFd, BpfError> {
    let fd = call(what, command, attr)?;
    let fd = i32::try_from(fd).unwrap_or(-1);
    // SAFETY: these commands return a new descriptor that nobody else knows of.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn absent(result: Result<i64, BpfError>) -> Result<Option<()>, BpfError> {
    match result {
        Ok(_) => Ok(Some(())),
        Err(error) if error.is(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_fd().as_raw_fd()).unwrap_or(u32::MAX)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn kernel_name(name: &str) -> [c_char; 16] {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(name.bytes().take(NAME)) {
        *to = c_char::from_ne_bytes([from]);
    }
    out
}

fn c_path(path: &Path) -> Result<CString, BpfError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|source| BpfError {
        call: "name a pin",
        source: source.into(),
        log: String::new(),
    })
}
