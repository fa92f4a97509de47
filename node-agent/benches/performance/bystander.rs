//! What a task pays that is no target, for each of its slab allocations.

use std::path::Path;
use std::thread;
use std::time::Duration;

use faultline_node_agent::kernel::{Engine, Kernel as _, ProbeSpec};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::ground::{self, Ground, spec};
use crate::table::{self, times, whole};
use crate::worker::{WAITS_IN, Work, Worker};

/// How many experiments are armed, each in a container of its own.
const EXPERIMENTS: [u64; 3] = [1, 8, 64];

/// Prints a table.
pub(crate) fn measure(ground: &Ground) {
    let mut bystander = Worker::start(&ground.cgroup("bystander"));
    let bare = bystander.count(Work::Look).instructions;
    let mut over = || bystander.count(Work::Look).instructions - bare;
    let floor = {
        let _program = ground::empty_gate();
        over()
    };
    let mut rows =
        vec![vec!["an empty `fmod_ret`: the floor".into(), whole(floor), whole(floor), whole(floor)]];
    let states: [(&str, Arm); 3] = [
        ("experiments on other containers", idle),
        ("their targets wait inside the chain", waiting),
        ("their chains are empty", without_chain),
    ];
    for (name, state) in states {
        let figures = EXPERIMENTS.map(|experiments| {
            let _state = state(ground, experiments);
            over()
        });
        let cell = |figure: &f64| format!("{} ({})", whole(*figure), times(*figure, floor));
        rows.push([name.to_owned()].into_iter().chain(figures.iter().map(cell)).collect());
    }
    let columns = ["instructions (of the floor)", "1 experiment", "8", "64"];
    table::print("A bystander's slab allocation", &columns, &rows);
    println!("Over {bare:.0} for the call of `statx` that makes it, without any program.\n");
}

/// Arms as many experiments.
type Arm = fn(&Ground, u64) -> State;

/// What is armed, and who waits.
struct State {
    _engine: Engine,
    _waiting: Vec<Worker>,
}

fn idle(ground: &Ground, experiments: u64) -> State {
    State { _engine: ground.arm(&specs(ground, experiments, &[WAITS_IN])), _waiting: Vec::new() }
}

fn without_chain(ground: &Ground, experiments: u64) -> State {
    State { _engine: ground.arm(&specs(ground, experiments, &[])), _waiting: Vec::new() }
}

/// A target of each experiment is inside the chain: it has matched, and has not returned.
fn waiting(ground: &Ground, experiments: u64) -> State {
    let pipe = Path::new("/tmp/nobody-writes");
    if !pipe.exists() {
        mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    }
    let mut waiting: Vec<Worker> =
        ground.containers(experiments).iter().map(|cgroup| Worker::start(cgroup)).collect();
    let specs: Vec<ProbeSpec> = specs(ground, experiments, &[WAITS_IN])
        .into_iter()
        .map(|spec| ProbeSpec { probability: 0, ..spec })
        .collect();
    let engine = ground.arm(&specs);
    for worker in &mut waiting {
        worker.wait_in_a_call(pipe);
    }
    let all_matched = || engine.counters().values().all(|counters| counters.matches > 0);
    let matched = (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(10));
        all_matched()
    });
    assert!(matched, "a target did not come to wait: {:?}", engine.counters());
    State { _engine: engine, _waiting: waiting }
}

fn specs(ground: &Ground, experiments: u64, functions: &[&str]) -> Vec<ProbeSpec> {
    ground.containers(experiments).iter().zip(0..).map(|(scope, id)| spec(id, functions, scope)).collect()
}
