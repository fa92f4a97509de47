use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};

use faultline_core::{desired::DesiredSet, inventory::KernelReport, ledger::Generation};

use super::*;
use crate::clock::ManualClock;

fn report(node: &str) -> NodeReport {
    NodeReport {
        node: node.to_owned(),
        boot_id: String::new(),
        accepted: Generation::default(),
        kernel: KernelReport::default(),
        probes: Vec::new(),
    }
}

fn fleet() -> (Fleet, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    (Fleet::new(clock.clone(), Arc::new(Metrics::new()), Arc::new(Notify::new())), clock)
}

#[test]
fn leases_are_renewed_only_while_passes_go_through() {
    let (fleet, clock) = fleet();
    assert!(!fleet.is_vouched_for(), "no pass has gone through yet");
    fleet.vouch();
    clock.advance(SILENCE);
    assert!(fleet.is_vouched_for());
    clock.advance(Duration::from_millis(1));
    assert!(!fleet.is_vouched_for());
}

#[test]
fn a_session_is_told_only_what_was_planned_with_its_report() {
    let (fleet, _) = fleet();
    let set = || Desired {
        set: DesiredSet { generation: Generation::default(), probes: Vec::new() },
        content: String::new(),
    };
    let sets = || BTreeMap::from([("a".to_owned(), set())]);
    let told = fleet.subscribe();
    fleet.joined(1, report("a"));
    let (_, seen) = fleet.reports();
    fleet.joined(2, report("a"));
    fleet.tell(sets(), seen);
    assert!(told.borrow().to("a", 1).is_some());
    assert!(told.borrow().to("a", 2).is_none(), "the pass did not know of this session");
    fleet.tell(sets(), fleet.reports().1);
    assert!(told.borrow().to("a", 2).is_some());
}

#[test]
fn the_newest_session_of_a_node_counts_and_an_older_one_neither_speaks_nor_leaves_for_it() {
    let (fleet, _) = fleet();
    fleet.joined(1, report("a"));
    fleet.joined(2, report("a"));
    fleet.reported(1, NodeReport { boot_id: "old".to_owned(), ..report("a") });
    fleet.left("a", 1);
    let node = &fleet.nodes()["a"];
    assert_eq!((node.session, node.report.boot_id.as_str()), (Some(2), ""));
    fleet.left("a", 2);
    assert_eq!(fleet.nodes()["a"].session, None);
    assert_eq!(fleet.reports().0.len(), 1, "what it said last is remembered");
}

#[test]
fn a_session_that_begins_after_a_later_one_of_its_node_does_not_replace_it() {
    let (fleet, _) = fleet();
    fleet.joined(2, NodeReport { boot_id: "new".to_owned(), ..report("a") });
    fleet.joined(1, NodeReport { boot_id: "old".to_owned(), ..report("a") });
    let node = &fleet.nodes()["a"];
    assert_eq!((node.session, node.report.boot_id.as_str()), (Some(2), "new"));
    fleet.left("a", 2);
    fleet.joined(1, report("a"));
    assert_eq!(fleet.nodes()["a"].session, Some(1), "it is the only one left");
}

/// A clock that, the first time it is read, lets something else happen first if it can.
#[derive(Default)]
struct Interrupting(Mutex<Option<Box<dyn FnOnce() + Send>>>, Mutex<Option<JoinHandle<()>>>);

impl Clock for Interrupting {
    fn now(&self) -> Timestamp {
        if let Some(meanwhile) = self.0.lock().unwrap().take() {
            let (done, wait) = mpsc::channel();
            let other = thread::spawn(move || {
                meanwhile();
                done.send(()).unwrap_or_default();
            });
            // Where it has to wait for us, it is not waited for.
            let _blocked = wait.recv_timeout(Duration::from_millis(200));
            *self.1.lock().unwrap() = Some(other);
        }
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// What is known of the node `a`, which has session 1, after `first` during which `meanwhile` began.
fn after(first: fn(&Fleet), meanwhile: fn(&Fleet)) -> (Option<u64>, String, i64) {
    let clock = Arc::new(Interrupting::default());
    let fleet = Arc::new(Fleet::new(clock.clone(), Arc::new(Metrics::new()), Arc::new(Notify::new())));
    fleet.joined(1, report("a"));
    let other = Arc::clone(&fleet);
    *clock.0.lock().unwrap() = Some(Box::new(move || meanwhile(&other)));
    first(&fleet);
    clock.1.lock().unwrap().take().unwrap().join().unwrap();
    let gauge = fleet.metrics.agents.get_or_create(&NodeLabels { node: "a".to_owned() }).get();
    let node = fleet.nodes()["a"].clone();
    (node.session, node.report.boot_id, gauge)
}

#[test]
fn what_two_sessions_of_a_node_do_at_the_same_time_happens_one_after_the_other() {
    let spoken = after(
        |fleet| fleet.reported(1, NodeReport { boot_id: "old".to_owned(), ..report("a") }),
        |fleet| fleet.joined(2, NodeReport { boot_id: "new".to_owned(), ..report("a") }),
    );
    assert_eq!(spoken, (Some(2), "new".to_owned(), 1), "the old session overwrote the new one");
    let left = after(|fleet| fleet.joined(2, report("a")), |fleet| fleet.left("a", 1));
    assert_eq!(left, (Some(2), String::new(), 1), "the old session took the gauge of the new one along");
}
