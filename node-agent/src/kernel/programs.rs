//! Programs in the kernel: loaded, attached, and detached by dropping.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use faultline_ebpf::asm::{AsmError, Attach, MapId, Program};
use thiserror::Error;

use super::kprobes::{self, At};
use super::links;
use super::maps::Maps;
use super::sys::{self, BpfError, ProgramRequest};

/// A program that the kernel has accepted, and that can be attached at any time, but only once at a time: the verifier
/// takes far longer than that.
#[derive(Debug)]
pub(super) struct Loaded {
    program: OwnedFd,
    attach: Attach,
}

/// A program that is attached. The link goes first: fields drop in order.
#[derive(Debug)]
pub(super) struct Live {
    link: OwnedFd,
    loaded: Arc<Loaded>,
    /// Runs that the kernel dropped while it was attached before.
    missed: u64,
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
    /// Whether the same program would be refused again: it is too long, or the verifier says why it does not take it.
    pub(super) fn is_for_good(&self) -> bool {
        match self {
            Self::Assemble(_) => true,
            Self::Load(error) => !error.log.is_empty() && !error.is(libc::ENOMEM) && !error.is(libc::EAGAIN),
            Self::Attach(_) => false,
        }
    }

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

/// The names of all programs of this project that are attached in the kernel, whoever did it: proof of a halt, or the sign
/// of a second agent.
///
/// # Errors
/// Listing them needs CAP_SYS_ADMIN.
pub fn attached_programs() -> Result<Vec<String>, BpfError> {
    Ok(sys::attached_names()?.into_iter().filter(|name| name.starts_with(PREFIX)).collect())
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
        match Loaded::link(program, descriptor).and_then(|loaded| loaded.attach()) {
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

impl Loaded {
    pub(super) fn load(program: &Program, maps: &Maps) -> Result<Arc<Self>, AttachError> {
        Self::link(program, |map| maps.number(map))
    }

    fn link(program: &Program, descriptor: impl Fn(MapId) -> i32) -> Result<Arc<Self>, AttachError> {
        let insns = program.link(descriptor);
        let request = ProgramRequest {
            name: &program.name,
            insns: &insns,
            kind: program_type(&program.attach),
            attach: attach_type(&program.attach),
            attach_btf_id: program.attach_btf_id,
        };
        let loaded = sys::program_load(&request).map_err(AttachError::Load)?;
        Ok(Arc::new(Self { program: loaded, attach: program.attach.clone() }))
    }

    /// It stays attached until that is dropped.
    pub(super) fn attach(self: &Arc<Self>) -> Result<Live, AttachError> {
        let (_, missed) = self.counts();
        let program = self.program.as_fd();
        let link = match self.attach {
            Attach::Kprobe { address, .. } => kprobes::attach(program, address, At::Entry),
            Attach::Kretprobe { address, .. } => kprobes::attach(program, address, At::Return),
            _ => sys::attach(program),
        };
        Ok(Live { link: link.map_err(AttachError::Attach)?, loaded: Arc::clone(self), missed })
    }

    /// Instructions that the verifier walked, and runs that the kernel dropped; zeroes where it does not tell.
    fn counts(&self) -> (u32, u64) {
        sys::program_counts(self.program.as_fd()).unwrap_or_default()
    }
}

impl Live {
    pub(super) fn attach(program: &Program, maps: &Maps) -> Result<Self, AttachError> {
        Loaded::load(program, maps)?.attach()
    }

    /// It can be attached again.
    pub(super) fn detach(self) -> Arc<Loaded> {
        self.loaded
    }

    /// The number of its link; `None` where the kernel does not tell.
    pub(super) fn link_id(&self) -> Option<u32> {
        links::id(self.link.as_fd()).ok()
    }

    /// How often it ran while runs were counted.
    pub(super) fn runs(&self) -> Result<u64, BpfError> {
        sys::program_runs(self.loaded.program.as_fd())
    }

    /// Zeroes where the kernel does not tell.
    pub(super) fn status(&self) -> ProgramStatus {
        let (verified, missed) = self.loaded.counts();
        let missed = missed.saturating_sub(self.missed);
        let is_kprobe = program_type(&self.loaded.attach) == bpf_prog_type::BPF_PROG_TYPE_KPROBE;
        let unhandled = if is_kprobe { sys::kprobe_missed(self.link.as_fd()).unwrap_or_default() } else { 0 };
        ProgramStatus { name: self.loaded.attach.to_string(), verified, missed: missed + unhandled }
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
