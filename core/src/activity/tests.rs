use super::*;
use crate::{refusal::Guarded, testing::at};

/// An attached probe without a budget.
fn probe(counters: Counters) -> ProbeReport {
    ProbeReport {
        id: "chaos/x#1/0/u0/main".to_owned(),
        run: "chaos/x#1".parse().unwrap(),
        slot: 0,
        uid: "u0".to_owned(),
        container: "main".to_owned(),
        state: ProbeState::Attached,
        attach_points: Vec::new(),
        attached_at: Some(at(0)),
        ends: None,
        times: None,
        spent: counters.injections,
        counters,
    }
}

/// Each with what is counted, and what is said of it.
fn counted() -> Vec<(Activity, Counters, &'static str)> {
    let none = Counters::default();
    let hit = Counters { hits: 812, ..none };
    let matched = Counters { matches: 10, ..hit };
    use Activity::{Injecting, NeverInjected, NeverMatched, NeverReached};
    vec![
        (NeverReached, none, "the function that fails was never reached"),
        (
            NeverReached,
            Counters { rejected: 5, ..none },
            "the function that fails was never reached: a predicate turned 5 down",
        ),
        (
            NeverMatched,
            Counters { rejected: 812, ..hit },
            "reached 812 times, never matched: a predicate turned 812 down",
        ),
        (
            NeverMatched,
            Counters { hits: 1, unread: 1, ..none },
            "reached once, never matched: a predicate could not read what it asks for in 1",
        ),
        (
            NeverMatched,
            Counters { guarded: 2, expired: 10, shadowed: 1, ..hit },
            "reached 812 times, never matched: 799 outside the call chain, 1 answered by another probe, 2 refused, \
             10 after the deadline",
        ),
        (
            NeverMatched,
            Counters {
                hits: 3,
                guarded: 3,
                guarded_by: Guarded { nofail: 2, starting: 1, ..none.guarded_by },
                ..none
            },
            "reached 3 times, never matched: 3 refused (1 starting, 2 nofail)",
        ),
        (
            NeverMatched,
            Counters { rejected: 5_000, ..hit },
            "reached 812 times, never matched: a predicate turned 5000 down",
        ),
        (
            NeverInjected,
            Counters { sampled_out: 9, exhausted: 1, ..matched },
            "reached 812 times, matched 10 times, never injected: sampling let 9 pass, 1 after the budget was used up",
        ),
        (
            NeverInjected,
            Counters { missed_returns: 10, ..matched },
            "reached 812 times, matched 10 times, never injected",
        ),
        (
            Injecting,
            Counters { injections: 1, ..matched },
            "reached 812 times, matched 10 times, injected once",
        ),
    ]
}

#[test]
fn how_far_an_attached_probe_has_come_follows_from_what_it_counted() {
    for (activity, counters, words) in counted() {
        assert_eq!(Activity::of(&probe(counters), 0), activity, "{counters:?}");
        assert_eq!(counters.in_words(), words);
    }
}

#[test]
fn a_detached_probe_keeps_what_it_had_come_to_and_injects_no_more() {
    for (activity, counters, _) in counted() {
        let detached = ProbeReport { state: ProbeState::Detached, ..probe(counters) };
        let expected = if activity == Activity::Injecting { Activity::Injected } else { activity };
        assert_eq!(Activity::of(&detached, 0), expected);
        let never = ProbeReport { attached_at: None, ..detached };
        assert_eq!(Activity::of(&never, 0), Activity::Pending, "it never was attached");
    }
}

#[test]
fn a_probe_that_is_not_attached_is_failed_or_pending_whatever_it_counted_before() {
    for (_, counters, _) in counted() {
        let state = ProbeState::Failed { error: "the node has no lease".to_owned() };
        assert_eq!(Activity::of(&ProbeReport { state, ..probe(counters) }, 0), Activity::Failed);
        let state = ProbeState::Pending { reason: "module `ext4` is not loaded".to_owned() };
        assert_eq!(Activity::of(&ProbeReport { state, ..probe(counters) }, 0), Activity::Pending);
    }
}

#[test]
fn a_budget_is_used_up_by_what_all_nodes_spent_of_it_and_not_by_what_was_once_turned_away() {
    let turned_away = Counters { hits: 9, matches: 9, exhausted: 4, injections: 5, ..Counters::default() };
    let raised = ProbeReport { times: Some(8), ..probe(turned_away) };
    for (elsewhere, activity) in
        [(0, Activity::Injecting), (2, Activity::Injecting), (3, Activity::Exhausted)]
    {
        assert_eq!(Activity::of(&raised, elsewhere), activity, "{elsewhere}");
    }
    // Its slot's former target used it up.
    let successor = ProbeReport { times: Some(8), spent: 8, ..probe(Counters::default()) };
    assert_eq!(Activity::of(&successor, 0), Activity::Exhausted);
    let over = ProbeReport { state: ProbeState::Detached, ..successor };
    assert_eq!(Activity::of(&over, 0), Activity::Exhausted);
    let unlimited = ProbeReport { times: None, ..probe(turned_away) };
    assert_eq!(Activity::of(&unlimited, u64::MAX), Activity::Injecting);
}

#[test]
fn missed_returns_are_a_warning_in_every_state() {
    assert_eq!(Counters { hits: 9, matches: 9, ..Counters::default() }.warning(), None);
    let missed = Counters { hits: 9, matches: 7, missed_returns: 3, injections: 4, ..Counters::default() };
    let expected = "missed returns: what was matched was dropped 3 times, because exits went unseen";
    assert_eq!(missed.warning().as_deref(), Some(expected));
}

#[test]
fn a_run_has_come_as_far_as_its_furthest_probe_and_the_others_are_counted_beside_it() {
    use Activity::{Exhausted, Failed, Injecting, NeverMatched, NeverReached, Pending};
    let table: [(&[Activity], &str); 6] = [
        (&[], ""),
        (&[NeverReached], "never reached"),
        (&[NeverReached, NeverReached], "never reached"),
        (&[Pending, Failed, Pending], "1 failed, 2 pending"),
        (&[NeverReached, Injecting, NeverReached, Exhausted], "1 injecting, 1 exhausted, 2 never reached"),
        (&[NeverReached, NeverMatched], "1 never matched, 1 never reached"),
    ];
    for (probes, line) in table {
        let activities: Activities = probes.iter().copied().collect();
        assert_eq!(activities.to_string(), line);
        assert_eq!(activities.furthest(), probes.iter().max().copied());
    }
}

#[test]
fn one_spelling_is_used_for_programs_and_every_activity_is_in_the_list() {
    for (activity, next) in Activity::ALL.iter().zip(&Activity::ALL[1..]) {
        assert!(activity < next);
    }
    for activity in Activity::ALL {
        assert_eq!(serde_json::to_value(activity).unwrap(), activity.as_str());
        assert_eq!(activity.to_string(), activity.as_str().replace('_', " "));
    }
}

#[test]
fn counters_are_added_field_by_field() {
    let one = Counters {
        hits: 1,
        matches: 2,
        rejected: 3,
        unread: 4,
        sampled_out: 5,
        exhausted: 6,
        expired: 7,
        guarded: 8,
        guarded_by: Guarded { nofail: 8, ..Guarded::default() },
        missed_returns: 9,
        shadowed: 10,
        contended: 11,
        injections: u64::MAX,
    };
    let two = one.plus(one);
    assert_eq!((two.hits, two.matches, two.rejected, two.unread, two.sampled_out), (2, 4, 6, 8, 10));
    assert_eq!((two.exhausted, two.expired, two.guarded, two.missed_returns), (12, 14, 16, 18));
    assert_eq!((two.guarded_by.nofail, two.shadowed, two.contended), (16, 20, 22));
    assert_eq!(two.injections, u64::MAX);
}
