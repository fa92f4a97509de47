//! What this kernel can do, fault by fault, each verdict confirmed by an attempt.

use std::fmt;

use faultline_api::Fault;
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
    /// What keeps the engine from opening here, all of it; empty where it opens.
    pub obstacles: Vec<Obstacle>,
    /// One verdict for each fault, as if there were no obstacles.
    pub faults: Vec<FaultVerdict>,
    /// Rules of containment that hold in part only here, and how; nothing is known where the engine does not open.
    pub caveats: Vec<String>,
}

/// One thing that keeps the engine from opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// This process may not do what tells: another might hear otherwise.
    Rights(String),
    /// The machine is not made for it, or not set up.
    Machine(String),
}

impl Obstacle {
    /// What it is, and what would remove it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Rights(text) | Self::Machine(text) => text,
        }
    }
}

impl Preflight {
    /// The verdict about one fault.
    #[must_use]
    pub fn fault(&self, kind: FaultKind) -> Option<&FaultVerdict> {
        self.faults.iter().find(|verdict| verdict.kind == kind)
    }

    /// Whether a fault can be injected here, by an agent with the rights of this process.
    ///
    /// # Errors
    /// Everything that stands against it.
    pub fn usable(&self, kind: FaultKind) -> Result<Mechanism, Unusable> {
        let own = self.fault(kind).map_or(Err(Unusable::Untried), |verdict| verdict.mechanism.clone());
        if self.obstacles.is_empty() {
            return own;
        }
        let mut reasons: Vec<String> =
            self.obstacles.iter().map(|obstacle| obstacle.text().to_owned()).collect();
        if let Err(reason) = own
            && reason != Unusable::Untried
        {
            reasons.push(format!("{}: {reason}", kind.function()));
        }
        Err(Unusable::Engine { reason: reasons.join("; ") })
    }

    /// A line for the kernel, one for each fault, and what is in the way of all before them, once.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { release, arch, lockdown, cgroup2: _, obstacles, faults, caveats } = self;
        let mut text = format!("kernel {release} {arch}, lockdown {lockdown}\n");
        if !obstacles.is_empty() {
            let obstacles = obstacles.iter().map(|obstacle| format!("  {}\n", obstacle.text()));
            let obstacles = obstacles.collect::<String>();
            text += &format!("nothing can be injected here:\n{obstacles}but for that:\n");
        }
        text.extend(faults.iter().map(FaultVerdict::to_line));
        text.extend(caveats.iter().map(|caveat| format!("but {caveat}\n")));
        text
    }

    /// Whether this process was allowed to find out.
    #[must_use]
    pub fn could_tell(&self) -> bool {
        !self.obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Rights(_)))
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
    /// What is on the function already, in words: programs of others, which may hide ours.
    pub others: Vec<String>,
}

impl FaultVerdict {
    fn to_line(&self) -> String {
        let fault = Fault::from(self.kind);
        let (name, number, function) =
            (format!("{fault:?}").to_lowercase(), fault.failtype(), self.kind.function());
        let verdict = match (&self.mechanism, &self.untried) {
            (Ok(mechanism), None) => format!("yes, by {mechanism}"),
            (Ok(mechanism), Some(why)) => {
                format!("yes, by {mechanism}, but whether anything calls it could not be tried: {why}")
            }
            (Err(Unusable::Untried), _) => "not tried".to_owned(),
            (Err(reason), _) => format!("no: {reason}"),
        };
        let others = self.others.iter().map(|other| format!("    warning: shared with {other}\n"));
        format!("  {name:<5} (failtype {number}, {function}): {verdict}\n{}", others.collect::<String>())
    }
}

/// How programs are attached to a function: to a target, the first two; to a function of a chain, the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// A `BPF_MODIFY_RETURN` program.
    ModifyReturn,
    /// A kprobe whose program calls `bpf_override_return`.
    Override {
        /// Why not the one above.
        instead: String,
    },
    /// `BPF_TRACE_FENTRY` and `BPF_TRACE_FEXIT` programs.
    Trampoline,
    /// A kprobe and a kretprobe.
    Kprobes {
        /// Why not the one above.
        instead: String,
    },
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModifyReturn => f.write_str("fmod_ret"),
            Self::Override { instead } => write!(f, "kprobe override ({instead})"),
            Self::Trampoline => f.write_str("fentry/fexit"),
            Self::Kprobes { instead } => write!(f, "kprobe/kretprobe ({instead})"),
        }
    }
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
    /// Nothing was tried: what keeps the engine from opening leaves no way to.
    #[error("not tried")]
    Untried,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(obstacles: &[Obstacle]) -> Preflight {
        let missing = Unusable::Missing { option: "CONFIG_FAIL_PAGE_ALLOC is not set".to_owned() };
        let verdict = |kind, mechanism| FaultVerdict { kind, mechanism, untried: None, others: Vec::new() };
        Preflight {
            release: "6.12.0".to_owned(),
            arch: "x86_64".to_owned(),
            lockdown: "none".to_owned(),
            cgroup2: None,
            caveats: vec!["only in part".to_owned()],
            obstacles: obstacles.to_vec(),
            faults: vec![
                verdict(FaultKind::Slab, Ok(Mechanism::ModifyReturn)),
                verdict(FaultKind::Page, Err(missing)),
                verdict(FaultKind::Bio, Err(Unusable::Untried)),
            ],
        }
    }

    #[test]
    fn what_stands_in_the_way_is_told_with_what_the_kernel_lacks() {
        let obstacles =
            ["no bpf file system", "no cgroup v2 mount"].map(|text| Obstacle::Machine(text.into()));
        let preflight = with(&obstacles);
        let reason = |kind| preflight.usable(kind).unwrap_err().to_string();
        assert_eq!(reason(FaultKind::Slab), "no bpf file system; no cgroup v2 mount");
        assert!(reason(FaultKind::Page).ends_with(
            "mount; should_fail_alloc_page: the kernel has no function of that name (CONFIG_FAIL_PAGE_ALLOC is not set)"
        ));
        assert_eq!(reason(FaultKind::Bio), reason(FaultKind::Slab));
        assert!(preflight.could_tell());
    }

    #[test]
    fn without_obstacles_the_verdict_is_the_kernels() {
        let preflight = with(&[]);
        assert!(preflight.usable(FaultKind::Slab).is_ok());
        assert!(matches!(preflight.usable(FaultKind::Page), Err(Unusable::Missing { .. })));
    }

    #[test]
    fn a_preflight_reads_as_a_line_for_each_fault_and_says_once_what_is_in_the_way_of_all() {
        let faults = "  slab  (failtype 0, should_failslab): yes, by fmod_ret\n  page  (failtype 1, \
                      should_fail_alloc_page): no: the kernel has no function of that name (CONFIG_FAIL_PAGE_ALLOC is \
                      not set)\n  bio   (failtype 2, should_fail_bio): not tried\nbut only in part\n";
        let kernel = "kernel 6.12.0 x86_64, lockdown none\n";
        assert_eq!(with(&[]).to_text(), format!("{kernel}{faults}"));
        let obstacles =
            ["no bpf file system", "no cgroup v2 mount"].map(|text| Obstacle::Machine(text.into()));
        let before =
            "nothing can be injected here:\n  no bpf file system\n  no cgroup v2 mount\nbut for that:\n";
        assert_eq!(with(&obstacles).to_text(), format!("{kernel}{before}{faults}"));
    }

    #[test]
    fn a_process_without_rights_could_not_tell() {
        assert!(!with(&[Obstacle::Rights("bpf(2) is not permitted".to_owned())]).could_tell());
    }
}
