//! How much a chain may cost everybody else: functions that are called all the time, and crowded ones.

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::counter;
use faultline_node_agent::kernel::{CallCounter, EngineConfig, Kernel, Mechanism, ProbeError};

use crate::world::{Vary, World, failing_mounts};

/// Few enough for any machine to exceed, and more than happens by itself.
const FEW: u64 = 50;

/// Calls it until the victim is dropped.
const WORK: &str = "try-for 3600000 1";

/// Work does not begin at once.
fn wait_for_calls(function: &str) {
    let btf = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let id = btf.functions(function).next().unwrap();
    let calls = CallCounter::attach(&counter(function, id).unwrap()).unwrap();
    while calls.total() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn a_function_that_is_called_all_the_time_is_refused_with_its_rate_and_others_are_not() {
    let Some(mut world) = World::new() else { return };
    world.config = EngineConfig { hottest: Some(FEW), ..world.config.clone() };
    world.restart();
    let (target, mut victim) = world.container("target");
    let (_, mut busy) = world.container("busy");
    let hot = failing_mounts(&target).frames(&["path_mount"]);
    let quiet = failing_mounts(&target).frames(&["__x64_sys_pivot_root"]);
    busy.order(WORK);
    wait_for_calls("path_mount");
    let outcomes = world.engine.converge(&[hot.clone(), quiet.clone()]);
    let Err(ProbeError::Hot { name, rate, hottest }) = &outcomes[0].result else { panic!("{outcomes:?}") };
    assert_eq!((name.as_str(), *hottest), ("path_mount", FEW));
    assert!(*rate > FEW, "{rate}");
    assert!(outcomes[1].result.is_ok(), "{outcomes:?}");
    let names: Vec<String> = world.engine.programs().into_iter().map(|program| program.name).collect();
    assert!(!names.iter().any(|name| name.contains("path_mount")), "{names:?}");
    drop(busy);
    world.arm(&[hot, quiet]);
    assert_eq!(victim.ask("mount 5 1").failed, 5, "it has cooled down");
}

#[test]
fn any_function_may_be_in_a_chain_where_that_is_allowed() {
    let Some(mut world) = World::new() else { return };
    world.config = EngineConfig { hottest: None, ..world.config.clone() };
    world.restart();
    let (target, mut victim) = world.container("target");
    let (_, mut busy) = world.container("busy");
    busy.order(WORK);
    world.arm(&[failing_mounts(&target).frames(&["path_mount"])]);
    assert_eq!(victim.ask("mount 5 1").failed, 5);
}

#[test]
fn a_function_with_as_many_programs_as_the_kernel_allows_gets_kprobes_and_that_reason() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let btf = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let id = btf.functions("path_mount").next().unwrap();
    let program = counter("path_mount", id).unwrap();
    let others: Vec<CallCounter> = (0..38).map(|_| CallCounter::attach(&program).unwrap()).collect();
    let spec = failing_mounts(&target).frames(&["path_mount"]);
    let outcome = world.engine.converge(std::slice::from_ref(&spec)).remove(0);
    let points = outcome.result.unwrap().points;
    let Mechanism::Kprobes { instead } = &points[0].mechanism else { panic!("{points:?}") };
    assert!(instead.contains("on one function, 38,"), "{instead}");
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    drop(others);
}
