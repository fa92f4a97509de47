//! Calls of a function are counted, and only while someone counts.

use std::fs;

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::counter;
use faultline_node_agent::kernel::{CallCounter, Kernel, ProbeSpec};

use crate::world::{Vary, World, failing_mounts};

fn count(name: &str) -> CallCounter {
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let id = btf.functions(name).next().unwrap();
    CallCounter::attach(&counter(name, id).unwrap()).unwrap()
}

#[test]
fn a_counter_counts_the_calls_of_every_process_and_of_its_own_function_only() {
    let Some(world) = World::new() else { return };
    let (_, mut one) = world.container("one");
    let (_, mut two) = world.container("two");
    let (mounts, unlinks) = (count("__x64_sys_mount"), count("__x64_sys_unlink"));
    assert_eq!((mounts.total(), unlinks.total()), (0, 0));
    assert_eq!((one.ask("mount 20 1").ok, two.ask("mount 5 1").ok), (20, 5));
    assert_eq!((mounts.total(), unlinks.total()), (25, 0));
    assert_eq!(mounts.by_cpu().iter().sum::<u64>(), 25);
}

#[test]
fn the_symbol_table_is_read_again_only_for_names_that_take_a_closer_look() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let readings = count("kallsyms_open");
    let plain = failing_mounts(&target).frames(&["mount", "vmlinux:path_mount"]);
    world.arm(std::slice::from_ref(&plain));
    assert_eq!((victim.ask("mount 5 1").failed, readings.total()), (5, 0));
    let unknown = failing_mounts(&target).frames(&["path_muont"]);
    world.engine.converge(&[unknown])[0].result.as_ref().unwrap_err();
    assert_ne!(readings.total(), 0);
}

#[test]
fn a_chain_that_comes_again_and_a_gate_that_was_tried_are_not_verified_again() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let verified = count("bpf_check");
    let mut fresh = |world: &mut World, spec: &ProbeSpec| {
        let before = verified.total();
        world.arm(std::slice::from_ref(spec));
        let after = verified.total();
        assert_eq!(victim.ask("mount 5 1").failed, 5);
        world.arm(&[]);
        assert_eq!(victim.ask("mount 5 1").failed, 0);
        after - before
    };
    let plain = failing_mounts(&target).frames(&["path_mount"]);
    let picky = plain.clone().when("flags != 4242");
    assert_eq!(fresh(&mut world, &plain), 4, "entry, exit, and two that follow cgroups");
    assert_eq!(fresh(&mut world, &plain), 2, "those two");
    assert_eq!(fresh(&mut world, &picky), 4, "its entry has a predicate now");
    assert_eq!([&picky, &plain].map(|spec| fresh(&mut world, spec)), [2, 2], "which nothing has to ask for");
}
