//! What is to be attached now.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use faultline_core::desired::Probe;
use jiff::Timestamp;

use super::{Action, Agent, LONGEST_REFRESH, REFRESH, Unattached, lease};
use crate::{
    clock::Now,
    kernel::{BootNanos, BudgetKey},
    ledger::BudgetName,
};

/// A probe that is to be attached. Its container's cgroup has yet to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What is desired.
    pub probe: Probe,
    /// Most injections in this boot; `None`: unlimited.
    pub times: Option<NonZeroU32>,
    /// When it ends.
    pub ends: BootNanos,
    /// What it draws from.
    pub budget: BudgetKey,
}

/// Whether a held probe can be attached.
enum Case {
    Attach(Box<Wanted>),
    /// Its time or its budget is over.
    Over,
    /// It cannot, and this is why.
    Failed(String),
    /// Another probe draws from its budget until it is detached.
    Waits,
}

impl Agent {
    /// Asks for what is wanted to be brought in force: now, or once what was asked for before is done.
    pub(super) fn converge(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.converging {
            self.again = true;
            return;
        }
        let wanted = self.wanted(now);
        let ids: BTreeSet<_> = wanted.iter().map(|wanted| wanted.probe.id.clone()).collect();
        if self.grant(&ids) && !actions.contains(&Action::Store) {
            actions.push(Action::Store);
        }
        let refresh_at = lease::after(now.boot, self.refresh_after);
        self.refresh_at = if ids.is_empty() { BootNanos::NEVER } else { refresh_at };
        let doubled = (self.refresh_after * 2).min(LONGEST_REFRESH);
        self.refresh_after = if self.watches_modules() { REFRESH } else { doubled };
        self.tried = self.ledger.accepted();
        self.converging = true;
        actions.push(Action::Converge(wanted));
    }

    /// Whether a held probe waits for a module, or has programs in one.
    fn watches_modules(&self) -> bool {
        let waits = self.failures.values().any(|why| matches!(why, Unattached::Pending(_)));
        // As kernels spell functions, those of modules have the module's name before a colon.
        waits || self.points.values().flatten().any(|point| point.function.contains(':'))
    }

    /// Whether the set just tried is not what is wanted now, because a budget became free.
    pub(super) fn wants_more(&mut self, tried: &BTreeSet<String>, now: Now) -> bool {
        self.wanted(now).iter().any(|wanted| !tried.contains(&wanted.probe.id))
    }

    fn wanted(&mut self, now: Now) -> Vec<Wanted> {
        if self.stopping || !self.lease.is_live(now.boot) {
            return Vec::new();
        }
        let mut wanted = Vec::new();
        let drawn = self.drawn();
        for probe in self.ledger.held_probes().to_vec() {
            match self.case(&probe, &drawn, now) {
                Case::Attach(probe) => wanted.push(*probe),
                Case::Failed(error) => {
                    self.failures.insert(probe.id, Unattached::Failed(error));
                }
                Case::Over | Case::Waits => drop(self.failures.remove(&probe.id)),
            }
        }
        wanted
    }

    /// Which attached probe draws from which budget.
    pub(super) fn drawn(&self) -> BTreeMap<BudgetName, String> {
        let known = self.attached.keys().filter_map(|id| Some((id, self.ledger.probes.get(id)?)));
        known.map(|(id, known)| (known.budget(), id.clone())).collect()
    }

    fn case(&mut self, probe: &Probe, drawn: &BTreeMap<BudgetName, String>, now: Now) -> Case {
        let ends = self.end_of(probe, now);
        if now.boot >= ends {
            return Case::Over;
        }
        let name = BudgetName::new(&probe.run, probe.slot, &probe.target.container);
        let Some(budget) = self.ledger.budgets.get(&name) else { return Case::Over };
        let times = match budget.allowed_in_this_boot() {
            None => None,
            Some(0) => return Case::Over,
            Some(times) => match u32::try_from(times).ok().and_then(NonZeroU32::new) {
                Some(times) => Some(times),
                None => {
                    return Case::Failed(format!("{times} injections: at most {} can be counted", u32::MAX));
                }
            },
        };
        if drawn.get(&name).is_some_and(|id| *id != probe.id) {
            return Case::Waits;
        }
        Case::Attach(Box::new(Wanted { probe: probe.clone(), times, ends, budget: name.key() }))
    }

    /// By the boot clock. Until it was attached, a duration would begin now.
    fn end_of(&mut self, probe: &Probe, now: Now) -> BootNanos {
        let known = self.ledger.probes.get_mut(&probe.id);
        let began = known.as_ref().and_then(|known| known.attached_at).zip(probe.duration);
        let worked_out = began.and_then(|(at, duration)| at.checked_add(duration.as_std()).ok());
        let ends = probe.ends.or(worked_out);
        if let Some(known) = known {
            known.ends = ends;
        }
        let Some(ends) = ends else {
            self.ends.remove(&probe.id);
            let provisional = probe.duration.map(|duration| lease::after(now.boot, duration.as_std()));
            return provisional.unwrap_or(BootNanos::NEVER);
        };
        match self.ends.get(&probe.id) {
            Some((known, boot)) if *known == ends => *boot,
            _ => {
                let boot = by_boot_clock(ends, now);
                self.ends.insert(probe.id.clone(), (ends, boot));
                boot
            }
        }
    }

    /// Whether an attached probe is to be detached by now.
    pub(super) fn is_over(&self, id: &str, now: Now) -> bool {
        self.ends.get(id).is_some_and(|(_, boot)| now.boot >= *boot)
    }
}

/// What lies in the past is over at once.
fn by_boot_clock(instant: Timestamp, now: Now) -> BootNanos {
    let left = instant.duration_since(now.wall);
    std::time::Duration::try_from(left).map_or(BootNanos(0), |left| lease::after(now.boot, left))
}
