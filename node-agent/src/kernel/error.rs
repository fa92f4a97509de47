//! Why an engine does not open, and why a probe is not attached.

use std::io;
use std::path::PathBuf;

use faultline_ebpf::symbol::Unresolved;
use thiserror::Error;

use super::preflight::Unusable;

/// Why this machine cannot run the engine at all.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Task storage from tracing programs and fetching atomics came with 5.12; 5.15 is the first long-term
    /// release that has both.
    #[error("kernel {release} is too old: 5.15 or later is needed")]
    TooOld {
        /// As `uname -r` says.
        release: String,
    },
    /// The trampoline's context and the entry call site are known for x86-64 only.
    #[error("{arch} is not supported: call sites are only known for x86_64")]
    Architecture {
        /// As `uname -m` says.
        arch: String,
    },
    /// The kernel describes no types.
    #[error("no kernel BTF at {}: the kernel needs CONFIG_DEBUG_INFO_BTF", .path.display())]
    NoBtf {
        /// Where it was looked for.
        path: PathBuf,
        /// What the read said.
        source: io::Error,
    },
    /// The BTF is damaged or of an unknown version.
    #[error("kernel BTF cannot be read")]
    BadBtf(#[from] faultline_ebpf::btf::BtfError),
    /// The kernel lacks a type, member or symbol that the programs depend on.
    #[error("this kernel's BTF lacks what the programs need")]
    Facts(#[from] faultline_ebpf::facts::MissingFact),
    /// bpf(2) said no to the first call.
    #[error("bpf(2) is not permitted: {}", rights(.lacking))]
    NotPermitted {
        /// The capabilities that are needed and this process does not have.
        lacking: Vec<&'static str>,
        /// What the call said.
        source: io::Error,
    },
    /// Lockdown forbids reading kernel memory from programs.
    #[error("kernel lockdown is {mode}: tracing programs are forbidden")]
    Lockdown {
        /// `confidentiality`.
        mode: String,
    },
    /// The agent would not know itself, nor its own cgroup, as the kernel does.
    #[error(
        "the agent runs in a {namespace} namespace of its own and could not keep itself out of its faults: run it in \
         the host's (`hostPID: true`, `--pid=host`, `--cgroupns=host`)"
    )]
    Namespace {
        /// `pid` or `cgroup`.
        namespace: &'static str,
    },
    /// There is no cgroup v2 tree.
    #[error("no cgroup v2 mount in /proc/self/mountinfo")]
    NoCgroup2,
    /// Budgets must survive the agent, so their map is pinned.
    #[error(
        "no bpf file system at {path}: mount one with `mount -t bpf bpf {path}`, or name another with --bpffs",
        path = .path.display()
    )]
    NoBpffs {
        /// Where one is looked for.
        path: PathBuf,
    },
    /// A pinned object is there but is not our budget map.
    #[error("{} is pinned already and is not a budget map of this layout", .path.display())]
    ForeignPin {
        /// The pin.
        path: PathBuf,
    },
    /// Addresses are hidden, so call stacks cannot be checked.
    #[error("kernel symbol addresses are hidden: CAP_SYSLOG is needed (kptr_restrict)")]
    HiddenSymbols,
    /// The kernel takes fewer return addresses of a call stack than it takes to know all of it.
    #[error(
        "kernel.perf_event_max_stack is {limit}, and call stacks of {needed} are what chains are proved by: set it with \
         `sysctl -w kernel.perf_event_max_stack={needed}`"
    )]
    ShortStacks {
        /// As set.
        limit: usize,
        /// At the least.
        needed: usize,
    },
    /// A map or helper program was refused.
    #[error("cannot set up {what}")]
    Setup {
        /// Which object.
        what: &'static str,
        /// What bpf(2) said.
        source: super::BpfError,
    },
    /// A file could not be read or made.
    #[error("cannot access {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why one probe is not attached. The others of its set are not affected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// The fault's target function cannot be made to fail here.
    #[error("{function} cannot be injected: {reason}")]
    Fault {
        /// The target function.
        function: String,
        /// As the preflight found.
        reason: Unusable,
    },
    /// A frame's name is no function that programs can be attached to.
    #[error(transparent)]
    Function(#[from] Unresolved),
    /// The function exists and the kernel refused to attach to it.
    #[error("cannot attach to `{name}`: {reason}")]
    NotAttachable {
        /// As the chain names it.
        name: String,
        /// What the kernel said.
        reason: String,
    },
    /// The function is called so often that its programs would slow the whole machine down.
    #[error(
        "`{name}` is called {rate} times per second on one CPU, and a function of a chain may be {hottest} times: \
         choose a frame further out, or start the agent with --allow-hot-functions"
    )]
    Hot {
        /// The function.
        name: String,
        /// Calls per second on the CPU that makes the most, as measured.
        rate: u64,
        /// The limit.
        hottest: u64,
    },
    /// What must hold at a function's entry does not fit this kernel, or its programs.
    #[error("predicate `{text}`: {reason}")]
    Predicate {
        /// The predicate, or the declarations that are wrong.
        text: String,
        /// Everything that is wrong, with places in the text.
        reason: String,
    },
    /// A chain is too long.
    #[error("{given} frames: at most {max} are supported")]
    TooManyFrames {
        /// Frames in the chain.
        given: usize,
        /// The limit.
        max: usize,
    },
    /// A percentage above 100.
    #[error("probability {given} is not between 0 and 100")]
    Probability {
        /// As given.
        given: u8,
    },
    /// The desired set names one probe twice.
    #[error("the desired set holds this probe twice")]
    Duplicate,
    /// The node holds as many as it can.
    #[error("the node holds {max} {what} already")]
    Full {
        /// Probes, functions, budgets or cgroups.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// One container is asked to carry too many probes.
    #[error("cgroup {} would carry more than {max} probes", .cgroup.display())]
    CrowdedCgroup {
        /// The cgroup.
        cgroup: PathBuf,
        /// The limit.
        max: usize,
    },
    /// None of the scope's directories exists.
    #[error("no cgroup of the scope exists any more")]
    ScopeGone,
    /// The directory cannot be a target.
    #[error("cgroup {} cannot be a target: {why}", .cgroup.display())]
    Scope {
        /// The directory.
        cgroup: PathBuf,
        /// Root of the tree, ancestor of the agent, or no cgroup v2 directory.
        why: String,
    },
    /// The kernel refused a program or a map operation.
    #[error("{what}: {reason}")]
    Kernel {
        /// What was tried.
        what: String,
        /// What the kernel said.
        reason: String,
    },
}

fn rights(lacking: &[&str]) -> String {
    if lacking.is_empty() {
        let who = "a seccomp filter, a user namespace or the container's runtime";
        return format!("this process has CAP_BPF and CAP_PERFMON, so {who} forbids it");
    }
    format!("this process lacks {}; root has what is needed", lacking.join(" and "))
}

impl ProbeError {
    /// Whether it may change by itself: with a module that is loaded.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Function(unresolved) if unresolved.is_pending())
    }
}

impl OpenError {
    /// Whether another process might be let do what this one is not.
    pub(super) fn is_about_rights(&self) -> bool {
        let denied = |source: &io::Error| source.kind() == io::ErrorKind::PermissionDenied;
        match self {
            Self::NotPermitted { .. } | Self::HiddenSymbols => true,
            Self::NoBtf { source, .. } | Self::Io { source, .. } => denied(source),
            _ => false,
        }
    }
}
