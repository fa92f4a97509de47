//! An allocation at the entry of a function, in the name of whoever calls it: what guards are tested with.
//!
//! Tasks are seldom seen to allocate at the moments that matter: while they hold `oom_lock`, reclaim or exit.

use std::os::fd::{AsRawFd, OwnedFd};

use aya_obj::generated::{BPF_F_NO_PREALLOC, bpf_map_type};
use faultline_ebpf::asm::{Asm, Attach, Helper, MapId, Reg, Width};

use super::programs::Alone;
use super::sys::{self, BpfError, MapRequest};

/// The key on the stack: a prefix of 32 bits, and those; and a value below it.
const KEY: i16 = -8;
const VALUE: i16 = -16;
const PREFIX: i32 = 32;

/// A program that allocates slab memory whenever the function is entered; dropping it detaches it.
#[derive(Debug)]
pub struct Allocation {
    _program: Alone,
    _map: OwnedFd,
}

impl Allocation {
    /// Attaches it to a function of the kernel's own BTF. Each entry replaces the only element of a trie, whose elements
    /// kernels to 6.12 take from the slab allocator there and then.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn at(function: &str, btf_id: u32) -> Result<Self, BpfError> {
        let map = sys::map_create(&MapRequest {
            name: "fl_allocation",
            kind: bpf_map_type::BPF_MAP_TYPE_LPM_TRIE as u32,
            key: 8,
            value: 8,
            entries: 2,
            flags: BPF_F_NO_PREALLOC,
            types: None,
            inner: None,
        })?;
        let mut asm = Asm::new();
        asm.store(Width::U64, Reg::Fp, KEY, PREFIX, "key");
        asm.store(Width::U64, Reg::Fp, VALUE, 0, "value");
        asm.map(Reg::R1, MapId::Calls);
        asm.address(Reg::R2, Reg::Fp, KEY);
        asm.address(Reg::R3, Reg::Fp, VALUE);
        asm.mov(Reg::R4, 0);
        asm.call(Helper::MapUpdate);
        asm.mov(Reg::R0, 0);
        asm.exit();
        let program = asm.finish("fl_allocation", Attach::Entry(function.to_owned()), btf_id);
        let program = program.map_err(|error| BpfError {
            call: "assemble a program",
            source: std::io::Error::other(error),
            log: String::new(),
        })?;
        let program = Alone::attach_with(&program, |_| map.as_raw_fd())?;
        Ok(Self { _program: program, _map: map })
    }
}
