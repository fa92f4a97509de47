//! What a target pays, and what a chain function costs everyone.

use std::num::NonZeroU32;

use faultline_node_agent::kernel::{Counters, Kernel as _, ProbeSpec};

use crate::ground::{self, Ground, spec};
use crate::table::{self, whole};
use crate::worker::{Count, Work, Worker};

/// Below the table of a target's allocations.
const NOTE: &str = "\
With a chain, its entry and its exit are included. An injected call does less than one that succeeds, so it is held
against a program that fails every allocation of one process, and that program's cost added.";

/// Prints two tables.
pub(crate) fn measure(ground: &Ground) {
    chain_function(ground);
    let own = ground.cgroup("own");
    let mut target = Worker::start(&own);
    let bare = target.count(Work::Look).instructions;
    let floor = {
        let _program = ground::empty_gate();
        target.count(Work::Look).instructions - bare
    };
    let failing = failing(&mut target, bare, floor, ground);
    let mut cases = Cases { ground, target, bare, failing };
    let plain = |functions| spec(0, functions, &own);
    let never = |functions| ProbeSpec { probability: 0, ..plain(functions) };
    let once = |functions| ProbeSpec { times: NonZeroU32::new(1), ..plain(functions) };
    let chain: &[&str] = &[Work::Look.function()];
    let rows = vec![
        row("an empty program: the floor", floor),
        row("outside its chain", cases.count(plain(&[Work::Idle.function()]), |seen| seen.matches == 0)),
        row("no chain, not drawn", cases.count(never(&[]), |seen| seen.sampled_out > 0)),
        row("no chain, `times` used up", cases.count(once(&[]), |seen| seen.exhausted > 0)),
        row("no chain, injected", cases.count_injected(plain(&[]))),
        row("chain of one, not drawn", cases.count(never(chain), |seen| seen.sampled_out > 0)),
        row("chain of one, `times` used up", cases.count(once(chain), |seen| seen.exhausted > 0)),
        row("chain of one, injected", cases.count_injected(plain(chain))),
    ];
    table::print("A target's slab allocation", &["state", "instructions"], &rows);
    println!("{NOTE}\n");
}

struct Cases<'a> {
    ground: &'a Ground,
    target: Worker,
    /// A call without programs.
    bare: f64,
    /// A call that fails, less what makes it fail.
    failing: f64,
}

impl Cases<'_> {
    /// Instructions over a call without programs, of one that succeeds; what the probe saw has to fit.
    fn count(&mut self, spec: ProbeSpec, fits: impl Fn(Counters) -> bool) -> f64 {
        let most = spec.times.map_or(0, |times| u64::from(times.get()));
        let (count, seen) = self.run(&spec);
        assert!(fits(seen) && count.failed <= most, "{count:?} {seen:?}");
        count.instructions - self.bare
    }

    fn count_injected(&mut self, spec: ProbeSpec) -> f64 {
        let (count, seen) = self.run(&spec);
        assert!(count.failed == count.rounds && seen.injections >= count.rounds, "{count:?} {seen:?}");
        count.instructions - self.failing
    }

    fn run(&mut self, spec: &ProbeSpec) -> (Count, Counters) {
        let engine = self.ground.arm(std::slice::from_ref(spec));
        let count = self.target.count(Work::Look);
        (count, engine.counters().get(&spec.id).copied().unwrap())
    }
}

/// A failing call, without the cost of the program that fails it, which another process tells.
fn failing(target: &mut Worker, bare: f64, floor: f64, ground: &Ground) -> f64 {
    let mut other = Worker::start(&ground.cgroup("other"));
    let _program = ground::least_gate(target.process());
    let cost = other.count(Work::Look).instructions - bare;
    assert!(cost >= floor * 0.9, "the least injector costs {cost}, less than an empty program");
    let count = target.count(Work::Look);
    assert_eq!(count.failed, count.rounds);
    count.instructions - cost
}

/// Entry and exit of a function that chains name, when it allocates nothing.
fn chain_function(ground: &Ground) {
    let own = ground.cgroup("own");
    let (mut bystander, mut target) = (Worker::start(&ground.cgroup("other")), Worker::start(&own));
    let count = |worker: &mut Worker| worker.count(Work::Idle).instructions;
    let bare = [count(&mut bystander), count(&mut target)];
    let function = Work::Idle.function();
    let empty = {
        let _programs = ground::empty_pair(function);
        count(&mut bystander) - bare[0]
    };
    let _engine = ground.arm(&[spec(0, &[function], &own)]);
    let rows = vec![
        row("empty `fentry` and `fexit`: the floor", empty),
        row("a bystander", count(&mut bystander) - bare[0]),
        row("a target, whose chain it advances", count(&mut target) - bare[1]),
    ];
    table::print("A call of a chain function", &["caller", "instructions"], &rows);
}

fn row(name: &str, figure: f64) -> Vec<String> {
    vec![name.to_owned(), whole(figure)]
}
