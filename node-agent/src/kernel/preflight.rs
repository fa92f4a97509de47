//! What this kernel can do, fault by fault, each verdict confirmed by an attempt.

use thiserror::Error;

use super::spec::FaultKind;

/// A kernel's abilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// As `uname -r` says.
    pub release: String,
    /// As `uname -m` says.
    pub arch: String,
    /// `none`, `integrity` or `confidentiality`; `none` where the kernel has no lockdown.
    pub lockdown: String,
    /// Where the cgroup v2 tree is mounted.
    pub cgroup2: Option<std::path::PathBuf>,
    /// One verdict for each fault.
    pub faults: Vec<FaultVerdict>,
}

impl Preflight {
    /// The verdict about one fault.
    #[must_use]
    pub fn fault(&self, kind: FaultKind) -> Option<&FaultVerdict> {
        self.faults.iter().find(|verdict| verdict.kind == kind)
    }
}

/// Whether one fault can be injected, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultVerdict {
    /// The fault.
    pub kind: FaultKind,
    /// The mechanism that was attached for a moment, disarmed; or why none will do.
    pub mechanism: Result<Mechanism, Unusable>,
    /// Why it could not be tried whether anything calls the function; `None` where it was seen to be called.
    pub untried: Option<String>,
}

/// How a return value is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A `BPF_MODIFY_RETURN` program.
    ModifyReturn,
}

/// Why a function cannot be made to fail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unusable {
    /// The kernel has no such function.
    #[error("the kernel has no function of that name ({option})")]
    Missing {
        /// The configuration option that would add it, with what this kernel's configuration says of it.
        option: String,
    },
    /// There is only a specialised copy, which has no BTF; or there is one beside the function, and it could not be
    /// tried which of them is called.
    #[error("callers use the compiler's clone {clone}, which nothing can be attached to")]
    Clone {
        /// The symbol, for example `should_fail_bio.constprop.0`.
        clone: String,
    },
    /// The function is there and could be attached to; what has to call it does not.
    #[error("never called: {}", instead(.clone.as_deref()))]
    NeverCalled {
        /// What may be called in its place, for example `should_failslab.constprop.0`.
        clone: Option<String>,
    },
    /// The function is there; the kernel does not allow its return value to be changed.
    #[error("the kernel does not let its return value be changed ({option})")]
    NotInjectable {
        /// The configuration option that would allow it, with what this kernel's configuration says of it.
        option: String,
    },
    /// Loading or attaching failed for another reason.
    #[error("{reason}")]
    Refused {
        /// What the kernel said.
        reason: String,
    },
    /// The engine itself does not open on this machine.
    #[error("{reason}")]
    Engine {
        /// The error, with its causes.
        reason: String,
    },
}

fn instead(clone: Option<&str>) -> String {
    match clone {
        Some(clone) => format!("callers use the clone {clone}, which nothing can be attached to"),
        None => "the compiler has left the calls out".to_owned(),
    }
}
