//! A kernel that exists only here, with types of every kind.

use std::sync::OnceLock;

use faultline_ebpf::{
    btf::{Btf, BtfBuilder},
    facts::Facts,
    predicate::{Function, Ir},
    symbol,
};

use crate::{machine, memory::Imagined, program};

/// Functions that predicates are about.
pub const FUNCTIONS: [&str; 5] = ["lookup", "by_value", "should_failslab", "__x64_sys_mount", "none"];

/// A kernel's types, and what programs must know of it.
#[derive(Debug)]
pub struct Kernel {
    /// Its types.
    pub btf: Btf,
    /// Where things are.
    pub facts: Facts,
}

impl Kernel {
    /// The one that is always there.
    pub fn imagined() -> &'static Self {
        static KERNEL: OnceLock<Kernel> = OnceLock::new();
        KERNEL.get_or_init(|| Self::parse(types()).expect("the fixture is complete"))
    }

    /// The one that has these types, if they can be read and suffice.
    #[must_use]
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        let btf = Btf::parse(bytes).ok()?;
        let facts = Facts::from_btf(&btf).ok()?;
        Some(Self { btf, facts })
    }

    /// The first function of that name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<Function<'_>> {
        let id = self.btf.functions(name).next()?;
        Some(Function { btf: &self.btf, id, is_syscall: symbol::is_syscall(name) })
    }

    /// Panics unless the program with this predicate is one, and answers what the predicate means.
    pub fn agrees(&self, condition: &Ir) {
        // One that is too long for a program is refused.
        let Ok(code) = machine::program(&self.facts, condition) else { return };
        program::check(&code);
        for seed in 0..3 {
            let memory = Imagined { seed };
            let meant = match condition.evaluate(&memory) {
                Ok(0) => 0,
                Ok(_) => 1,
                Err(_) => 2,
            };
            if let Some(verdict) = condition.verdict() {
                assert!(meant == u64::from(verdict) || meant == 2, "{condition:?} is not always {verdict}");
            }
            assert_eq!(machine::answer(&code, &memory), meant, "{condition:?} with {seed}");
        }
    }
}

/// The types: what programs must know of, and members of every kind.
#[must_use]
pub fn types() -> Vec<u8> {
    let mut btf = BtfBuilder::new();
    let word = btf.int("unsigned int", 4);
    let long = btf.int("unsigned long", 8);
    let flags = btf.typedef("gfp_t", word);
    let pointer = btf.pointer(long);
    required(&mut btf, [word, long, pointer]);
    let char = btf.signed_int("char", 1);
    let byte = btf.int("unsigned char", 1);
    let short = btf.signed_int("short int", 2);
    let int = btf.signed_int("int", 4);
    let long_long = btf.signed_int("long long int", 8);
    let text = btf.pointer(char);
    let inner = btf.structure("inner", 16, &[("kind", short, 0), ("size", long_long, 64)]);
    let array = btf.array(inner, word, 3);
    let tail = btf.array(text, word, 0);
    let packed = btf.packed("bits", 12, &[("low", word, 0, 3), ("high", int, 30, 5), ("end", long, 88, 8)]);
    let anonymous = btf.structure("", 8, &[("left", byte, 0), ("right", char, 8)]);
    let name = btf.array(char, word, 16);
    let node = btf.structure(
        "node",
        144,
        &[
            ("inner", inner, 0),
            ("all", array, 128),
            ("", anonymous, 512),
            ("name", name, 576),
            ("bits", packed, 704),
            ("text", text, 832),
            // The struct is the next type, and a pointer to it the one behind that.
            ("next", name + 2, 896),
            ("flags", flags, 960),
            ("list", tail, 1088),
        ],
    );
    let node_pointer = btf.pointer(node);
    let outer =
        btf.structure("outer", 32, &[("node", node_pointer, 0), ("own", long, 64), ("raw", pointer, 128)]);
    let outer = btf.pointer(outer);
    let pair = btf.structure("pair", 16, &[("at", node_pointer, 0), ("small", short, 64)]);
    let registers = ["di", "si", "dx", "r10", "r8", "r9", "cx", "sp"].map(|name| (name, long));
    let registers: Vec<_> = (0_u32..).zip(registers).map(|(nth, (name, of))| (name, of, 64 * nth)).collect();
    let registers = btf.structure("pt_regs", 168, &registers);
    let registers = btf.pointer(registers);
    btf.enumeration("zone", &[("ZONE_LOW", 0), ("ZONE_HIGH", 7), ("ZONE_BELOW", -1)]);
    btf.function("lookup", &[("node", node_pointer), ("outer", outer), ("n", int), ("c", char), ("b", byte)]);
    btf.function("by_value", &[("n", short), ("pair", pair), ("last", node_pointer)]);
    btf.function("should_failslab", &[("s", node_pointer), ("gfpflags", flags)]);
    btf.function("should_fail_alloc_page", &[("gfp_mask", flags), ("order", word)]);
    btf.function("should_fail_bio", &[("bio", outer)]);
    btf.function("__x64_sys_mount", &[("regs", registers)]);
    btf.function("none", &[]);
    btf.build()
}

/// What every program must know of a kernel.
fn required(btf: &mut BtfBuilder, [word, long, pointer]: [u32; 3]) {
    btf.structure("signal_struct", 16, &[("oom_mm", pointer, 64)]);
    let task = [
        ("flags", word, 64),
        ("tgid", word, 128),
        ("signal", pointer, 192),
        ("group_leader", pointer, 256),
        ("nsproxy", pointer, 320),
        ("start_boottime", long, 384),
        ("comm", long, 448),
        ("nvcsw", long, 512),
        ("nivcsw", long, 576),
    ];
    btf.structure("task_struct", 80, &task);
    btf.structure("nsproxy", 16, &[("pid_ns_for_children", pointer, 64)]);
    btf.structure("pid_namespace", 16, &[("child_reaper", pointer, 64)]);
    btf.structure("mutex", 32, &[("owner", long, 64)]);
    let css = btf.structure("cgroup_subsys_state", 16, &[("cgroup", pointer, 0), ("parent", pointer, 64)]);
    btf.structure("cgroup", 40, &[("self", css, 0), ("kn", pointer, 128), ("root", pointer, 192)]);
    btf.structure("kernfs_node", 16, &[("id", long, 64)]);
    btf.structure("cgroup_root", 8, &[("hierarchy_id", word, 32)]);
    btf.typedef("btf_trace_cgroup_mkdir", pointer);
    btf.typedef("btf_trace_cgroup_rmdir", pointer);
    btf.variable("__preempt_count", word);
}
