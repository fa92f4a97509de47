//! A kernel that exists only here.

use faultline_ebpf::btf::BtfBuilder;

/// The least that every program must know of a kernel; the functions are still missing. Beside it, types that they may
/// refer to: `unsigned int`, `gfp_t` and `unsigned long *`.
pub(crate) fn kernel() -> (BtfBuilder, [u32; 3]) {
    let mut btf = BtfBuilder::new();
    let word = btf.int("unsigned int", 4);
    let long = btf.int("unsigned long", 8);
    let flags = btf.typedef("gfp_t", word);
    let pointer = btf.pointer(long);
    btf.structure("signal_struct", 16, &[("oom_mm", pointer, 64)]);
    let name = btf.array(word, word, 4);
    btf.structure("nsproxy", 16, &[("pid_ns_for_children", pointer, 64)]);
    btf.structure("pid_namespace", 16, &[("child_reaper", pointer, 64)]);
    btf.structure("mutex", 16, &[("owner", long, 0)]);
    let task =
        [("flags", word, 64), ("tgid", word, 128), ("signal", pointer, 192), ("group_leader", pointer, 256)];
    let more = [("comm", name, 320), ("start_boottime", long, 448), ("nsproxy", pointer, 512)];
    let switches = [("nvcsw", long, 576), ("nivcsw", long, 640)];
    btf.structure("task_struct", 88, &[task.as_slice(), &more, &switches].concat());
    let css = btf.structure("cgroup_subsys_state", 16, &[("cgroup", pointer, 0), ("parent", pointer, 64)]);
    btf.structure("cgroup", 40, &[("self", css, 0), ("kn", pointer, 128), ("root", pointer, 192)]);
    btf.structure("kernfs_node", 16, &[("id", long, 64)]);
    btf.structure("cgroup_root", 8, &[("hierarchy_id", word, 32)]);
    btf.typedef("btf_trace_cgroup_mkdir", pointer);
    btf.typedef("btf_trace_cgroup_rmdir", pointer);
    let registers = ["r9", "r8", "cx", "dx", "si", "di", "sp"].into_iter().zip([9, 10, 11, 12, 13, 14, 19]);
    let registers: Vec<_> = registers.map(|(name, word)| (name, long, 64 * word)).collect();
    btf.structure("pt_regs", 168, &registers);
    btf.variable("__preempt_count", word);
    (btf, [word, flags, pointer])
}
