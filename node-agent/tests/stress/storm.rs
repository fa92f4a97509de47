//! The storm: experiments that come, go, change, end and die with their agent, over victims that never rest.

use std::thread;
use std::time::Duration;

use faultline_node_agent::kernel::Alone;

use crate::agent::{Agent, Counted, converge_order};
use crate::dice::Dice;
use crate::epoch::Epoch;
use crate::experiments::{Experiment, FUNCTIONS, Shape};
use crate::machine::{Machine, boot_ns, complaints, in_ms, setting};
use crate::proof::nothing_at;
use crate::tracer::Tracer;
use crate::verdict::{Evidence, Functions};
use crate::victim::{Account, Manner, Victim};
use crate::workers::KINDS;

/// Containers, by what may happen in them: chains only, frameless ones too, nothing.
const CHAINED: [usize; 3] = [0, 1, 2];
const FRAMELESS: usize = 3;
const BYSTANDERS: [usize; 2] = [4, 5];
const CONTAINERS: usize = 6;

/// Threads of each container's victim.
const THREADS: usize = 3;

/// Experiments to choose from in an epoch: fewer than one container may have.
const POOL: u64 = 10;

/// Orders in an epoch.
const ORDERS: u64 = 8;

/// Rounds that the victims do at least between two orders.
const PACE: u64 = 10;

/// Epochs in an ordinary run of the tests.
const EPOCHS: u64 = 4;

/// And with kprobes.
const EPOCHS_OF_KPROBES: u64 = 2;

/// Longer than any epoch, in milliseconds.
const LONG: u64 = 600_000;

/// Everything that is there throughout.
struct Storm {
    machine: Machine,
    dice: Dice,
    tracer: Tracer,
    functions: Functions,
    victims: Vec<Victim>,
    agent: Option<Agent>,
    last_id: u64,
    /// Operations that failed, by kind.
    failed: [u64; KINDS],
}

#[test]
fn nothing_is_injected_out_of_scope_after_a_deadline_or_over_budget() {
    let Some(machine) = Machine::new(CONTAINERS) else { return };
    rage(machine, setting("stress.epochs", EPOCHS));
}

#[test]
fn nothing_is_with_kprobes_in_the_chains_either() {
    let Some(mut machine) = Machine::new(CONTAINERS) else { return };
    machine.config.kprobes.frames = true;
    rage(machine, setting("stress.epochs", EPOCHS_OF_KPROBES));
}

fn rage(machine: Machine, epochs: u64) {
    let seed = setting("stress.seed", 1);
    println!("stress.seed={seed} stress.epochs={epochs}");
    let mut storm = Storm::gather(machine, seed);
    for epoch in 0..epochs {
        storm.epoch(epoch);
    }
    println!("failed by kind of operation: {:?}", storm.failed);
    assert!(storm.failed.iter().all(|failed| *failed > 0), "a proof of nothing: {:?}", storm.failed);
    assert_eq!(complaints(), [""; 0]);
}

impl Storm {
    fn gather(machine: Machine, seed: u64) -> Self {
        let manner = |at| if at == CHAINED[0] { Manner::Breeding } else { Manner::Calm };
        let victim = |at| Victim::start(&machine.container(at), THREADS, manner(at));
        let victims = (0..CONTAINERS).map(victim).collect();
        let (tracer, functions) = (Tracer::attach(), Functions::find());
        let agent = Some(Agent::start(&machine));
        let dice = Dice::new(seed);
        Self { machine, dice, tracer, functions, victims, agent, last_id: 0, failed: [0; KINDS] }
    }

    fn epoch(&mut self, number: u64) {
        let mut epoch = Epoch::new((0..POOL).map(|nth| self.invent(nth)).collect(), CONTAINERS);
        self.victims.iter_mut().for_each(Victim::go);
        epoch.set_lease(self.agent(), in_ms(LONG).0);
        for _ in 0..ORDERS {
            self.order(&mut epoch);
            self.let_them_work();
        }
        let counted = self.rest(&mut epoch);
        let accounts: Vec<Account> = self.victims.iter_mut().map(Victim::stop).collect();
        self.judge(number, &epoch, &accounts, &counted);
        epoch.converge(self.agent(), Vec::new());
    }

    /// Ends all injections by the lease alone, and lets the victims see that they have ended.
    fn rest(&mut self, epoch: &mut Epoch) -> Vec<Counted> {
        let end = in_ms(self.dice.below(30)).0;
        epoch.set_lease(self.agent(), end);
        while boot_ns() <= end {
            thread::sleep(Duration::from_millis(1));
        }
        self.let_them_work();
        let counted = self.agent().counted();
        let [all, exits] = self.agent().missed();
        println!("the kernel dropped {all} runs of the engine's programs, {exits} of them at exits");
        epoch.log.push(format!("{counted:?}"));
        counted
    }

    fn judge(&mut self, number: u64, epoch: &Epoch, accounts: &[Account], counted: &[Counted]) {
        let seen = self.tracer.look(&self.machine.ids(CONTAINERS));
        let agent = self.agent.as_mut().unwrap();
        let spent: Vec<_> =
            epoch.pool.iter().map(|experiment| (*experiment, agent.spent(experiment))).collect();
        let evidence = Evidence {
            book: &epoch.book,
            accounts,
            seen: &seen,
            spent: &spent,
            used: &epoch.used,
            counted,
            containers: &self.machine.ids(CONTAINERS),
            exact: &CHAINED,
            bystanders: &BYSTANDERS,
            functions: &self.functions,
        };
        let faults = evidence.faults();
        for (kind, sum) in self.failed.iter_mut().enumerate() {
            *sum += accounts.iter().map(|account| account.tallies[kind].1).sum::<u64>();
        }
        let operations: u64 = accounts.iter().map(Account::operations).sum();
        let failed: Vec<u64> = accounts.iter().map(Account::failed).collect();
        println!(
            "epoch {number}: {operations} operations; failed {failed:?}; calls {:?}, {} uncounted; spent {:?}",
            seen.counts,
            seen.uncounted,
            spent.iter().map(|(_, spent)| spent).collect::<Vec<_>>()
        );
        if !faults.is_empty() {
            epoch.log.iter().for_each(|line| println!("  {line}"));
            panic!(
                "{} faults in epoch {number}, the first: {:#?}",
                faults.len(),
                &faults[..faults.len().min(20)]
            );
        }
    }

    fn agent(&mut self) -> &mut Agent {
        self.agent.get_or_insert_with(|| Agent::start(&self.machine))
    }

    /// However slow the machine is.
    fn let_them_work(&mut self) {
        for victim in &mut self.victims {
            let before = victim.progress();
            let stalls = 200;
            for _ in 0..stalls {
                if victim.progress() >= before + PACE {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// An experiment that never was; the first ones of an epoch have the faults that few have. Frameless ones have a
    /// budget, or their victim would not get far.
    fn invent(&mut self, nth: u64) -> Experiment {
        self.last_id += 1;
        let dice = &mut self.dice;
        let rare = [Shape::Write, Shape::Read].into_iter().zip(0..).find(|(_, at)| *at == nth);
        let is_frameless = rare.is_none() && dice.percent(25);
        let probability = u8::try_from(dice.one_of(&[100, 50, 10, 3, 0])).unwrap();
        let times = if dice.percent(50) { 1 + dice.below(60) } else { 0 };
        let containers = 1 + dice.below((1 << CHAINED.len()) - 1);
        let experiment = Experiment {
            id: self.last_id,
            shape: rare.map_or_else(|| dice.one_of(&Shape::CHAINS), |(shape, _)| shape),
            containers,
            probability,
            times: u32::try_from(times).unwrap(),
            ends: u64::MAX,
        };
        if !is_frameless {
            return experiment;
        }
        let shape = dice.one_of(&[Shape::Frameless, Shape::LargeObjects]);
        Experiment { shape, containers: 1 << FRAMELESS, times: 1 + experiment.times % 30, ..experiment }
    }

    fn order(&mut self, epoch: &mut Epoch) {
        match self.dice.below(10) {
            0..4 => {
                let set = self.choose(&mut epoch.pool);
                epoch.converge(self.agent(), set);
            }
            4..6 => {
                // In quick succession: programs are replaced while calls of the former ones are under way.
                for _ in 0..3 {
                    let set = self.choose(&mut epoch.pool);
                    epoch.converge(self.agent(), set);
                }
            }
            6 => {
                let end = in_ms(self.dice.below(40)).0;
                epoch.set_lease(self.agent(), end);
                self.let_them_work();
                epoch.set_lease(self.agent(), in_ms(LONG).0);
            }
            7 => {
                epoch.log.push("foreign programs".to_owned());
                FUNCTIONS.iter().for_each(|name| drop(Alone::attach(&nothing_at(name)).unwrap()));
            }
            _ => self.kill(epoch),
        }
    }

    /// A new set out of the pool, with some of it edited.
    fn choose(&mut self, pool: &mut [Experiment]) -> Vec<Experiment> {
        let dice = &mut self.dice;
        let mut set = Vec::new();
        for experiment in pool {
            if dice.percent(20) {
                experiment.probability = u8::try_from(dice.one_of(&[100, 60, 20, 5, 0])).unwrap();
            }
            if experiment.times > 0 && dice.percent(20) {
                experiment.times += u32::try_from(dice.below(20)).unwrap();
            }
            if dice.percent(15) && experiment.containers < 1 << FRAMELESS {
                // Another chain and another scope under the same budget.
                experiment.shape = dice.one_of(&Shape::CHAINS);
                experiment.containers = 1 + dice.below((1 << CHAINED.len()) - 1);
            }
            experiment.ends = if dice.percent(25) { in_ms(dice.below(60)).0 } else { u64::MAX };
            if dice.percent(55) {
                set.push(*experiment);
            }
        }
        set
    }

    /// The agent dies, mostly in the midst of things, and another one takes over.
    fn kill(&mut self, epoch: &mut Epoch) {
        let next = self.choose(&mut epoch.pool);
        let pause = Duration::from_micros(self.dice.below(60_000));
        let mut agent = self.agent.take().unwrap_or_else(|| Agent::start(&self.machine));
        epoch.log.push(format!("kill {pause:?} into {next:?}"));
        epoch.used.extend(&next);
        // Until it is dead, either set may be in force; afterwards, none.
        let either = [&epoch.set[..], &next].concat();
        epoch.book.order(&either, epoch.lease, || agent.tell(&converge_order(&next)));
        epoch.book.order(&[], 0, || {
            thread::sleep(pause);
            agent.kill();
        });
        epoch.set.clear();
        self.let_them_work();
        let set = self.choose(&mut epoch.pool);
        epoch.set_lease(self.agent(), in_ms(LONG).0);
        epoch.converge(self.agent(), set);
    }
}
