//! What gates count against what the model makes of the same calls, as the kernel's own tracing recorded them.

use std::collections::BTreeMap;

use faultline_ebpf::Target;
use faultline_ebpf::layout::counters::Counter;
use faultline_ebpf::layout::members::SLOTS;
use faultline_ebpf::layout::probe::Step;
use faultline_ebpf::model::{Call, Chain, Function, TaskState};
use faultline_node_agent::kernel::ProbeSpec;

use crate::trace::{Event, Recording};
use crate::victim::Victim;
use crate::world::{Vary, World, failing_mounts, threads, wait_until_idle};

/// What chains are made of here; kernels have one of the two that look a path up.
const FUNCTIONS: [&str; 5] =
    ["__x64_sys_mount", "path_mount", "user_path_at_empty", "user_path_at", "getname_flags"];

/// Where the stack of the imagined task begins.
const TOP: u64 = 1 << 20;

/// A task of the model, and the functions that it is in.
#[derive(Default)]
struct Replay {
    state: TaskState,
    live: Vec<usize>,
}

impl Replay {
    fn follow(&mut self, chains: &[Chain], favours: bool, event: &Event) -> Vec<(usize, Counter)> {
        let number = |name: &str| FUNCTIONS.iter().position(|known| *known == name).unwrap();
        match event {
            Event::Entered(name) => self.live.push(number(name)),
            Event::Left(name) => {
                let tag = TOP - self.live.len() as u64;
                assert_eq!(self.live.pop(), Some(number(name)), "calls nest");
                self.state.exit(tag);
                return Vec::new();
            }
            Event::Reached => {}
        }
        let stack: Vec<u64> = self.live.iter().rev().map(|function| site(*function)).collect();
        let depth = stack.len() as u64 + u64::from(*event == Event::Reached);
        let favours = |_| favours;
        let call =
            Call { version: 1, chains, tag: TOP - depth, stack: &stack, holds: &|_| true, favours: &favours };
        match event {
            Event::Entered(name) => self.state.enter(function(number(name)), &call),
            _ => self.state.reach(Target::Slab, &call),
        }
    }
}

fn site(function: usize) -> u64 {
    0x1000 * (function as u64 + 1)
}

fn function(index: usize) -> Function {
    Function { number: u16::try_from(index + 1).unwrap(), site: site(index), span: 10 }
}

/// A probe as the model has it.
fn chain(spec: &ProbeSpec) -> Chain {
    let number = |name: &str| FUNCTIONS.iter().position(|known| *known == name).unwrap();
    let frames = spec
        .call_chain
        .frames
        .iter()
        .map(|frame| Step { function: function(number(&frame.function)).number, predicate: 0 });
    Chain { target: Target::Slab, frames: frames.collect(), predicate: 0, certain: spec.probability == 100 }
}

/// Records what the victim does under these probes, and compares; the number of matches.
fn compare(specs: &[ProbeSpec], world: &mut World, favours: bool, functions: &[&str]) -> u64 {
    let mut victim = Victim::start(&specs[0].scope[0]);
    world.arm(specs);
    // The first match of a thread makes its state, and allocates for it; what is recorded comes after.
    victim.ask("try 3");
    wait_until_idle(&victim);
    let before: Vec<_> = specs.iter().map(|spec| world.counters(spec)).collect();
    let recording = Recording::start(functions, "should_failslab", &threads(&victim));
    victim.ask("try 10");
    victim.ask("mount 10 1");
    wait_until_idle(&victim);
    let events = recording.stop();
    let chains: Vec<Chain> = specs.iter().map(chain).collect();
    let mut tasks: BTreeMap<&str, Replay> = BTreeMap::new();
    let mut counts: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (thread, event) in &events {
        for (slot, counter) in tasks.entry(thread).or_default().follow(&chains, favours, event) {
            *counts.entry((slot, counter.offset())).or_default() += 1;
        }
    }
    let mut matches = 0;
    for (slot, (spec, before)) in specs.iter().zip(before).enumerate() {
        let after = world.counters(spec);
        let modelled = |counter: Counter| counts.get(&(slot, counter.offset())).copied().unwrap_or(0);
        let frames = &chains[slot].frames;
        for (counter, counted) in [
            (Counter::Hits, after.hits - before.hits),
            (Counter::Matches, after.matches - before.matches),
            (Counter::SampledOut, after.sampled_out - before.sampled_out),
            (Counter::Injections, after.injections - before.injections),
            (Counter::MissedReturns, after.missed_returns - before.missed_returns),
        ] {
            assert_eq!(counted, modelled(counter), "{counter:?} of {frames:?}: {events:?}");
        }
        assert!(after.hits > before.hits, "something was recorded");
        matches += after.matches - before.matches;
    }
    matches
}

#[test]
fn gates_count_what_the_model_makes_of_the_calls_that_the_kernel_recorded() {
    let Some(mut world) = World::new() else { return };
    let target = world.cgroup("target");
    let functions: Vec<&str> = FUNCTIONS.into_iter().filter(|name| is_there(name)).collect();
    let mut specs: Vec<ProbeSpec> = vec![failing_mounts(&target).frames(&[]).probability(0)];
    for outer in &functions {
        specs.push(failing_mounts(&target).frames(&[outer]).probability(0));
        for inner in &functions {
            specs.push(failing_mounts(&target).frames(&[outer, inner]).probability(0));
        }
    }
    specs.truncate(SLOTS);
    assert!(compare(&specs, &mut world, false, &functions) > 20);
    let injecting = failing_mounts(&target).frames(&["__x64_sys_mount", "path_mount"]);
    assert_eq!(compare(&[injecting], &mut world, true, &functions), 20);
}

fn is_there(name: &str) -> bool {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    symbols.lines().any(|line| line.split(' ').next_back() == Some(name))
}
