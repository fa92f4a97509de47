//! One stretch of the storm: what there is to choose from, what is attached, and what was ordered when.

use crate::agent::Agent;
use crate::book::Book;
use crate::experiments::Experiment;
use crate::machine::boot_ns;

/// One epoch.
pub(crate) struct Epoch {
    pub(crate) book: Book,
    /// What there is to choose from, as it was last edited; `times` is the most that was ever granted.
    pub(crate) pool: Vec<Experiment>,
    /// What is attached.
    pub(crate) set: Vec<Experiment>,
    /// Everything that was ever to be attached.
    pub(crate) used: Vec<Experiment>,
    pub(crate) lease: u64,
    pub(crate) log: Vec<String>,
}

impl Epoch {
    pub(crate) fn new(pool: Vec<Experiment>, containers: usize) -> Self {
        let (set, used, log) = (Vec::new(), Vec::new(), Vec::new());
        Self { book: Book::new(containers), pool, set, used, lease: 0, log }
    }

    pub(crate) fn converge(&mut self, agent: &mut Agent, set: Vec<Experiment>) {
        self.log.push(format!("{} converge {set:?}", boot_ns()));
        self.used.extend(&set);
        self.book.order(&set, self.lease, || agent.converge(&set));
        self.set = set;
    }

    pub(crate) fn set_lease(&mut self, agent: &mut Agent, until: u64) {
        self.log.push(format!("{} lease {until}", boot_ns()));
        self.book.order(&self.set, until, || agent.lease(until));
        self.lease = until;
    }
}
