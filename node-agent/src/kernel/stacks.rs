//! Call stacks: how many return addresses the kernel takes of them, for as long as an engine is open.

use std::fs;
use std::os::fd::OwnedFd;

use aya_obj::generated::bpf_map_type;
use faultline_ebpf::layout::task::STACK_MAX;

use super::error::OpenError;
use super::sys::{self, BpfError, MapRequest};

/// Where the kernel says how many it takes at the most.
const LIMIT: &str = "/proc/sys/kernel/perf_event_max_stack";

/// Makes a map for stacks as long as those that programs take.
///
/// The kernel makes none for longer stacks than it takes, and while there is one, the limit cannot be changed: where
/// programs found a stack cut short, they could not tell, and take its places for others.
pub(super) fn hold() -> Result<OwnedFd, BpfError> {
    sys::map_create(&MapRequest {
        name: "fl_stacks",
        kind: bpf_map_type::BPF_MAP_TYPE_STACK_TRACE as u32,
        key: 4,
        value: STACK_MAX as u32 * 8,
        entries: 1,
        flags: 0,
        types: None,
        inner: None,
    })
}

/// What to make of the kernel's refusal: the limit, where that is the reason.
pub(super) fn refused(error: &BpfError) -> Option<OpenError> {
    let limit = fs::read_to_string(LIMIT).ok()?;
    is_short(&limit).filter(|_| error.is(libc::EINVAL))
}

fn is_short(limit: &str) -> Option<OpenError> {
    let limit = limit.trim().parse().ok()?;
    (limit < STACK_MAX).then_some(OpenError::ShortStacks { limit, needed: STACK_MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_what_programs_take_is_told_with_what_to_set() {
        let told = |limit: &str| is_short(limit).map(|error| error.to_string());
        assert_eq!(told("127\n"), None);
        assert_eq!(told("not a number"), None);
        let short = told("64\n").unwrap();
        assert!(
            short.contains("is 64") && short.contains("`sysctl -w kernel.perf_event_max_stack=127`"),
            "{short}"
        );
    }
}
