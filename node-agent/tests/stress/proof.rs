//! What the walk of the stack is good for: exits that are missed, with it and without it.

use std::fs;

use faultline_ebpf::asm::{Asm, Attach, Program, Reg};
use faultline_ebpf::btf::Btf;
use faultline_node_agent::kernel::{Alone, BootNanos, Counters, Engine, Kernel as _, ProgramStatus};

use crate::experiments::{CALL, COPY, Experiment, Shape};
use crate::machine::{Machine, complaints};
use crate::tracer::Tracer;
use crate::victim::{Manner, Victim};
use crate::workers::{FLAGGED, PLAIN};

/// Rounds of the target's threads that a test is worth.
const ROUNDS: u64 = 3000;

/// How many times as long to wait for what is bound to happen.
const PATIENCE: u64 = 10;

/// Exits missed by preemption of which some are bound to be followed by an operation outside the chain.
const EXITS: u64 = 500;

/// Target and bystander.
const CONTAINERS: usize = 2;
const TARGET: usize = 0;

/// How exits come to be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// A task is interrupted inside an exit program, and others leave the function on the same CPU.
    Preemption,
    /// Programs come to and go from the functions while tasks are inside.
    Programs,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    /// Operations of the target that failed outside the call chain, and inside.
    outside: u64,
    inside: u64,
    bystander: u64,
    traced: Vec<u64>,
    uncounted: u64,
    counters: Counters,
}

/// Target and bystander do the same operations, in the chain of the only experiment and outside it, until `enough`.
fn run(trouble: Trouble, believes: bool, enough: impl Fn(u64, &Engine) -> bool) -> Option<Outcome> {
    let machine = Machine::new(CONTAINERS)?;
    let mut tracer = Tracer::attach();
    let mut victims: Vec<_> = [6, 4]
        .into_iter()
        .enumerate()
        .map(|(at, threads)| Victim::start(&machine.container(at), threads, Manner::Restless))
        .collect();
    let mut engine = Engine::open(&machine.config).unwrap();
    if believes {
        engine.believe_records();
    }
    let experiment =
        Experiment { id: 1, shape: Shape::Call, containers: 1, probability: 50, times: 0, ends: u64::MAX };
    let spec = experiment.spec(&machine.root);
    engine.set_lease(BootNanos::NEVER);
    engine.converge(std::slice::from_ref(&spec)).remove(0).result.unwrap();
    let nothing = [CALL, COPY].map(nothing_at);
    victims.iter_mut().for_each(Victim::go);
    loop {
        if trouble == Trouble::Programs {
            nothing.iter().for_each(|program| drop(Alone::attach(program).unwrap()));
        }
        if enough(victims[TARGET].progress(), &engine) {
            break;
        }
    }
    // Long lists of failures would be of no use: the lease ends first.
    engine.set_lease(BootNanos(0));
    let accounts: Vec<_> = victims.iter_mut().map(Victim::stop).collect();
    let counters = engine.counters()[&spec.id];
    let seen = tracer.look(&machine.ids(CONTAINERS));
    let ids = machine.ids(CONTAINERS);
    assert!(seen.records.iter().all(|record| ids.contains(&record.cgroup)), "somebody else was hit");
    let programs: Vec<ProgramStatus> = engine.programs();
    let [(_, flagged), (_, plain), rest @ ..] = accounts[TARGET].tallies;
    assert_eq!((FLAGGED, PLAIN), (0, 1), "all other kinds of operations are outside the chain");
    let outside = rest.iter().map(|(_, failed)| failed).sum();
    let outcome = Outcome {
        outside,
        inside: flagged + plain,
        bystander: accounts[1].failed(),
        traced: seen.counts,
        uncounted: seen.uncounted,
        counters,
    };
    println!("{trouble:?}, {}: {outcome:?}", if believes { "believing" } else { "proving" });
    programs.iter().for_each(|program| println!("  {program:?}"));
    Some(outcome)
}

/// A program at the exit of a function that does nothing.
pub(crate) fn nothing_at(function: &str) -> Program {
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let id = btf.functions(function).next().unwrap();
    let mut asm = Asm::new();
    asm.mov(Reg::R0, 0);
    asm.exit();
    asm.finish("stress_nothing", Attach::Exit(function.to_owned()), id).unwrap()
}

impl Outcome {
    /// All counts agree, whatever was hit. Outside the chain there is also memory that operations can do without.
    fn agrees(&self) {
        let (injections, traced) = (self.counters.injections, self.traced[TARGET]);
        assert!(self.outside + self.inside <= injections, "{self:?}");
        assert!(traced <= injections && injections <= traced + self.uncounted, "{self:?}");
        assert_eq!((self.bystander, self.traced[1]), (0, 0), "{self:?}");
        assert_eq!(complaints(), [""; 0]);
    }
}

fn proven(trouble: Trouble) {
    // Past the rounds, until there was something to disprove.
    let enough = |rounds: u64, engine: &Engine| {
        let disproved = engine.counters().values().any(|counters| counters.missed_returns > 0);
        rounds > ROUNDS && (disproved || rounds > ROUNDS * PATIENCE)
    };
    let Some(outcome) = run(trouble, false, enough) else { return };
    outcome.agrees();
    assert_eq!((outcome.outside, outcome.inside), (0, outcome.counters.injections), "{outcome:?}");
    assert!(outcome.inside > 0 && outcome.counters.missed_returns > 0, "{outcome:?}");
}

fn believed(trouble: Trouble) {
    // A gate that believes does not count what it does not check: past the rounds, until exits were missed. Of those that
    // programs miss by coming and going the kernel keeps no count.
    let enough = |rounds: u64, engine: &Engine| {
        let programs = engine.programs();
        let exits = programs.iter().filter(|program| program.name.starts_with("fexit/"));
        let missed = exits.map(|program| program.missed).sum::<u64>() > EXITS;
        rounds > ROUNDS * 3 && (missed || trouble == Trouble::Programs || rounds > ROUNDS * PATIENCE)
    };
    let Some(outcome) = run(trouble, true, enough) else { return };
    outcome.agrees();
    // Entries still find some of the missed exits out, by tags, and count them.
    assert!(outcome.outside > 0, "{outcome:?}");
}

#[test]
fn no_exit_missed_by_preemption_injects_outside_the_chain() {
    proven(Trouble::Preemption);
}

#[test]
fn no_exit_missed_while_programs_come_and_go_injects_outside_the_chain() {
    proven(Trouble::Programs);
}

#[test]
fn a_gate_that_believes_its_records_injects_outside_the_chain_after_preemption() {
    believed(Trouble::Preemption);
}

#[test]
fn a_gate_that_believes_its_records_injects_outside_the_chain_when_programs_come_and_go() {
    believed(Trouble::Programs);
}
