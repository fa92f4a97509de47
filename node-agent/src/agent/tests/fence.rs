use faultline_core::{ledger::Generation, report::ProbeState};
use faultline_wire::{WireError, error::MalformedDesired};

use super::{super::*, rig::*};
use crate::kernel::FakeKernel;

#[test]
fn an_older_generation_is_refused_and_changes_nothing() {
    let mut rig = Rig::new();
    rig.open();
    rig.desire(&set(5, &[probe("a", "pod")]));
    let before = rig.store.kept.clone();
    rig.desire(&set(4, &[]));
    let nack = rig.last_nack();
    assert_eq!((nack.reason, nack.accepted.counter), (NackReason::Older, 5));
    assert_eq!(nack.generation, Some(Generation { epoch: 1, counter: 4 }));
    assert_eq!((rig.attached(), &rig.store.kept), (1, &before));
}

#[test]
fn a_lower_epoch_is_older_whatever_its_counter() {
    let mut rig = Rig::new();
    rig.open();
    let mut newer = set(1, &[]);
    newer.set.generation.epoch = 2;
    rig.desire(&newer);
    rig.desire(&set(99, &[probe("a", "pod")]));
    assert_eq!((rig.last_nack().reason, rig.attached()), (NackReason::Older, 0));
}

#[test]
fn the_same_generation_with_other_content_is_refused() {
    let mut rig = Rig::new();
    rig.open();
    rig.desire(&set(5, &[probe("a", "pod")]));
    let other_digest = Desired { content: format!("sha256:{:064x}", 77), ..set(5, &[probe("a", "pod")]) };
    rig.desire(&other_digest);
    assert_eq!(rig.last_nack().reason, NackReason::OtherContent);
    // A digest that does not fit what it stands for does not help.
    rig.desire(&set(5, &[]));
    assert_eq!(rig.last_nack().reason, NackReason::OtherContent);
    assert_eq!(rig.attached(), 1);
}

#[test]
fn the_same_again_is_acknowledged_again() {
    let mut rig = Rig::new();
    rig.open();
    for _ in 0..2 {
        rig.desire(&set(5, &[probe("a", "pod")]));
        let ack = rig.last_ack();
        assert_eq!((ack.generation.counter, &ack.probes[0].state), (5, &ProbeState::Attached));
        assert_eq!(ack.probes[0].attached_at, Some(rig.now.wall));
        rig.sent.clear();
    }
}

#[test]
fn the_fence_holds_through_crash_and_reboot() {
    let mut rig = Rig::new();
    rig.open();
    rig.desire(&set(5, &[probe("a", "pod")]));
    for restart in [Rig::crash, Rig::reboot] {
        rig = restart(rig);
        assert_eq!(rig.agent.report(rig.now).accepted, Generation { epoch: 1, counter: 5 });
        rig.open();
        rig.desire(&set(4, &[]));
        assert_eq!(rig.last_nack().reason, NackReason::Older);
        rig.desire(&set(5, &[]));
        assert_eq!(rig.last_nack().reason, NackReason::OtherContent);
    }
}

#[test]
fn a_set_is_on_disk_before_it_is_acknowledged_and_before_anything_is_attached() {
    let mut rig = Rig::new();
    rig.open();
    let desired = set(5, &[times("a", "pod", 7)]);
    let input = Input::Received(Received::Desired(desired), rig.now.boot);
    let actions = rig.agent.handle(input, rig.now);
    let at = |is: fn(&Action) -> bool| actions.iter().position(is).unwrap();
    let stored = at(|action| matches!(action, Action::Store));
    assert!(stored < at(|action| matches!(action, Action::SetLease(_))));
    assert!(stored < at(|action| matches!(action, Action::Converge(_))));
    let ledger = rig.agent.ledger();
    assert_eq!(ledger.accepted().counter, 5);
    assert!(ledger.budgets.values().all(|budget| budget.granted), "what may be spent is granted first");
    assert!(!actions.iter().any(|action| matches!(action, Action::Send(_))));
}

#[test]
fn a_set_that_cannot_be_read_is_refused_with_the_field() {
    let mut rig = Rig::new();
    rig.open();
    let error = WireError::Missing { field: "probe.slot" };
    let malformed = MalformedDesired { generation: None, error };
    rig.feed(Input::Received(Received::Malformed(malformed), rig.now.boot));
    let nack = rig.last_nack();
    assert_eq!((nack.reason, &*nack.detail), (NackReason::Malformed, "probe.slot is missing"));
}

#[test]
fn each_probe_is_acknowledged_with_its_own_error_and_tried_again() {
    let mut rig = Rig::with(FakeKernel::new().without_function("no_such"));
    rig.open();
    let mut broken = probe("b", "pod");
    broken.call_chain.frames[0].function = "no_such".into();
    let mut lost = probe("c", "pod");
    lost.target.cgroup = Some("gone".into());
    rig.desire(&set(1, &[probe("a", "pod"), broken.clone(), lost]));
    let errors: Vec<_> = rig.last_ack().probes.iter().map(|ack| &ack.state).cloned().collect();
    assert_eq!(errors[0], ProbeState::Attached);
    let failed = |state: &ProbeState| match state {
        ProbeState::Failed { error } => error.clone(),
        other => panic!("{other:?}"),
    };
    assert!(failed(&errors[1]).contains("`no_such` does not exist"), "{errors:?}");
    assert!(failed(&errors[2]).contains("\"gone\" does not exist"), "{errors:?}");
    // The reason is told once, not with every attempt.
    let failures =
        |rig: &Rig| rig.events.iter().filter(|event| matches!(event, Event::Failed { .. })).count();
    rig.wait(SECOND * 6);
    assert_eq!((failures(&rig), rig.attached()), (2, 1));
    *rig.kernel.lock() = FakeKernel::new();
    for _ in 0..6 {
        rig.renew();
        rig.wait(SECOND * 2);
    }
    assert_eq!(rig.state_of(&broken.id), ProbeState::Attached);
}

#[test]
fn what_has_been_gone_for_longest_is_forgotten_beyond_the_bound() {
    let mut rig = Rig::new();
    rig.open();
    for counter in 1..=1100 {
        rig.pass(SECOND);
        rig.desire(&set(counter, &[times(&format!("e{counter}"), "pod", 1)]));
    }
    let report = rig.agent.report(rig.now);
    assert_eq!(report.probes.len(), 1025);
    assert_eq!(rig.agent.ledger().budgets.len(), 1025);
    assert!(report.probes.iter().all(|probe| probe.run.experiment.name != "e1"));
}
