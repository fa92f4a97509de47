//! When what may fail: written down by whoever gives the orders, before and after each.

use crate::experiments::Experiment;
use crate::machine::boot_ns;
use crate::workers::{Failure, KINDS};

/// For each container and kind of operation: the boot clock until which it may fail; 0 for never.
type State = Vec<[u64; KINDS]>;

/// What a set may touch until the lease or its own end.
fn state(set: &[Experiment], lease: u64, containers: usize) -> State {
    let mut state = vec![[0; KINDS]; containers];
    for experiment in set.iter().filter(|experiment| experiment.probability > 0) {
        for (_, kinds) in state.iter_mut().enumerate().filter(|(at, _)| experiment.covers(*at)) {
            let touched = kinds.iter_mut().zip(experiment.shape.touches());
            for (until, _) in touched.filter(|(_, touches)| *touches) {
                *until = (*until).max(experiment.ends.min(lease));
            }
        }
    }
    state
}

/// A stretch of time with one state.
#[derive(Debug)]
struct Page {
    from: u64,
    to: u64,
    state: State,
}

/// All that was ordered, in order.
#[derive(Debug)]
pub(crate) struct Book {
    pages: Vec<Page>,
    /// What is in force since when.
    state: State,
    since: u64,
}

impl Book {
    pub(crate) fn new(containers: usize) -> Self {
        Self { pages: Vec::new(), state: state(&[], 0, containers), since: boot_ns() }
    }

    /// Follows an order that ends in this set and lease: while it is being followed, the former state may be in force
    /// or the new one.
    pub(crate) fn order<T>(&mut self, set: &[Experiment], lease: u64, follow: impl FnOnce() -> T) -> T {
        let next = state(set, lease, self.state.len());
        let began = boot_ns();
        let result = follow();
        let ended = boot_ns();
        let mut either = self.state.clone();
        for (either, next) in either.iter_mut().flatten().zip(next.iter().flatten()) {
            *either = (*either).max(*next);
        }
        self.pages.push(Page {
            from: self.since,
            to: began,
            state: std::mem::replace(&mut self.state, next),
        });
        self.pages.push(Page { from: began, to: ended, state: either });
        self.since = ended;
        result
    }

    /// Whether an operation may have failed. It was decided about at some time between its beginning and its end, and
    /// that time lay before the deadline.
    pub(crate) fn allows(&self, container: usize, failure: &Failure) -> bool {
        let Failure { tid: _, kind, began, ended } = *failure;
        let open = Page { from: self.since, to: u64::MAX, state: self.state.clone() };
        self.pages.iter().chain([&open]).any(|page| {
            let until = page.state[container][kind];
            until > 0 && ended >= page.from && began < page.to.min(until)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiments::Shape;
    use crate::workers::{LOOK, PLAIN};

    #[test]
    fn a_book_allows_what_was_in_force_and_nothing_else() {
        let call =
            Experiment { id: 1, shape: Shape::Call, containers: 2, probability: 5, times: 0, ends: u64::MAX };
        let mut book = Book::new(2);
        let before = boot_ns();
        book.order(&[call], u64::MAX, || ());
        let during = boot_ns();
        book.order(&[], u64::MAX, || ());
        let after = boot_ns();
        let allows =
            |container, kind, began, ended| book.allows(container, &Failure { tid: 1, kind, began, ended });
        assert!(allows(1, PLAIN, during, during) && allows(1, PLAIN, before, after));
        assert!(!allows(1, PLAIN, before - 1, before - 1) && !allows(1, PLAIN, after, after));
        assert!(!allows(0, PLAIN, during, during) && !allows(1, LOOK, during, during));
        book.order(&[call], after, || ());
        assert!(!book.allows(1, &Failure { tid: 1, kind: PLAIN, began: after, ended: after + 9 }));
    }
}
