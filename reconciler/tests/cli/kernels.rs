//! Kernels that exist only here: the types of the little that the command line asks of one.

use faultline_ebpf::btf::BtfBuilder;

/// A kernel that the documented examples can be compiled for.
pub(crate) fn with_failslab() -> Vec<u8> {
    types(true)
}

/// One from Linux 6.11 on, without `CONFIG_FAILSLAB`.
pub(crate) fn without_failslab() -> Vec<u8> {
    types(false)
}

/// A kernel that has tasks, and nothing else that programs must know of.
pub(crate) fn with_tasks_only() -> Vec<u8> {
    let mut builder = BtfBuilder::new();
    let u32 = builder.int("unsigned int", 4);
    builder.structure("task_struct", 64, &[("pid", u32, 0)]);
    builder.build()
}

/// BTF that is not a kernel's.
pub(crate) fn none() -> Vec<u8> {
    BtfBuilder::new().build()
}

/// A module of the first of these kernels, with a function of its own and one that the kernel has too.
pub(crate) fn module() -> Vec<u8> {
    let kernel = kernel(true);
    let mut module = BtfBuilder::module(&kernel);
    let int = module.int("short unsigned int", 2);
    let codec = module.structure("hda_codec", 8, &[("addr", int, 16)]);
    let codec = module.pointer(codec);
    module.function("hda_probe", &[("codec", codec)]);
    module.function("d_alloc_parallel", &[("codec", codec)]);
    module.build()
}

fn types(has_failslab: bool) -> Vec<u8> {
    kernel(has_failslab).build()
}

fn kernel(has_failslab: bool) -> BtfBuilder {
    let mut builder = BtfBuilder::new();
    let byte = builder.int("unsigned char", 1);
    let u32 = builder.int("unsigned int", 4);
    let u64 = builder.int("unsigned long", 8);
    let flags = builder.typedef("gfp_t", u32);
    let text = builder.pointer(byte);
    let qstr = builder.structure("qstr", 16, &[("hash", u32, 0), ("len", u32, 32), ("name", text, 64)]);
    let dentry = builder.structure("dentry", 192, &[("d_flags", u32, 0)]);
    let signal = builder.structure("signal_struct", 16, &[("oom_mm", u64, 64)]);
    let signal = builder.pointer(signal);
    builder.structure("nsproxy", 64, &[("pid_ns_for_children", u64, 256)]);
    builder.structure("pid_namespace", 128, &[("child_reaper", u64, 320)]);
    builder.structure("mutex", 32, &[("owner", u64, 0)]);
    let name = builder.array(byte, u32, 16);
    let task = [("pid", u32, 0), ("flags", u32, 64), ("tgid", u32, 128), ("signal", signal, 192)];
    let more = [
        ("group_leader", u64, 256),
        ("comm", name, 320),
        ("start_boottime", u64, 448),
        ("nsproxy", u64, 512),
        ("nvcsw", u64, 576),
        ("nivcsw", u64, 640),
    ];
    builder.structure("task_struct", 88, &[task.as_slice(), &more].concat());
    let cache = builder.structure("kmem_cache", 64, &[("size", u32, 128)]);
    let registers = ["r9", "r8", "cx", "dx", "si", "di", "sp"].into_iter().zip([9, 10, 11, 12, 13, 14, 19]);
    let registers: Vec<_> = registers.map(|(name, word)| (name, u64, 64 * word)).collect();
    let registers = builder.structure("pt_regs", 168, &registers);
    let [qstr, dentry, cache, registers] = [qstr, dentry, cache, registers].map(|of| builder.pointer(of));
    if has_failslab {
        builder.function("should_failslab", &[("s", cache), ("gfpflags", flags)]);
    }
    builder.function("should_fail_alloc_page", &[("gfp_mask", flags), ("order", u32)]);
    builder.function("d_alloc_parallel", &[("parent", dentry), ("name", qstr)]);
    builder.function("__x64_sys_mount", &[("regs", registers)]);
    cgroups(&mut builder, u32, u64);
    let seven: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| (name, u32)).to_vec();
    builder.function("takes_seven", &seven);
    builder
}

/// What programs must know of a kernel's cgroups and interrupts.
fn cgroups(builder: &mut BtfBuilder, u32: u32, u64: u32) {
    let css = builder.structure("cgroup_subsys_state", 16, &[("cgroup", u64, 0), ("parent", u64, 64)]);
    builder.structure("cgroup", 40, &[("self", css, 0), ("kn", u64, 128), ("root", u64, 192)]);
    builder.structure("kernfs_node", 16, &[("id", u64, 64)]);
    builder.structure("cgroup_root", 8, &[("hierarchy_id", u32, 32)]);
    builder.typedef("btf_trace_cgroup_mkdir", u64);
    builder.typedef("btf_trace_cgroup_rmdir", u64);
    builder.variable("__preempt_count", u32);
}
