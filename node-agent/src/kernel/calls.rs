//! How often a function is called: counted, not guessed from its name.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use faultline_ebpf::asm::{MapId, Program};

use super::host::possible_cpus;
use super::maps;
use super::programs::Alone;
use super::sys::{self, BpfError};

/// A program that counts calls from the moment it is attached; dropping it detaches it.
#[derive(Debug)]
pub struct CallCounter {
    _program: Alone,
    calls: OwnedFd,
    cpus: usize,
}

impl CallCounter {
    /// Attaches a program made by [`counter`](faultline_ebpf::codegen::counter), at zero.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn attach(program: &Program) -> Result<Self, BpfError> {
        let cpus = possible_cpus().map_err(|error| BpfError {
            call: "count the CPUs",
            source: std::io::Error::other(error),
            log: String::new(),
        })?;
        let calls = maps::create(MapId::Calls)?;
        let program = Alone::attach_with(program, |_| calls.as_raw_fd())?;
        Ok(Self { _program: program, calls, cpus })
    }

    /// Calls so far, by CPU. None are known where the kernel does not say.
    #[must_use]
    pub fn by_cpu(&self) -> Vec<u64> {
        let mut values = vec![0; 8 * self.cpus];
        match sys::map_lookup(self.calls.as_fd(), &0u32.to_le_bytes(), &mut values) {
            Ok(Some(())) => values
                .chunks_exact(8)
                .filter_map(|word| word.try_into().ok())
                .map(u64::from_le_bytes)
                .collect(),
            // The only key of an open array; a kernel that fails at this has counted nothing.
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    /// Calls so far on all CPUs.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_cpu().iter().sum()
    }
}
