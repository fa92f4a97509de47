//! What the programs must know of a kernel: where things are, by its BTF.

use thiserror::Error;

use crate::Target;
use crate::asm::PerCpuVar;
use crate::btf::{Btf, Kind};
use crate::codegen::Hook;

/// A type, member or variable that the programs depend on and this kernel does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no {0}")]
pub struct MissingFact(pub String);

/// Offsets in bytes, and BTF ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The word that holds the preemption count, per CPU.
    pub preempt: Preempt,
    /// Members of `task_struct` and what hangs on it.
    pub task: TaskFacts,
    /// The way from a cgroup to its id, its parent and its hierarchy.
    pub cgroup: CgroupFacts,
    /// `__GFP_NOFAIL`.
    pub gfp_nofail: i32,
    /// Stacks are unwound by frame pointers: at a function's entry, the way back into its caller is not found.
    pub frame_pointers: bool,
    /// Where a mutex says who holds it; absent where it does so in another way.
    pub mutex_owner: Option<i16>,
    /// Members of `pt_regs`, the context of kprobes.
    pub registers: Registers,
}

/// Words of the arguments that registers hold.
pub const ARGUMENTS: usize = 6;

/// Offsets in a kprobe's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// Those that hold a function's arguments, in their order.
    pub arguments: [i16; ARGUMENTS],
    /// The stack pointer.
    pub stack: i16,
}

/// Where the preemption count is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preempt {
    /// `__preempt_count`, or `pcpu_hot` in the kernels (6.2 to 6.14) that kept it there.
    pub var: PerCpuVar,
    /// Within the variable.
    pub offset: i16,
}

/// Offsets for the guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskFacts {
    /// `task_struct.flags`
    pub flags: i16,
    /// `task_struct.tgid`
    pub tgid: i16,
    /// `task_struct.signal`
    pub signal: i16,
    /// `signal_struct.oom_mm`
    pub oom_mm: i16,
    /// `task_struct.group_leader`
    pub group_leader: i16,
    /// `task_struct.comm`
    pub comm: i16,
    /// `task_struct.start_boottime`
    pub start_boottime: i16,
    /// `task_struct.nvcsw`: how often the task left its CPU of its own accord.
    pub left: i16,
    /// `task_struct.nivcsw`: how often it was made to.
    pub preempted: i16,
    /// `task_struct.nsproxy`
    pub nsproxy: i16,
    /// `nsproxy.pid_ns_for_children`
    pub pid_ns: i16,
    /// `pid_namespace.child_reaper`
    pub child_reaper: i16,
}

/// Offsets and ids for following cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupFacts {
    /// `cgroup.self.parent`
    pub parent: i16,
    /// `cgroup_subsys_state.cgroup`
    pub css_cgroup: i16,
    /// `cgroup.kn`
    pub node: i16,
    /// `kernfs_node.id`
    pub id: i16,
    /// `cgroup.root`
    pub root: i16,
    /// `cgroup_root.hierarchy_id`
    pub hierarchy: i16,
    /// The typedef of the tracepoint `cgroup_mkdir`.
    pub mkdir: u32,
    /// The typedef of the tracepoint `cgroup_rmdir`.
    pub rmdir: u32,
}

/// A target function of this kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetFacts {
    /// Which one.
    pub target: Target,
    /// Its BTF id.
    pub btf_id: u32,
    /// Position of the parameter with allocation flags, where the target has one.
    pub flags_param: Option<usize>,
    /// How the gate is hooked to it.
    pub hook: Hook,
}

/// Bit of `__GFP_NOFAIL` in the kernels (before 6.10) whose BTF does not tell.
const GFP_NOFAIL_BIT: i64 = 15;

impl Facts {
    /// Looks everything up.
    ///
    /// # Errors
    /// The first thing that is missing.
    pub fn from_btf(btf: &Btf) -> Result<Self, MissingFact> {
        let bit = btf.enumerator("___GFP_NOFAIL_BIT").unwrap_or(GFP_NOFAIL_BIT);
        let gfp_nofail = u32::try_from(bit).ok().and_then(|bit| 1i32.checked_shl(bit));
        Ok(Self {
            preempt: preempt(btf)?,
            task: TaskFacts {
                flags: offset(btf, "task_struct", "flags")?,
                tgid: offset(btf, "task_struct", "tgid")?,
                signal: offset(btf, "task_struct", "signal")?,
                oom_mm: offset(btf, "signal_struct", "oom_mm")?,
                group_leader: offset(btf, "task_struct", "group_leader")?,
                comm: offset(btf, "task_struct", "comm")?,
                start_boottime: offset(btf, "task_struct", "start_boottime")?,
                left: offset(btf, "task_struct", "nvcsw")?,
                preempted: offset(btf, "task_struct", "nivcsw")?,
                nsproxy: offset(btf, "task_struct", "nsproxy")?,
                pid_ns: offset(btf, "nsproxy", "pid_ns_for_children")?,
                child_reaper: offset(btf, "pid_namespace", "child_reaper")?,
            },
            cgroup: CgroupFacts {
                parent: offset(btf, "cgroup", "self")?
                    .checked_add(offset(btf, "cgroup_subsys_state", "parent")?)
                    .ok_or_else(|| missing("cgroup.self.parent"))?,
                css_cgroup: offset(btf, "cgroup_subsys_state", "cgroup")?,
                node: offset(btf, "cgroup", "kn")?,
                id: offset(btf, "kernfs_node", "id")?,
                root: offset(btf, "cgroup", "root")?,
                hierarchy: offset(btf, "cgroup_root", "hierarchy_id")?,
                mkdir: tracepoint(btf, "btf_trace_cgroup_mkdir")?,
                rmdir: tracepoint(btf, "btf_trace_cgroup_rmdir")?,
            },
            // The other unwinder's tables.
            frame_pointers: btf.find(Kind::Struct, "orc_entry").is_none(),
            registers: registers(btf)?,
            mutex_owner: offset(btf, "mutex", "owner").ok(),
            gfp_nofail: gfp_nofail.ok_or_else(|| missing("bit of __GFP_NOFAIL below 32"))?,
        })
    }
}

impl TargetFacts {
    /// Looks the function and its prototype up; the gate is to be hooked to it by a trampoline.
    ///
    /// # Errors
    /// No such function, or none of its parameters has the type that the guard must read.
    pub fn from_btf(btf: &Btf, target: Target) -> Result<Self, MissingFact> {
        let function = target.function();
        let btf_id = btf.functions(function).next().ok_or_else(|| missing(function))?;
        let flags_param = match target.flags_type() {
            None => None,
            Some(wanted) => {
                let params = btf.params(btf_id).unwrap_or_default();
                let at = params.iter().position(|param| btf.type_name(param.type_id) == Some(wanted));
                Some(at.ok_or_else(|| missing(&format!("parameter of type {wanted} in {function}")))?)
            }
        };
        Ok(Self { target, btf_id, flags_param, hook: Hook::Trampoline { btf_id } })
    }
}

fn preempt(btf: &Btf) -> Result<Preempt, MissingFact> {
    if let Some(btf_id) = btf.find(Kind::Var, "__preempt_count") {
        return Ok(Preempt { var: PerCpuVar { btf_id, name: "__preempt_count" }, offset: 0 });
    }
    let btf_id = btf.find(Kind::Var, "pcpu_hot").ok_or_else(|| missing("__preempt_count, nor pcpu_hot"))?;
    Ok(Preempt {
        var: PerCpuVar { btf_id, name: "pcpu_hot" },
        offset: offset(btf, "pcpu_hot", "preempt_count")?,
    })
}

fn registers(btf: &Btf) -> Result<Registers, MissingFact> {
    let of = |register| offset(btf, "pt_regs", register);
    let arguments = [of("di")?, of("si")?, of("dx")?, of("cx")?, of("r8")?, of("r9")?];
    Ok(Registers { arguments, stack: of("sp")? })
}

fn offset(btf: &Btf, aggregate: &str, member: &str) -> Result<i16, MissingFact> {
    btf.find(Kind::Struct, aggregate)
        .and_then(|id| btf.field(id, member)?.byte_offset())
        .and_then(|bytes| i16::try_from(bytes).ok())
        .ok_or_else(|| missing(&format!("{aggregate}.{member}")))
}

fn tracepoint(btf: &Btf, name: &str) -> Result<u32, MissingFact> {
    btf.find(Kind::Typedef, name).ok_or_else(|| missing(name))
}

fn missing(what: &str) -> MissingFact {
    MissingFact(what.to_owned())
}
