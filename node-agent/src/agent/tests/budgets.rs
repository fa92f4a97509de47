use faultline_core::{desired::Probe, report::ProbeState};

use super::{super::*, rig::*};
use crate::kernel::FakeKernel;

#[test]
fn what_is_spent_stays_spent_through_edits_and_crashes() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[times("a", "pod", 7)]));
    assert_eq!(rig.hammer(&id, 3), 3);
    let mut rig = rig.crash();
    assert_eq!(rig.report_of(&id).spent, 3);
    rig.open();
    rig.desire(&set(2, &[times("a", "pod", 5)]));
    assert_eq!(rig.hammer(&id, 100), 2);
    rig.desire(&set(3, &[times("a", "pod", 6)]));
    assert_eq!(rig.hammer(&id, 100), 1);
    assert!(rig.settled.lost.is_empty());
}

#[test]
fn what_other_nodes_spent_is_not_spent_again() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[Probe { spent_elsewhere: 4, ..times("a", "pod", 7) }]));
    assert_eq!(rig.hammer(&id, 100), 3);
    rig.desire(&set(2, &[Probe { spent_elsewhere: 7, ..times("a", "pod", 7) }]));
    assert_eq!((rig.attached(), rig.state_of(&id)), (0, ProbeState::Detached));
}

#[test]
fn a_reboot_forfeits_what_was_granted_and_says_how_much() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[times("a", "pod", 7)]));
    rig.hammer(&id, 2);
    rig.renew();
    // These two are in no ledger.
    rig.hammer(&id, 2);
    let mut rig = rig.reboot();
    assert_eq!(rig.settled.lost.values().collect::<Vec<_>>(), [&5]);
    assert!(matches!(&rig.events[..], [Event::BudgetLost { lost: 5, .. }]));
    rig.open();
    rig.renew();
    assert_eq!((rig.attached(), rig.state_of(&id)), (0, ProbeState::Detached));
    assert_eq!((rig.report_of(&id).spent, rig.report_of(&id).counters.injections), (7, 2));
    // An edit gives what it adds, and no more.
    rig.desire(&set(2, &[times("a", "pod", 9)]));
    assert_eq!(rig.hammer(&id, 100), 2);
    let rig = rig.crash();
    assert_eq!((rig.report_of(&id).spent, rig.settled.lost.len()), (9, 0));
}

#[test]
fn a_reboot_takes_nothing_from_what_could_not_spend() {
    let mut rig = Rig::with(FakeKernel::new().without_function("__x64_sys_mount"));
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[times("a", "pod", 7)]));
    let mut rig = rig.reboot();
    assert!(rig.settled.lost.is_empty());
    rig.open();
    rig.renew();
    assert_eq!(rig.hammer(&id, 100), 7);
}

#[test]
fn a_reboot_after_a_clean_stop_takes_nothing() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[times("a", "pod", 7)]));
    assert_eq!(rig.hammer(&id, 2), 2);
    rig.feed(Input::Stop);
    let mut rig = rig.reboot();
    assert!(rig.settled.lost.is_empty());
    rig.open();
    rig.renew();
    assert_eq!(rig.hammer(&id, 100), 5);
    // It was granted again: a reboot in the middle does forfeit.
    let rig = rig.reboot();
    assert_eq!(rig.settled.lost.values().collect::<Vec<_>>(), [&5]);
}

#[test]
fn a_budget_stays_granted_while_anything_draws_from_it() {
    let mut rig = Rig::new();
    let new = probe("a", "new").id;
    rig.open();
    rig.desire(&set(1, &[times("a", "old", 7)]));
    rig.desire(&set(2, &[times("a", "new", 7)]));
    assert_eq!(rig.hammer(&new, 2), 2);
    rig.renew();
    let rig = rig.reboot();
    assert_eq!(rig.settled.lost.values().collect::<Vec<_>>(), [&5]);
}

#[test]
fn an_unlimited_run_goes_on_after_a_reboot() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[probe("a", "pod")]));
    rig.hammer(&id, 3);
    rig.renew();
    let mut rig = rig.reboot();
    rig.open();
    rig.renew();
    assert_eq!(rig.hammer(&id, 3), 3);
    rig.renew();
    assert_eq!((rig.report_of(&id).spent, rig.report_of(&id).counters.injections), (6, 6));
}

#[test]
fn a_kernel_that_forgot_within_a_boot_counts_as_one_that_rebooted() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[times("a", "pod", 7)]));
    rig.hammer(&id, 3);
    rig.renew();
    // Someone removed the pin.
    *rig.kernel.lock() = FakeKernel::new();
    let rig = rig.crash();
    assert_eq!(rig.settled.lost.values().collect::<Vec<_>>(), [&4]);
}

#[test]
fn a_kernel_that_cannot_say_what_is_spent_forfeits_nothing() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[times("a", "pod", 7)]));
    rig.hammer(&id, 3);
    rig.renew();
    let kept = rig.store.kept.clone();
    let (mute, settled) = Agent::new(rig.identity(), kept, &BTreeMap::new());
    assert_eq!((mute.report(rig.now).probes[0].spent, settled), (3, Settled::default()));
    let mut rig = rig.crash();
    rig.open();
    rig.renew();
    assert_eq!(rig.hammer(&id, 100), 4);
}

#[test]
fn a_replacement_goes_on_with_the_slots_budget_and_never_beside_its_predecessor() {
    let mut rig = Rig::new();
    let (old, new) = (probe("a", "old").id, probe("a", "new").id);
    rig.open();
    rig.desire(&set(1, &[times("a", "old", 7)]));
    assert_eq!(rig.hammer(&old, 3), 3);
    rig.desire(&set(2, &[times("a", "new", 7)]));
    assert_eq!(rig.attached(), 1);
    assert_eq!((rig.hammer(&old, 10), rig.hammer(&new, 10)), (0, 4));
    rig.renew();
    let counted = |id| rig.report_of(id).counters.injections;
    assert_eq!((counted(&old), counted(&new)), (3, 4));
    assert_eq!(rig.last_ack().probes[0].state, ProbeState::Attached);
}

#[test]
fn what_a_replacement_injects_is_not_credited_to_a_predecessor_that_was_tried_in_vain() {
    let mut rig = Rig::new();
    let (old, new) = (probe("a", "old").id, probe("a", "new").id);
    rig.open();
    rig.desire(&set(1, &[times("a", "old", 7)]));
    assert_eq!(rig.hammer(&old, 3), 3);
    rig.swap_container();
    for _ in 0..2 {
        // The first finds it gone, the second tries to attach it again.
        rig.wait(LONGEST_REFRESH);
        rig.renew();
    }
    assert!(matches!(rig.state_of(&old), ProbeState::Failed { .. }));
    rig.swap_container();
    rig.desire(&set(2, &[times("a", "new", 7)]));
    assert_eq!(rig.hammer(&new, 10), 4);
    let rig = rig.crash();
    let counted = |id| rig.report_of(id).counters.injections;
    assert_eq!((counted(&old), counted(&new)), (3, 4));
}

#[test]
fn what_a_replacement_injects_is_not_credited_to_a_predecessor_that_a_restart_detached() {
    let mut rig = Rig::new();
    let (old, new) = (probe("a", "old").id, probe("a", "new").id);
    rig.open();
    rig.desire(&set(1, &[times("a", "old", 7)]));
    assert_eq!(rig.hammer(&old, 3), 3);
    let mut rig = rig.crash();
    rig.open();
    rig.desire(&set(2, &[times("a", "new", 7)]));
    assert_eq!(rig.hammer(&new, 10), 4);
    let rig = rig.crash();
    let counted = |id| rig.report_of(id).counters.injections;
    assert_eq!((counted(&old), counted(&new)), (3, 4));
}

#[test]
fn an_engine_that_does_not_open_for_a_while_costs_no_count_and_grants_nothing() {
    let mut rig = Rig::new();
    let (old, new) = (probe("a", "old").id, probe("b", "new").id);
    rig.open();
    rig.desire(&set(1, &[probe("a", "old")]));
    rig.hammer(&old, 3);
    let mut rig = rig.crash_and_lose_the_engine();
    rig.open();
    rig.desire(&set(2, &[probe("a", "old"), times("b", "new", 7)]));
    assert!(matches!(rig.state_of(&new), ProbeState::Failed { .. }));
    assert!(!rig.store.kept.budgets[&rig.store.kept.probes[&new].budget()].granted);
    let rig = rig.crash();
    assert_eq!(rig.report_of(&old).counters.injections, 3);
}

#[test]
fn final_counts_are_exact_though_the_last_injections_were_never_observed() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[probe("a", "pod")]));
    rig.hammer(&id, 11);
    rig.desire(&set(2, &[]));
    assert_eq!(rig.report_of(&id).counters.injections, 11);
    assert_eq!(rig.state_of(&id), ProbeState::Detached);
    assert!(rig.events.contains(&Event::Detached { id: id.clone(), injections: 11 }));
    // Wanted again, it counts on, also over a crash.
    rig.desire(&set(3, &[probe("a", "pod")]));
    rig.hammer(&id, 5);
    let rig = rig.crash();
    assert_eq!(rig.report_of(&id).counters.injections, 16);
}

#[test]
fn counts_go_on_after_a_lease_that_ended() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[probe("a", "pod")]));
    rig.hammer(&id, 2);
    rig.wait(TTL * 2);
    rig.renew();
    rig.hammer(&id, 3);
    rig.renew();
    let report = rig.report_of(&id);
    assert_eq!((report.counters.injections, report.counters.hits, report.spent), (5, 5, 5));
}

#[test]
fn more_than_the_kernel_can_count_is_refused_and_not_cut() {
    let mut rig = Rig::new();
    rig.open();
    rig.desire(&set(1, &[times("a", "pod", u64::from(u32::MAX) + 1)]));
    let state = &rig.last_ack().probes[0].state;
    assert!(matches!(state, ProbeState::Failed { error } if error.contains("4294967295")), "{state:?}");
}
