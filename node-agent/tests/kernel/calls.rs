//! Calls of a function are counted, and only while someone counts.

use std::fs;

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::counter;
use faultline_node_agent::kernel::CallCounter;

use crate::world::World;

#[test]
fn a_counter_counts_the_calls_of_every_process_and_of_its_own_function_only() {
    let Some(world) = World::new() else { return };
    let (_, mut one) = world.container("one");
    let (_, mut two) = world.container("two");
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let count = |name: &str| {
        let id = btf.functions(name).next().unwrap();
        CallCounter::attach(&counter(name, id).unwrap()).unwrap()
    };
    let (mounts, unlinks) = (count("__x64_sys_mount"), count("__x64_sys_unlink"));
    assert_eq!((mounts.total(), unlinks.total()), (0, 0));
    assert_eq!((one.ask("mount 20 1").ok, two.ask("mount 5 1").ok), (20, 5));
    assert_eq!((mounts.total(), unlinks.total()), (25, 0));
    assert_eq!(mounts.by_cpu().iter().sum::<u64>(), 25);
}
