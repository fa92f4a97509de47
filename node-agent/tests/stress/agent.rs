//! An engine in a process of its own, to be killed.
//!
//! It is this test binary once more, and does what it reads from its standard input.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use faultline_node_agent::kernel::{BootNanos, Engine, EngineConfig, Kernel as _, Kprobes, ProbeId};

use crate::experiments::Experiment;
use crate::machine::Machine;
use crate::victim::myself;

/// Where it finds its pins, the folder of the containers, and whether chains are to have kprobes.
const ORDERS: &str = "FAULTLINE_STRESS_AGENT";

/// The near side.
pub(crate) struct Agent {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

/// What a probe did in this engine, and what its budget lost meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) id: u64,
    pub(crate) injections: u64,
    pub(crate) spent: u64,
    pub(crate) missed_returns: u64,
    pub(crate) contended: u64,
}

impl Agent {
    pub(crate) fn start(machine: &Machine) -> Self {
        let config = &machine.config;
        let mut child = myself("agent::obeys_until_it_is_killed")
            .env(
                ORDERS,
                format!("{} {} {}", config.pins.display(), machine.root.display(), config.kprobes.frames),
            )
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, replies) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut agent = Self { child, orders, replies };
        agent.reply();
        agent
    }

    /// Gives an order that may never be finished.
    pub(crate) fn tell(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn ask(&mut self, order: &str) -> Vec<String> {
        self.tell(order);
        self.reply()
    }

    pub(crate) fn reply(&mut self) -> Vec<String> {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.replies.read_line(&mut line).unwrap(), 0, "the engine's process died");
            if let Some((_, words)) = line.trim_end().split_once("reply:") {
                return words.split_whitespace().map(str::to_owned).collect();
            }
        }
    }

    pub(crate) fn converge(&mut self, set: &[Experiment]) {
        self.ask(&converge_order(set));
    }

    /// The boot clock in nanoseconds.
    pub(crate) fn lease(&mut self, until: u64) {
        self.ask(&format!("lease {until}"));
    }

    pub(crate) fn counted(&mut self) -> Vec<Counted> {
        let words = self.ask("counters");
        let counted = |word: &String| {
            let numbers: Vec<u64> = word.split(',').map(|number| number.parse().unwrap()).collect();
            let [id, injections, spent, missed_returns, contended] = numbers[..] else { panic!("{word}") };
            Counted { id, injections, spent, missed_returns, contended }
        };
        words.iter().map(counted).collect()
    }

    /// What a budget has lost over its whole life.
    pub(crate) fn spent(&mut self, experiment: &Experiment) -> u64 {
        self.ask(&format!("spent {}", experiment.encode()))[0].parse().unwrap()
    }

    /// Runs of programs that the kernel dropped: all, and those at exits of chain functions.
    pub(crate) fn missed(&mut self) -> [u64; 2] {
        let words = self.ask("missed");
        [words[0].parse().unwrap(), words[1].parse().unwrap()]
    }

    /// Returns when it is gone, and with it its programs.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The order to converge.
pub(crate) fn converge_order(set: &[Experiment]) -> String {
    let words: Vec<String> = set.iter().map(Experiment::encode).collect();
    format!("converge {}", words.join(" "))
}

/// The far side.
struct Far {
    engine: Engine,
    /// What each budget had lost when its probe was attached.
    bases: BTreeMap<u64, u64>,
}

impl Far {
    fn converge(&mut self, root: &Path, set: &[Experiment]) {
        let wanted: BTreeSet<u64> = set.iter().map(|experiment| experiment.id).collect();
        self.bases.retain(|id, _| wanted.contains(id));
        for experiment in set {
            let spent = self.engine.spent(experiment.budget());
            self.bases.entry(experiment.id).or_insert(spent);
        }
        let specs: Vec<_> = set.iter().map(|experiment| experiment.spec(root)).collect();
        for outcome in self.engine.converge(&specs) {
            outcome.result.unwrap();
        }
    }

    fn counters(&self) -> Vec<String> {
        let line = |(id, counters): (ProbeId, faultline_node_agent::kernel::Counters)| {
            let key = faultline_node_agent::kernel::BudgetKey(u128::from(id.0).to_le_bytes());
            let spent = self.engine.spent(key) - self.bases[&id.0];
            let (missed, contended) = (counters.missed_returns, counters.contended);
            format!("{},{},{spent},{missed},{contended}", id.0, counters.injections)
        };
        self.engine.counters().into_iter().map(line).collect()
    }

    fn missed(&self) -> Vec<String> {
        let programs = self.engine.programs();
        let exits = programs
            .iter()
            .filter(|program| program.name.starts_with("fexit/") || program.name.starts_with("kretprobe/"));
        let sums = [
            programs.iter().map(|program| program.missed).sum::<u64>(),
            exits.map(|program| program.missed).sum(),
        ];
        sums.map(|sum| sum.to_string()).into()
    }
}

#[test]
fn obeys_until_it_is_killed() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let words: Vec<&str> = orders.split(' ').collect();
    let [pins, root, frames] = words[..] else { panic!("{orders}") };
    let kprobes = Kprobes { gates: false, frames: frames.parse().unwrap() };
    let config = EngineConfig { pins: pins.into(), kprobes, ..EngineConfig::default() };
    let mut far = Far { engine: Engine::open(&config).unwrap(), bases: BTreeMap::new() };
    println!("reply:");
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split_whitespace().collect();
        let experiments = || words[1..].iter().map(|word| Experiment::decode(word)).collect::<Vec<_>>();
        let reply = match words[0] {
            "converge" => {
                far.converge(root.as_ref(), &experiments());
                Vec::new()
            }
            "lease" => {
                far.engine.set_lease(BootNanos(words[1].parse().unwrap()));
                Vec::new()
            }
            "counters" => far.counters(),
            "spent" => vec![far.engine.spent(experiments()[0].budget()).to_string()],
            "missed" => far.missed(),
            other => panic!("unknown order {other}"),
        };
        println!("reply:{}", reply.join(" "));
    }
}
