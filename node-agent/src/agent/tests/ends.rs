use faultline_core::{desired::Probe, report::ProbeState};

use super::{super::*, rig::*};

#[test]
fn a_duration_counts_from_the_first_attach() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    let began = rig.now.wall;
    rig.desire(&set(1, &[lasting("a", "pod", 10)]));
    let report = rig.report_of(&id);
    assert_eq!(report.attached_at, Some(began));
    assert_eq!(report.ends, Some(began.checked_add(SECOND * 10).unwrap()));
    rig.wait(SECOND * 9);
    assert_eq!(rig.hammer(&id, 1), 1);
    assert!(rig.agent.wake_at() <= lease::after(rig.now.boot, SECOND));
    rig.wait(SECOND);
    assert_eq!((rig.attached(), rig.state_of(&id)), (0, ProbeState::Detached));
    let Some(AgentMessage::Report(report)) = rig.sent.last() else { panic!("the end was not reported") };
    assert_eq!((&report.probes[0].state, report.probes[0].counters.injections), (&ProbeState::Detached, 1));
}

#[test]
fn a_duration_does_not_begin_before_there_is_a_lease() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    let heard = rig.now.boot;
    rig.pass(TTL * 2);
    let desired = set(1, &[lasting("a", "pod", 10)]);
    rig.feed(Input::Received(Received::Desired(desired), heard));
    assert_eq!((rig.attached(), rig.report_of(&id).attached_at), (0, None));
    rig.wait(SECOND * 60);
    rig.renew();
    assert_eq!(rig.report_of(&id).attached_at, Some(rig.now.wall));
    rig.wait(SECOND * 9);
    assert_eq!(rig.attached(), 1);
}

#[test]
fn an_end_that_is_given_holds_and_lasts_through_a_crash() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    let ends = rig.now.wall.checked_add(SECOND * 10).unwrap();
    rig.desire(&set(1, &[Probe { ends: Some(ends), ..lasting("a", "pod", 3600) }]));
    rig.wait(SECOND * 4);
    let mut rig = rig.crash();
    rig.open();
    rig.renew();
    assert_eq!(rig.attached(), 1);
    rig.wait(SECOND * 6);
    assert_eq!((rig.attached(), rig.state_of(&id)), (0, ProbeState::Detached));
    let mut rig = rig.crash();
    rig.open();
    rig.renew();
    assert_eq!((rig.attached(), rig.state_of(&id)), (0, ProbeState::Detached));
    assert_eq!(rig.report_of(&id).ends, Some(ends));
}

#[test]
fn an_edit_of_the_duration_moves_the_end_and_not_the_beginning() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    let began = rig.now.wall;
    rig.desire(&set(1, &[lasting("a", "pod", 10)]));
    rig.wait(SECOND * 5);
    rig.desire(&set(2, &[lasting("a", "pod", 20)]));
    assert_eq!(rig.report_of(&id).ends, Some(began.checked_add(SECOND * 20).unwrap()));
    rig.wait(SECOND * 10);
    assert_eq!(rig.attached(), 1);
    rig.desire(&set(3, &[lasting("a", "pod", 12)]));
    assert_eq!((rig.attached(), rig.state_of(&id)), (0, ProbeState::Detached));
}

#[test]
fn a_step_of_the_wall_clock_prolongs_nothing() {
    let mut rig = Rig::new();
    rig.open();
    rig.desire(&set(1, &[lasting("a", "pod", 10)]));
    rig.now.wall = rig.now.wall.checked_sub(SECOND * 3600).unwrap();
    rig.wait(SECOND * 10);
    assert_eq!(rig.attached(), 0);
}
