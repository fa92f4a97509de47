//! How much a chain may cost everybody else: functions that are called all the time, and crowded ones.

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::counter;
use faultline_ebpf::layout::{MAX_FRAMES, MAX_FUNCTIONS};
use faultline_node_agent::kernel::{CallCounter, EngineConfig, Kernel, Mechanism, ProbeError};

use crate::world::{Vary, World, failing_mounts, programs_left};

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

#[test]
fn as_many_functions_as_there_are_numbers_carry_programs_and_one_more_is_refused_alone() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let mut scopes = vec![target];
    scopes.extend((0..2).map(|nth| world.cgroup(&format!("c{nth}"))));
    let names = system_calls(usize::from(MAX_FUNCTIONS) + 1);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chains = [&["__x64_sys_mount"][..]].into_iter().chain(names.chunks(MAX_FRAMES));
    let specs: Vec<_> = chains
        .enumerate()
        .map(|(nth, frames)| failing_mounts(&scopes[nth % scopes.len()]).frames(frames))
        .collect();
    let outcomes = world.engine.converge(&specs);
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.result.as_ref().err()).collect();
    assert_eq!(refused, [&ProbeError::Full { what: "chain functions", max: usize::from(MAX_FUNCTIONS) }]);
    let entries = world.engine.programs().into_iter().filter(|program| program.name.starts_with("fentry/"));
    assert!(entries.count() < usize::from(MAX_FUNCTIONS), "those of the refused chain are gone");
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    world.arm(&[]);
    assert_eq!(programs_left(), [""; 0]);
}

/// System calls that programs can be attached to, of which mount is one: so many of those that return.
fn system_calls(count: usize) -> Vec<String> {
    let traced = std::fs::read_to_string("/sys/kernel/tracing/available_filter_functions").unwrap();
    let returns = |name: &&str| !name.contains("exit") && !name.contains("sigreturn");
    let mut names: Vec<String> = traced
        .lines()
        .filter(|name| name.starts_with("__x64_sys_"))
        .filter(returns)
        .map(str::to_owned)
        .collect();
    names.sort_by_key(|name| name != "__x64_sys_mount");
    names.truncate(count);
    assert_eq!(names.len(), count);
    names
}
