//! Programs in the kernel: loaded, attached, and detached by dropping.

use std::os::fd::{AsFd, OwnedFd};

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use faultline_ebpf::asm::{AsmError, Attach, MapId, Program};
use thiserror::Error;

use super::kprobes::{self, At};
use super::maps::Maps;
use super::sys::{self, BpfError, ProgramRequest};

/// A program that is attached. The link goes first: fields drop in order.
#[derive(Debug)]
pub(super) struct Live {
    link: OwnedFd,
    program: OwnedFd,
    name: String,
    is_kprobe: bool,
}

/// What the kernel says of an attached program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStatus {
    /// Where it sits, for example `fentry/path_mount`.
    pub name: String,
    /// Instructions the verifier walked to accept it; 0 before 5.16, which does not tell.
    pub verified: u32,
    /// Runs that the kernel dropped, because the program, or for kprobes another one, was running on that CPU already, or
    /// because too many tasks were inside the function at once: entries, exits or hits that went unseen. For kprobes,
    /// kernels before 6.7 do not tell.
    pub missed: u64,
}

/// Why a program is not attached.
#[derive(Debug, Error)]
pub(super) enum AttachError {
    #[error(transparent)]
    Assemble(#[from] AsmError),
    #[error(transparent)]
    Load(BpfError),
    #[error(transparent)]
    Attach(BpfError),
}

impl AttachError {
    /// No more programs fit on the function.
    pub(super) fn is_crowded(&self) -> bool {
        matches!(self, Self::Attach(error) if error.is(libc::E2BIG))
    }

    /// The verifier refuses functions that are not on the error-injection list with these words.
    pub(super) fn is_not_modifiable(&self) -> bool {
        matches!(self, Self::Load(error) if error.log.contains("is not modifiable"))
    }
}

/// What the names of our programs start with.
const PREFIX: &str = "fl_";

/// The names of all programs of this project in the kernel, whoever loaded them: proof of a halt, or the sign
/// of a second agent.
///
/// # Errors
/// Listing programs needs CAP_SYS_ADMIN.
pub fn loaded_programs() -> Result<Vec<String>, BpfError> {
    Ok(sys::program_names()?.into_iter().filter(|name| name.starts_with(PREFIX)).collect())
}

/// A program that is attached until this is dropped.
#[derive(Debug)]
pub struct Alone(Live);

impl Alone {
    /// Attaches a program that uses no map: what measurements compare with.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn attach(program: &Program) -> Result<Self, BpfError> {
        Self::attach_with(program, |_| -1)
    }

    /// Attaches a program whose maps have these descriptors.
    pub(super) fn attach_with(
        program: &Program,
        descriptor: impl Fn(MapId) -> i32,
    ) -> Result<Self, BpfError> {
        match Live::link(program, descriptor) {
            Ok(live) => Ok(Self(live)),
            Err(AttachError::Load(error) | AttachError::Attach(error)) => Err(error),
            Err(AttachError::Assemble(error)) => {
                let source = std::io::Error::other(error);
                Err(BpfError { call: "assemble a program", source, log: String::new() })
            }
        }
    }

    /// What the kernel says of the program.
    #[must_use]
    pub fn status(&self) -> ProgramStatus {
        self.0.status()
    }
}

impl Live {
    pub(super) fn attach(program: &Program, maps: &Maps) -> Result<Self, AttachError> {
        Self::link(program, |map| maps.number(map))
    }

    fn link(program: &Program, descriptor: impl Fn(MapId) -> i32) -> Result<Self, AttachError> {
        let insns = program.link(descriptor);
        let request = ProgramRequest {
            name: &program.name,
            insns: &insns,
            kind: program_type(&program.attach),
            attach: attach_type(&program.attach),
            attach_btf_id: program.attach_btf_id,
        };
        let loaded = sys::program_load(&request).map_err(AttachError::Load)?;
        let link = match program.attach {
            Attach::Kprobe { address, .. } => kprobes::attach(loaded.as_fd(), address, At::Entry),
            Attach::Kretprobe { address, .. } => kprobes::attach(loaded.as_fd(), address, At::Return),
            _ => sys::attach(loaded.as_fd()),
        };
        let link = link.map_err(AttachError::Attach)?;
        let is_kprobe = program_type(&program.attach) == bpf_prog_type::BPF_PROG_TYPE_KPROBE;
        Ok(Self { link, program: loaded, name: program.attach.to_string(), is_kprobe })
    }

    /// How often it ran while runs were counted.
    pub(super) fn runs(&self) -> Result<u64, BpfError> {
        sys::program_runs(self.program.as_fd())
    }

    /// Zeroes where the kernel does not tell.
    pub(super) fn status(&self) -> ProgramStatus {
        let (verified, missed) = sys::program_counts(self.program.as_fd()).unwrap_or_default();
        let unhandled =
            if self.is_kprobe { sys::kprobe_missed(self.link.as_fd()).unwrap_or_default() } else { 0 };
        ProgramStatus { name: self.name.clone(), verified, missed: missed + unhandled }
    }
}

fn attach_type(attach: &Attach) -> bpf_attach_type {
    match attach {
        Attach::ModifyReturn(_) => bpf_attach_type::BPF_MODIFY_RETURN,
        Attach::Entry(_) => bpf_attach_type::BPF_TRACE_FENTRY,
        Attach::Exit(_) => bpf_attach_type::BPF_TRACE_FEXIT,
        Attach::Tracepoint(_) => bpf_attach_type::BPF_TRACE_RAW_TP,
        // Kprobes are attached to events, and loaded for none: the kernel wants 0.
        Attach::Kprobe { .. } | Attach::Kretprobe { .. } => bpf_attach_type::BPF_CGROUP_INET_INGRESS,
    }
}

fn program_type(attach: &Attach) -> bpf_prog_type {
    match attach {
        Attach::Kprobe { .. } | Attach::Kretprobe { .. } => bpf_prog_type::BPF_PROG_TYPE_KPROBE,
        _ => bpf_prog_type::BPF_PROG_TYPE_TRACING,
    }
}
