//! What may be spent: counted by the kernel, remembered here, and forfeited where the kernel's count is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Agent};
use crate::{
    ledger::{Budget, BudgetName, Mark, Remembered, Tally},
    telemetry::Event,
};

/// Most probes that are remembered after they left the desired set. Beyond it the longest gone are forgotten: the
/// reconciler's own ledger has them still.
const REMEMBERED: usize = 1024;

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Injections that can no longer happen, by budget.
    pub lost: BTreeMap<BudgetName, u64>,
}

impl Agent {
    /// Takes over what the kernel counted while no agent watched. Where its count is gone, with the boot or with its
    /// pin, what was granted and is not known to be spent is forfeited: never more than was allowed.
    pub(super) fn settle(&mut self, spent: &BTreeMap<BudgetName, u64>) -> Settled {
        let mut settled = Settled::default();
        let mut gone = BTreeSet::new();
        for (name, budget) in &mut self.ledger.budgets {
            // A kernel that says nothing of it has not lost it either: the next one may.
            let Some(now) = spent.get(name).copied() else { continue };
            if budget.boot_id == self.identity.boot_id && now >= budget.seen {
                budget.seen = now;
            } else {
                gone.insert(name.clone());
            }
        }
        self.credit_all(spent);
        for name in gone {
            let now = spent.get(&name).copied().unwrap_or_default();
            let Some(budget) = self.ledger.budgets.get_mut(&name) else { continue };
            let forfeited = budget.forfeit(&self.identity.boot_id, now);
            if forfeited > 0 {
                settled.lost.insert(name, forfeited);
            }
        }
        settled
    }

    /// Nothing is attached at a start, so the marks of what the kernel speaks of have served.
    fn credit_all(&mut self, spent: &BTreeMap<BudgetName, u64>) {
        for remembered in self.ledger.probes.values_mut() {
            credit(remembered, &self.ledger.budgets);
            if spent.contains_key(&remembered.budget()) {
                remembered.mark = None;
            }
        }
    }

    /// Makes budgets for all held probes and gives them their limits.
    pub(super) fn fit_budgets(&mut self) {
        let Some(held) = &self.ledger.held else { return };
        for probe in &held.set.probes {
            let name = BudgetName::new(&probe.run, probe.slot, &probe.target.container);
            let boot_id = &self.identity.boot_id;
            let budget = self.ledger.budgets.entry(name).or_insert_with(|| Budget::new(boot_id));
            budget.allowed = probe.times.map(|times| times.saturating_sub(probe.spent_elsewhere));
        }
    }

    /// Notes, before they are attached, that these may spend, and from which count on. True where that is news.
    pub(super) fn grant(&mut self, wanted: &BTreeSet<String>) -> bool {
        // What can inject nothing spends nothing, and cannot say what was spent before.
        if !self.identity.can_inject() {
            return false;
        }
        let mut news = false;
        for id in wanted.iter().filter(|id| !self.attached.contains_key(*id)) {
            let Some(remembered) = self.ledger.probes.get_mut(id) else { continue };
            let Some(budget) = self.ledger.budgets.get_mut(&remembered.budget()) else { continue };
            let mark = Mark { seen: budget.seen, injections: remembered.tally.injections };
            news |= !budget.granted || remembered.mark != Some(mark);
            budget.granted = true;
            remembered.mark = Some(mark);
        }
        news
    }

    /// Takes in the kernel's counts.
    pub(super) fn charge(&mut self, spent: &BTreeMap<BudgetName, u64>) {
        for (name, spent) in spent {
            if let Some(budget) = self.ledger.budgets.get_mut(name) {
                budget.seen = *spent;
            }
        }
    }

    /// The tally of a probe that was just detached: its injections are what its budget lost since its mark.
    pub(super) fn fold(&mut self, id: &str, since: Tally) {
        let Some(remembered) = self.ledger.probes.get_mut(id) else { return };
        remembered.tally = remembered.tally.plus(since);
        credit(remembered, &self.ledger.budgets);
    }

    /// After a try: what is not attached draws from nothing. Its mark has served, or another's injections would be
    /// credited to it as well; and what nothing draws from is granted to nobody, so that no reboot forfeits it. Where
    /// the kernel does not say what is spent, both stay.
    pub(super) fn release(&mut self, spent: &BTreeMap<BudgetName, u64>) {
        for (id, remembered) in &mut self.ledger.probes {
            let told = remembered.mark.is_some() && spent.contains_key(&remembered.budget());
            if told && !self.attached.contains_key(id) {
                credit(remembered, &self.ledger.budgets);
                remembered.mark = None;
            }
        }
        let drawn = self.drawn();
        for (name, budget) in &mut self.ledger.budgets {
            budget.granted &= drawn.contains_key(name) || !spent.contains_key(name);
        }
    }

    /// Forgets what has been gone for longest beyond the bound, and budgets that nothing draws from.
    pub(super) fn forget(&mut self, actions: &mut Vec<Action>) {
        let mut gone: Vec<_> = self
            .ledger
            .probes
            .iter()
            .filter(|(id, _)| !self.attached.contains_key(*id))
            .filter_map(|(id, probe)| Some((probe.dropped_at?, id.clone())))
            .collect();
        gone.sort();
        let excess = gone.len().saturating_sub(REMEMBERED);
        for (_, id) in gone.into_iter().take(excess) {
            self.ledger.probes.remove(&id);
            self.ends.remove(&id);
        }
        let drawn: BTreeSet<_> = self.ledger.probes.values().map(Remembered::budget).collect();
        self.ledger.budgets.retain(|name, _| {
            let keep = drawn.contains(name);
            if !keep {
                actions.push(Action::Forget(name.key()));
            }
            keep
        });
    }
}

/// What a probe injected since its mark, by the kernel's last known count of its budget.
fn credit(remembered: &mut Remembered, budgets: &BTreeMap<BudgetName, Budget>) {
    if let (Some(mark), Some(budget)) = (remembered.mark, budgets.get(&remembered.budget())) {
        remembered.tally.injections = mark.injections + budget.seen.saturating_sub(mark.seen);
    }
}

impl Settled {
    /// Each loss as an event.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        self.lost.iter().map(|(budget, lost)| Event::BudgetLost { budget: budget.0.clone(), lost: *lost })
    }
}
