//! Names for what lies outside a program: helpers, maps, kernel variables, attach points.

/// A kernel helper, by its number in the kernel's user-space API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// `bpf_map_lookup_elem`
    MapLookup,
    /// `bpf_map_update_elem`
    MapUpdate,
    /// `bpf_map_delete_elem`
    MapDelete,
    /// `bpf_get_prandom_u32`
    Random,
    /// `bpf_get_current_pid_tgid`
    CurrentPidTgid,
    /// `bpf_get_current_task`
    TaskAddress,
    /// `bpf_override_return`
    OverrideReturn,
    /// `bpf_get_stack`
    Stack,
    /// `bpf_get_current_cgroup_id`
    CurrentCgroup,
    /// `bpf_probe_read_user`
    ReadUser,
    /// `bpf_probe_read_kernel`
    ReadKernel,
    /// `bpf_probe_read_user_str`
    ReadUserText,
    /// `bpf_probe_read_kernel_str`
    ReadKernelText,
    /// `bpf_ktime_get_boot_ns`
    BootTime,
    /// `bpf_this_cpu_ptr`
    ThisCpu,
    /// `bpf_task_storage_get`
    TaskStorage,
    /// `bpf_get_current_task_btf`
    CurrentTask,
}

impl Helper {
    pub(crate) const fn number(self) -> i32 {
        match self {
            Self::MapLookup => 1,
            Self::MapUpdate => 2,
            Self::MapDelete => 3,
            Self::Random => 7,
            Self::CurrentPidTgid => 14,
            Self::TaskAddress => 35,
            Self::OverrideReturn => 58,
            Self::Stack => 67,
            Self::CurrentCgroup => 80,
            Self::ReadUser => 112,
            Self::ReadKernel => 113,
            Self::ReadUserText => 114,
            Self::ReadKernelText => 115,
            Self::BootTime => 125,
            Self::ThisCpu => 154,
            Self::TaskStorage => 156,
            Self::CurrentTask => 158,
        }
    }

    /// Whether it copies a text: those answer with its length, or with a negative number.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::ReadUserText | Self::ReadKernelText)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MapLookup => "map_lookup_elem",
            Self::MapUpdate => "map_update_elem",
            Self::MapDelete => "map_delete_elem",
            Self::Random => "get_prandom_u32",
            Self::CurrentPidTgid => "get_current_pid_tgid",
            Self::TaskAddress => "get_current_task",
            Self::OverrideReturn => "override_return",
            Self::Stack => "get_stack",
            Self::CurrentCgroup => "get_current_cgroup_id",
            Self::ReadUser => "probe_read_user",
            Self::ReadKernel => "probe_read_kernel",
            Self::ReadUserText => "probe_read_user_str",
            Self::ReadKernelText => "probe_read_kernel_str",
            Self::BootTime => "ktime_get_boot_ns",
            Self::ThisCpu => "this_cpu_ptr",
            Self::TaskStorage => "task_storage_get",
            Self::CurrentTask => "get_current_task_btf",
        }
    }
}

/// A map of the engine. [`crate::layout::maps`] says how each is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MapId {
    /// Lease, grace, cgroup bitmap, active generations; mapped into the agent.
    Globals,
    /// What may change in a live probe; mapped into the agent.
    Hot,
    /// What may not.
    Probes,
    /// Which probes apply in a cgroup.
    Members,
    /// Spent injections; pinned.
    Budgets,
    /// What probes saw and did, per CPU.
    Counters,
    /// Processes that are never injected.
    Spared,
    /// How far each task has come in its chains.
    Tasks,
    /// How many threads are inside one of our own allocations, per CPU.
    Busy,
    /// Calls of one function, per CPU. Not the engine's: each counting program has one to itself.
    Calls,
}

impl MapId {
    /// Every map that the programs of an engine share.
    pub const ALL: [Self; 9] = [
        Self::Globals,
        Self::Hot,
        Self::Probes,
        Self::Members,
        Self::Budgets,
        Self::Counters,
        Self::Spared,
        Self::Tasks,
        Self::Busy,
    ];

    /// Its name in listings and in the kernel, where a prefix is added.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Globals => "globals",
            Self::Hot => "hot",
            Self::Probes => "probes",
            Self::Members => "members",
            Self::Budgets => "budgets",
            Self::Counters => "counters",
            Self::Spared => "spared",
            Self::Tasks => "tasks",
            Self::Busy => "busy",
            Self::Calls => "calls",
        }
    }
}

/// A per-CPU variable of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerCpuVar {
    /// Its BTF id in the kernel's own BTF.
    pub btf_id: u32,
    /// Its name, for the listing.
    pub name: &'static str,
}

/// Where and how a program is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attach {
    /// Replaces the answer of a function (`BPF_MODIFY_RETURN`).
    ModifyReturn(String),
    /// At a function's entry (`BPF_TRACE_FENTRY`).
    Entry(String),
    /// At a function's exit (`BPF_TRACE_FEXIT`).
    Exit(String),
    /// At a function's entry (`BPF_PROG_TYPE_KPROBE`).
    Kprobe {
        /// Its name.
        function: String,
        /// Where it starts.
        address: u64,
    },
    /// At a function's exit.
    Kretprobe {
        /// Its name.
        function: String,
        /// Where it starts.
        address: u64,
    },
    /// At a tracepoint with typed arguments (`BPF_TRACE_RAW_TP`).
    Tracepoint(String),
}
