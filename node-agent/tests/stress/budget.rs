//! Budgets and generations under a loop of kills, edits and replacements: the victims count.

use std::thread;
use std::time::Duration;

use crate::agent::{Agent, converge_order};
use crate::dice::Dice;
use crate::experiments::{Experiment, Shape};
use crate::machine::{Machine, in_ms};
use crate::tracer::Tracer;
use crate::victim::{Account, Manner, Victim};

/// Both share one budget.
const CONTAINERS: usize = 2;
const THREADS: usize = 4;

/// What may be injected in all.
const TIMES: u32 = 60;

/// So seldom that it lasts for a while.
const PERCENT: u8 = 1;

/// Kills before the budget is left to run out.
const KILLS: u64 = 4;

/// Replacements of programs.
const REPLACEMENTS: usize = 12;

/// Forms that need other programs than one another: with each edit gate and entry programs are replaced.
const FORMS: [Shape; 4] = [Shape::Call, Shape::Checked, Shape::Anywhere, Shape::WithFlag];

/// Longer than any test.
const LONG: u64 = 600_000;

struct Stage {
    machine: Machine,
    tracer: Tracer,
    victims: Vec<Victim>,
    experiment: Experiment,
}

impl Stage {
    fn new(times: u32, probability: u8) -> Option<Self> {
        let machine = Machine::new(CONTAINERS)?;
        let victim = |at| Victim::start(&machine.container(at), THREADS, Manner::Calm);
        let mut victims: Vec<_> = (0..CONTAINERS).map(victim).collect();
        let tracer = Tracer::attach();
        victims.iter_mut().for_each(Victim::go);
        let experiment =
            Experiment { id: 7, shape: FORMS[0], containers: 3, probability, times, ends: u64::MAX };
        Some(Self { machine, tracer, victims, experiment })
    }

    fn agent(&self) -> Agent {
        let mut agent = Agent::start(&self.machine);
        agent.lease(in_ms(LONG).0);
        agent
    }

    fn form(&self, form: usize) -> [Experiment; 1] {
        [Experiment { shape: FORMS[form % FORMS.len()], ..self.experiment }]
    }

    /// What the victims, the tracer and the budget say; the tracer may have been kept from seeing some.
    fn agree(&mut self, agent: &mut Agent) -> u64 {
        agent.lease(0);
        let accounts: Vec<Account> = self.victims.iter_mut().map(Victim::stop).collect();
        let failed: u64 = accounts.iter().map(Account::failed).sum();
        let seen = self.tracer.look(&self.machine.ids(CONTAINERS));
        let counted: u64 = seen.counts.iter().sum();
        println!("{failed} failed, {counted} counted, {} calls uncounted", seen.uncounted);
        assert!(
            counted <= failed && failed <= counted + seen.uncounted,
            "{failed} failed, {counted} counted"
        );
        assert_eq!(agent.spent(&self.experiment), failed, "one ticket for each");
        failed
    }
}

#[test]
fn a_budget_is_spent_to_the_last_and_no_further_through_kills_edits_and_replacements() {
    let Some(mut stage) = Stage::new(TIMES, PERCENT) else { return };
    let mut dice = Dice::new(1);
    for kill in 0..KILLS {
        let mut agent = stage.agent();
        for form in 0..3 {
            agent.tell(&converge_order(&stage.form(form)));
        }
        // Not later than the third reply; often before the first.
        thread::sleep(Duration::from_millis(dice.below(400)));
        agent.kill();
        stage.victims.iter_mut().for_each(|victim| assert!(victim.progress() > 0, "after {kill} kills"));
    }
    let mut agent = stage.agent();
    let mut form = 0;
    while agent.spent(&stage.experiment) < u64::from(TIMES) {
        agent.converge(&stage.form(form));
        form += 1;
    }
    // Whoever would go over it has the chance to.
    for form in 0..FORMS.len() {
        agent.converge(&stage.form(form));
    }
    assert_eq!(stage.agree(&mut agent), u64::from(TIMES));
}

#[test]
fn programs_that_replace_each_other_take_one_ticket_for_one_injection() {
    let Some(mut stage) = Stage::new(0, 20) else { return };
    let mut agent = stage.agent();
    for form in 0..REPLACEMENTS {
        agent.converge(&stage.form(form));
        let before = stage.victims[0].progress();
        while stage.victims[0].progress() < before + 20 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let counted = agent.counted();
    let failed = stage.agree(&mut agent);
    assert!(failed > 0);
    // Read while calls were still under way, so it may lag, and never lead.
    assert!(counted[0].injections <= failed, "{counted:?}");
}
