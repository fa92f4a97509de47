//! How much a chain may cost everybody else: functions that are called all the time, and crowded ones.

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::counter;
use faultline_ebpf::layout::{MAX_FRAMES, MAX_FUNCTIONS};
use faultline_node_agent::kernel::{CallCounter, EngineConfig, Kernel, Mechanism, ProbeError, ProbeSpec};

use crate::world::{Vary, World, failing_mounts, programs_left};

/// Few enough for any machine to exceed, and more than happens by itself.
const FEW: u64 = 50;

/// How often a function is measured that is not found to be hot.
const MEASUREMENTS: usize = 20;

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
    let (target, mut victim) = world.container("target");
    let (_, mut busy) = world.container("busy");
    let hot = failing_mounts(&target).frames(&["path_mount"]);
    let quiet = failing_mounts(&target).frames(&["__x64_sys_pivot_root"]);
    busy.order(WORK);
    wait_for_calls("path_mount");
    // Where the machine's own CPUs are busy, a measurement may see too few calls.
    let mut measured = || {
        world.restart();
        world.engine.converge(&[hot.clone(), quiet.clone()])
    };
    let outcomes = (0..MEASUREMENTS).map(|_| measured()).find(|outcomes| outcomes[0].result.is_err());
    let outcomes = outcomes.unwrap();
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
fn as_many_functions_as_there_are_numbers_carry_programs_and_a_chain_too_many_leaves_room_for_those_behind_it()
 {
    let Some(mut world) = World::quick() else { return };
    let (target, mut victim) = world.container("target");
    let all = system_calls(usize::from(MAX_FUNCTIONS) + 2);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    // Less than a chain is left of the numbers.
    let (first, rest) = all.split_at(usize::from(MAX_FUNCTIONS) / MAX_FRAMES * MAX_FRAMES);
    let (last, beyond) = rest.split_at(usize::from(MAX_FUNCTIONS) - first.len());
    let mut chains: Vec<Vec<&str>> = first.chunks(MAX_FRAMES).map(<[_]>::to_vec).collect();
    let full = chains.len();
    chains.extend([rest.to_vec(), last.to_vec(), vec![beyond[0]], vec![last[0], first[0]]]);
    // The chain with mount in it comes first; it would never match.
    chains[0].retain(|name| *name != MOUNT);
    chains.insert(0, vec![MOUNT]);
    let scopes: Vec<_> = (0..2).map(|nth| world.cgroup(&format!("c{nth}"))).chain([target]).collect();
    let scope = |nth: usize| scopes[(nth + 2) % scopes.len()].as_path();
    let chain = |(nth, frames): (usize, &Vec<&str>)| failing_mounts(scope(nth)).frames(frames);
    let specs: Vec<ProbeSpec> = chains.iter().enumerate().map(chain).collect();
    let outcomes = world.engine.converge(&specs);
    let refused: Vec<(usize, String)> = outcomes
        .iter()
        .enumerate()
        .filter_map(|(nth, outcome)| Some((nth, outcome.result.as_ref().err()?.to_string())))
        .collect();
    let why = "the node holds 256 chain functions already".to_owned();
    assert_eq!(refused, [(full + 1, why.clone()), (full + 3, why)]);
    let entries = world.engine.programs().into_iter().filter(|program| program.name.starts_with("fentry/"));
    assert_eq!(entries.count(), usize::from(MAX_FUNCTIONS));
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    // What comes in place of one of them finds the room that it leaves.
    let others: Vec<ProbeSpec> = specs.iter().skip(2).cloned().collect();
    let outcomes = world.engine.converge(&others);
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{outcomes:?}");
    world.arm(&[]);
    assert_eq!(programs_left(), [""; 0]);
}

const MOUNT: &str = "__x64_sys_mount";

/// System calls that programs can be attached to, of which mount is the first: so many of those that return.
fn system_calls(count: usize) -> Vec<String> {
    let traced = std::fs::read_to_string("/sys/kernel/tracing/available_filter_functions").unwrap();
    let returns = |name: &&str| !name.contains("exit") && !name.contains("sigreturn");
    let names = traced.lines().filter(|name| name.starts_with("__x64_sys_")).filter(returns);
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_by_key(|name| name != MOUNT);
    names.truncate(count);
    assert_eq!(names.len(), count);
    names
}
