use faultline_api::Fault;
use faultline_core::{
    refusal::Guarded,
    rehearsal::{Chain, Rehearsal},
};
use faultline_wire::message::{Rehearsals, Rehearse};

use super::{super::*, rig::*};
use crate::kernel::FakeKernel;

#[test]
fn a_report_has_refusals_by_reason_and_what_programs_missed_at_the_functions_of_the_chain() {
    let mut rig = Rig::new();
    let id = probe("a", "pod").id;
    rig.open();
    rig.desire(&set(1, &[probe("a", "pod")]));
    let points = rig.report_of(&id).attach_points;
    let functions: Vec<&str> = points.iter().map(|point| point.function.as_str()).collect();
    assert_eq!(
        (functions.as_slice(), points[0].missed_runs),
        (["__x64_sys_mount", "should_failslab"].as_slice(), 0)
    );

    let guarded_by = Guarded { nofail: 2, starting: 3, ..Guarded::default() };
    let tally = Tally { hits: 9, guarded: 5, guarded_by, shadowed: 1, contended: 2, ..Tally::default() };
    let missed = [
        ("fentry/__x64_sys_mount", 3),
        ("fexit/__x64_sys_mount", 4),
        ("fmod_ret/should_failslab", 5),
        ("fentry/should_failslab_too", 6),
        ("tp_btf/cgroup_mkdir", 7),
    ];
    let missed = missed.map(|(name, count)| (name.to_owned(), count)).into();
    let counters = [(id.clone(), tally)].into();
    rig.feed(Input::Observed(Observed { counters, missed, ..Observed::default() }, Purpose::Report));
    let report = rig.report_of(&id);
    let counters = report.counters;
    assert_eq!((counters.guarded, counters.guarded_by), (5, guarded_by));
    assert_eq!((counters.shadowed, counters.contended), (1, 2));
    let missed: Vec<u64> = report.attach_points.iter().map(|point| point.missed_runs).collect();
    assert_eq!(missed, [7, 5]);
    assert!(matches!(rig.sent.last(), Some(AgentMessage::Report(sent)) if sent.probes == [report]));
}

#[test]
fn what_would_come_of_experiments_is_answered_and_changes_nothing() {
    let mut rig = Rig::with(FakeKernel::new().without_function("no_such_function"));
    rig.open();
    rig.desire(&set(1, &[probe("a", "pod")]));
    let known = probe("a", "pod").call_chain;
    let mut unknown = known.clone();
    unknown.frames[0].function = "no_such_function".into();
    let chains = [known, unknown].map(|call_chain| Chain { fault: Fault::Slab, call_chain });
    let question = Rehearse { seq: 7, chains: chains.into() };
    let (before, ledger) = (rig.attached(), rig.store.kept.clone());
    rig.feed(Input::Received(Received::Rehearse(question), rig.now.boot));
    let Some(AgentMessage::Rehearsals(Rehearsals { seq, rehearsals })) = rig.sent.last() else {
        panic!("no answer: {:?}", rig.sent.last())
    };
    let usable: Vec<bool> = rehearsals.iter().map(Rehearsal::is_usable).collect();
    assert_eq!((*seq, usable.as_slice()), (7, [true, false].as_slice()));
    let reason = rehearsals[1].reasons().next().unwrap();
    assert!(reason.contains("no_such_function"), "{reason}");
    assert_eq!((rig.attached(), rig.store.kept.clone()), (before, ledger));
}
