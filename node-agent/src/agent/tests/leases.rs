use faultline_core::{ledger::Generation, report::ProbeState};
use faultline_wire::message::Renew;

use super::{super::*, rig::*};

fn running() -> (Rig, String) {
    let mut rig = Rig::new();
    rig.open();
    rig.desire(&set(1, &[probe("a", "pod")]));
    let id = probe("a", "pod").id;
    assert_eq!(rig.hammer(&id, 1), 1);
    (rig, id)
}

#[test]
fn without_a_renewal_everything_is_detached_once_and_counted() {
    let (mut rig, id) = running();
    rig.wait(TTL - SECOND);
    assert_eq!((rig.attached(), rig.expiries()), (1, 0));
    rig.wait(SECOND);
    assert_eq!((rig.attached(), rig.expiries()), (0, 1));
    let ProbeState::Failed { error } = rig.state_of(&id) else { panic!("still attached") };
    assert!(error.contains("lease"), "{error}");
    rig.wait(TTL * 3);
    assert_eq!(rig.expiries(), 1);
}

#[test]
fn the_machine_wakes_by_itself_when_the_lease_ends() {
    let (rig, _) = running();
    let ends = lease::after(rig.now.boot, TTL);
    assert!(rig.agent.wake_at() <= ends);
    assert_eq!(rig.kernel.lock().lease(), ends);
}

#[test]
fn a_renewal_extends_and_one_after_the_end_attaches_again() {
    let (mut rig, id) = running();
    for _ in 0..10 {
        rig.wait(TTL / 3);
        rig.renew();
    }
    assert_eq!((rig.attached(), rig.expiries()), (1, 0));
    rig.wait(TTL * 2);
    assert_eq!((rig.attached(), rig.expiries()), (0, 1));
    rig.renew();
    assert_eq!((rig.attached(), rig.hammer(&id, 1)), (1, 1));
}

#[test]
fn a_renewal_of_another_generation_extends_nothing_and_is_answered_with_ours() {
    let (mut rig, _) = running();
    rig.renew();
    rig.wait(TTL - SECOND);
    rig.sent.clear();
    let generation = Generation { epoch: 1, counter: 2 };
    rig.feed(Input::Received(Received::Renew(Renew { generation, seq: 9 }), rig.now.boot));
    let Some(AgentMessage::RenewAck(ack)) = rig.sent.last() else { panic!("{:?}", rig.sent) };
    assert_eq!((ack.generation.counter, ack.seq), (1, 9));
    rig.wait(SECOND);
    assert_eq!(rig.expiries(), 1);
}

#[test]
fn a_renewal_that_was_long_on_its_way_counts_from_when_it_was_called_for() {
    let (mut rig, _) = running();
    let heard = rig.now.boot;
    // Stopped for two leases; the renewals of that time were waiting in the socket.
    rig.pass(TTL * 2);
    for _ in 0..6 {
        rig.renew_heard(heard);
    }
    assert_eq!((rig.attached(), rig.expiries()), (0, 1));
    rig.renew();
    assert_eq!(rig.attached(), 1);
}

#[test]
fn a_claim_from_the_future_gives_no_more_than_one_from_now() {
    let (mut rig, _) = running();
    rig.renew_heard(BootNanos::NEVER);
    assert_eq!(rig.kernel.lock().lease(), lease::after(rig.now.boot, TTL));
}

#[test]
fn a_kernel_that_takes_longer_than_the_lease_does_not_end_it() {
    let (mut rig, id) = running();
    let desired = Received::Desired(set(2, &[probe("a", "pod"), probe("b", "pod")]));
    let mut actions = rig.agent.handle(Input::Received(desired, rig.now.boot), rig.now);
    let Some(Action::Converge(wanted)) = actions.pop() else { panic!("{actions:?}") };
    let ProbeState::Failed { error } = rig.state_of(&probe("b", "pod").id) else { panic!("not tried yet") };
    assert_eq!(error, "it is being attached");
    for seq in 0..9 {
        rig.pass(TTL / 3);
        rig.feed(Input::Tick);
        let renew = Renew { generation: Generation { epoch: 1, counter: 2 }, seq };
        rig.feed(Input::Received(Received::Renew(renew), rig.now.boot));
        // The next renewal counts from this answer, so it does not wait for the kernel.
        assert!(matches!(rig.sent.last(), Some(AgentMessage::RenewAck(ack)) if ack.seq == seq));
        assert!(rig.agent.wake_at() > rig.now.boot, "nothing to do until then");
    }
    rig.perform_later(Action::Converge(wanted));
    assert_eq!((rig.attached(), rig.expiries(), rig.hammer(&id, 1)), (2, 0, 1));
    assert_eq!(rig.last_ack().generation.counter, 2);
}

#[test]
fn what_changes_while_the_kernel_is_at_work_is_done_next() {
    let (mut rig, _) = running();
    let desired = Received::Desired(set(2, &[probe("b", "pod")]));
    let mut actions = rig.agent.handle(Input::Received(desired, rig.now.boot), rig.now);
    let late = actions.pop().unwrap();
    rig.desire(&set(3, &[probe("c", "pod")]));
    rig.perform_later(late);
    assert_eq!((rig.attached(), rig.last_ack().generation.counter), (1, 3));
    assert_eq!(rig.state_of(&probe("c", "pod").id), ProbeState::Attached);
    // A lease that ends meanwhile ends what comes of it.
    let desired = Received::Desired(set(4, &[probe("d", "pod")]));
    let mut actions = rig.agent.handle(Input::Received(desired, rig.now.boot), rig.now);
    let late = actions.pop().unwrap();
    rig.wait(TTL * 2);
    rig.perform_later(late);
    assert_eq!((rig.attached(), rig.expiries()), (0, 1));
}

#[test]
fn a_set_is_acknowledged_though_the_lease_ended_while_it_was_tried() {
    let (mut rig, _) = running();
    let desired = Received::Desired(set(2, &[probe("b", "pod")]));
    let mut actions = rig.agent.handle(Input::Received(desired, rig.now.boot), rig.now);
    let late = actions.pop().unwrap();
    rig.wait(TTL * 2);
    rig.renew();
    rig.perform_later(late);
    assert_eq!((rig.last_ack().generation.counter, rig.attached(), rig.expiries()), (2, 1, 1));
}

#[test]
fn trying_again_becomes_rarer_as_long_as_nothing_changes() {
    let (mut rig, _) = running();
    let mut tries = 0;
    for _ in 0..300 {
        rig.pass(SECOND);
        let actions = rig.agent.handle(Input::Tick, rig.now);
        for action in actions {
            tries += usize::from(matches!(action, Action::Converge(_)));
            rig.perform_later(action);
        }
        rig.renew();
    }
    assert!((5..12).contains(&tries), "{tries} tries in five minutes");
}

#[test]
fn the_end_of_a_session_is_not_the_end_of_the_lease() {
    let (mut rig, id) = running();
    rig.feed(Input::Closed);
    rig.wait(SECOND);
    assert_eq!(rig.hammer(&id, 1), 1);
    rig.wait(TTL);
    assert_eq!((rig.attached(), rig.expiries()), (0, 1));
}

#[test]
fn a_restarted_agent_attaches_only_after_a_renewal() {
    let (rig, id) = running();
    let mut rig = rig.crash();
    rig.wait(SECOND * 10);
    assert_eq!(rig.attached(), 0);
    assert_eq!(rig.state_of(&id), ProbeState::Failed { error: "the node has no lease".into() });
    rig.open();
    rig.wait(SECOND);
    assert_eq!(rig.attached(), 0);
    rig.renew();
    assert_eq!((rig.attached(), rig.hammer(&id, 1)), (1, 1));
    assert_eq!(rig.expiries(), 0, "a lease that was never had cannot end");
}

#[test]
fn a_renewal_is_answered_by_a_report_where_anything_changed_and_else_briefly() {
    let (mut rig, id) = running();
    rig.renew();
    assert!(matches!(rig.sent.last(), Some(AgentMessage::Report(_))));
    rig.renew();
    assert!(matches!(rig.sent.last(), Some(AgentMessage::RenewAck(_))));
    rig.hammer(&id, 3);
    rig.renew();
    let Some(AgentMessage::Report(report)) = rig.sent.last() else { panic!("no report") };
    assert_eq!((report.probes[0].counters.injections, report.probes[0].spent), (4, 4));
}

#[test]
fn the_reconciler_hears_of_the_agent_twice_within_a_lease_though_it_asks_nothing() {
    let (mut rig, _) = running();
    rig.sent.clear();
    rig.wait(TTL / 2);
    assert!(matches!(rig.sent[..], [.., AgentMessage::Report(_)]), "{:?}", rig.sent);
}

#[test]
fn a_kernel_that_is_slow_to_answer_is_asked_for_one_report_at_a_time() {
    let mut rig = Rig::new();
    rig.open();
    rig.pass(TTL / 2);
    let mut asked = rig.agent.handle(Input::Tick, rig.now);
    assert_eq!(asked, [Action::Observe(Purpose::Report)]);
    for input in [Input::Tick, Input::Received(Received::ReportRequest, rig.now.boot), Input::Tick] {
        assert!(rig.agent.wake_at() > rig.now.boot, "nothing to do until the kernel answers");
        rig.pass(SECOND / 1000);
        assert_eq!(rig.agent.handle(input, rig.now), []);
    }
    rig.sent.clear();
    rig.perform_later(asked.remove(0));
    assert!(matches!(rig.sent[..], [AgentMessage::Report(_)]), "{:?}", rig.sent);
    // What was asked in a session that is over holds nothing back in the next.
    for _ in 0..2 {
        rig.pass(TTL / 2);
        assert_eq!(rig.agent.handle(Input::Tick, rig.now), [Action::Observe(Purpose::Report)]);
        rig.feed(Input::Closed);
        rig.open();
    }
}

#[test]
fn a_stop_detaches_everything_and_reports_it() {
    let (mut rig, id) = running();
    rig.hammer(&id, 4);
    rig.feed(Input::Stop);
    assert_eq!(rig.attached(), 0);
    let Some(AgentMessage::Report(report)) = rig.sent.last() else { panic!("no report") };
    assert_eq!(report.probes[0].counters.injections, 5);
    assert_ne!(report.probes[0].state, ProbeState::Attached);
    rig.renew();
    assert_eq!(rig.attached(), 0);
}
