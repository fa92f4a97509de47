//! The BPF links of the whole machine, whoever made them, and where they lead.
#![expect(unsafe_code, reason = "unions that the kernel fills in; each block says why it is sound")]

use std::mem;
use std::os::fd::{AsFd, BorrowedFd};

use aya_obj::generated::{
    bpf_attach_type, bpf_btf_info, bpf_cmd, bpf_link_info, bpf_link_type, bpf_perf_event_type,
};

use super::sys::{self, BpfError};

/// A program that is attached to something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// Counts up: a higher one is younger.
    pub(super) id: u32,
    /// Of its program.
    pub(super) program: u32,
    pub(super) at: At,
}

/// Where a link leads, as far as it can be a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// Through a trampoline, to a function of the kernel or of a module.
    Function {
        how: &'static str,
        /// The types that it is described with.
        types: u32,
        /// Its number among them.
        id: u32,
    },
    /// By a kprobe or a kretprobe. Kernels before 6.6 do not tell.
    Address { how: &'static str, addresses: Vec<u64> },
    /// Elsewhere, or not told.
    Elsewhere,
}

/// Every link.
///
/// # Errors
/// Listing them needs CAP_SYS_ADMIN.
pub(super) fn all() -> Result<Vec<Link>, BpfError> {
    let mut links = Vec::new();
    let mut last = 0;
    while let Some(id) = sys::next_id(bpf_cmd::BPF_LINK_GET_NEXT_ID, last)? {
        last = id;
        if let Some(link) = sys::by_id(bpf_cmd::BPF_LINK_GET_FD_BY_ID, id)? {
            links.push(read(link.as_fd())?);
        }
    }
    Ok(links)
}

/// The number of a link.
pub(super) fn id(link: BorrowedFd<'_>) -> Result<u32, BpfError> {
    Ok(info(link, &mut [])?.id)
}

/// What types are called that functions are described with: `vmlinux` or a module. Absent where they are gone.
pub(super) fn name_of_types(types: u32) -> Result<Option<String>, BpfError> {
    let Some(types) = sys::by_id(bpf_cmd::BPF_BTF_GET_FD_BY_ID, types)? else { return Ok(None) };
    let mut name = [0_u8; 64];
    // SAFETY: plain integers, for which all zeroes is a value.
    let mut info: bpf_btf_info = unsafe { mem::zeroed() };
    info.name = name.as_mut_ptr() as u64;
    info.name_len = u32::try_from(name.len()).unwrap_or(0);
    sys::info_of(types.as_fd(), (&raw mut info).cast(), mem::size_of_val(&info))?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Ok(name.get(..end).map(|name| String::from_utf8_lossy(name).into_owned()))
}

fn read(link: BorrowedFd<'_>) -> Result<Link, BpfError> {
    let first = info(link, &mut [])?;
    let (id, program) = (first.id, first.prog_id);
    let at = if first.type_ == bpf_link_type::BPF_LINK_TYPE_TRACING as u32 {
        // SAFETY: the kernel wrote these plain integers for links of this type.
        let tracing = unsafe { first.__bindgen_anon_1.tracing };
        function(tracing.attach_type, tracing.target_obj_id, tracing.target_btf_id)
    } else if first.type_ == bpf_link_type::BPF_LINK_TYPE_PERF_EVENT as u32 {
        // SAFETY: the kernel wrote these plain integers for links of this type, or left them zero.
        let (kind, address) = unsafe {
            let event = first.__bindgen_anon_1.perf_event;
            (event.type_, event.__bindgen_anon_1.kprobe.addr)
        };
        event(kind, address)
    } else if first.type_ == bpf_link_type::BPF_LINK_TYPE_KPROBE_MULTI as u32 {
        // SAFETY: as above.
        let count = unsafe { first.__bindgen_anon_1.kprobe_multi.count };
        let mut addresses = vec![0; usize::try_from(count).unwrap_or(0)];
        if !addresses.is_empty() {
            info(link, &mut addresses)?;
        }
        At::Address { how: "kprobe.multi", addresses }
    } else {
        At::Elsewhere
    };
    Ok(Link { id, program, at })
}

fn function(attach: u32, types: u32, id: u32) -> At {
    let how = [
        (bpf_attach_type::BPF_TRACE_FENTRY, "fentry"),
        (bpf_attach_type::BPF_TRACE_FEXIT, "fexit"),
        (bpf_attach_type::BPF_MODIFY_RETURN, "fmod_ret"),
        (bpf_attach_type::BPF_LSM_MAC, "lsm"),
    ];
    match how.iter().find(|(kind, _)| *kind as u32 == attach) {
        Some((_, how)) => At::Function { how, types, id },
        None => At::Elsewhere,
    }
}

fn event(kind: u32, address: u64) -> At {
    let how = [
        (bpf_perf_event_type::BPF_PERF_EVENT_KPROBE, "kprobe"),
        (bpf_perf_event_type::BPF_PERF_EVENT_KRETPROBE, "kretprobe"),
    ];
    match how.iter().find(|(name, _)| *name as u32 == kind) {
        Some((_, how)) => At::Address { how, addresses: vec![address] },
        None => At::Elsewhere,
    }
}

/// What the kernel says of a link. Where it leads to many addresses, they are written to `addresses`, as many as fit.
fn info(link: BorrowedFd<'_>, addresses: &mut [u64]) -> Result<bpf_link_info, BpfError> {
    // SAFETY: plain integers, for which all zeroes is a value.
    let mut info: bpf_link_info = unsafe { mem::zeroed() };
    if !addresses.is_empty() {
        info.__bindgen_anon_1.kprobe_multi.addrs = addresses.as_mut_ptr() as u64;
        info.__bindgen_anon_1.kprobe_multi.count = u32::try_from(addresses.len()).unwrap_or(0);
    }
    sys::info_of(link, (&raw mut info).cast(), mem::size_of_val(&info))?;
    Ok(info)
}
