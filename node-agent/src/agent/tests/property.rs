use faultline_core::ledger::Generation;
use proptest::prelude::*;

use super::{super::*, rig::*};

/// Something that happens to a node.
#[derive(Clone, Debug)]
enum Step {
    /// A newer set: limits of two experiments, `None` where one is not in it, and which pod is hit.
    Newer([Option<u64>; 2], usize),
    /// An older set.
    Older,
    Renew,
    /// A renewal that was called for so many seconds ago.
    LateRenew(u64),
    Hammer(u64),
    Wait(u64),
    Close,
    Crash,
    Reboot,
    /// The target's container ends, or starts again.
    Container,
}

fn step() -> impl Strategy<Value = Step> {
    let limit = prop::option::of(1..10_u64);
    prop_oneof![
        3 => ([limit.clone(), limit], 0..2_usize).prop_map(|(limits, pod)| Step::Newer(limits, pod)),
        1 => Just(Step::Older),
        3 => Just(Step::Renew),
        1 => (0..40_u64).prop_map(Step::LateRenew),
        4 => (1..6_u64).prop_map(Step::Hammer),
        2 => (0..20_u64).prop_map(Step::Wait),
        1 => Just(Step::Close),
        1 => Just(Step::Crash),
        1 => Just(Step::Reboot),
        1 => Just(Step::Container),
    ]
}

/// What was ever allowed, and what was injected into which pod.
#[derive(Default)]
struct Seen {
    counter: u64,
    most: [u64; 2],
    injected: [[u64; 2]; 2],
}

const NAMES: [&str; 2] = ["a", "b"];
/// The second takes the first one's slots, and the other way round.
const PODS: [&str; 2] = ["pod", "other"];

fn take(rig: Rig, step: &Step, seen: &mut Seen) -> Rig {
    let mut rig = rig;
    match *step {
        Step::Newer(limits, pod) => {
            seen.counter += 1;
            let mut probes = Vec::new();
            for (at, limit) in limits.iter().enumerate() {
                if let Some(limit) = limit {
                    seen.most[at] = seen.most[at].max(*limit);
                    probes.push(times(NAMES[at], PODS[pod], *limit));
                }
            }
            rig.desire(&set(seen.counter, &probes));
        }
        Step::Older => {
            if let Some(older) = seen.counter.checked_sub(1) {
                rig.desire(&set(older, &[times("a", "pod", 1000)]));
            }
        }
        Step::Renew => rig.renew(),
        Step::LateRenew(seconds) => {
            let heard = BootNanos(rig.now.boot.0.saturating_sub(seconds * 1_000_000_000));
            rig.renew_heard(heard);
        }
        Step::Hammer(times) => {
            for (at, name) in NAMES.iter().enumerate() {
                for (of, pod) in PODS.iter().enumerate() {
                    seen.injected[at][of] += rig.hammer(&probe(name, pod).id, times);
                }
            }
        }
        Step::Wait(seconds) => rig.wait(SECOND * u32::try_from(seconds).unwrap()),
        Step::Close => {
            rig.feed(Input::Closed);
            rig.open();
        }
        Step::Container => rig.swap_container(),
        Step::Crash => {
            rig = rig.crash();
            rig.open();
        }
        Step::Reboot => {
            rig = rig.reboot();
            rig.open();
        }
    }
    rig
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_the_fence_the_lease_and_the_budgets_hold(steps in prop::collection::vec(step(), 1..40)) {
        let mut rig = Rig::new();
        rig.open();
        let mut seen = Seen::default();
        for step in &steps {
            rig = take(rig, step, &mut seen);
            let expected = if seen.counter == 0 { Generation::default() } else { Generation { epoch: 1, counter: seen.counter } };
            // A first set may be one that the test calls older.
            prop_assert!(rig.agent.ledger().accepted() <= expected);
            for at in 0..2 {
                let injected: u64 = seen.injected[at].iter().sum();
                prop_assert!(injected <= seen.most[at], "{:?} of {:?}", seen.injected, seen.most);
            }
            let live = rig.kernel.lock().lease() > rig.now.boot;
            prop_assert!(live || PODS.iter().all(|pod| rig.hammer(&probe("a", pod).id, 1) == 0));
            prop_assert_eq!(&rig.store.kept.accepted(), &rig.agent.ledger().accepted());
        }
    }

    #[test]
    fn without_reboots_every_count_is_exact(steps in prop::collection::vec(step(), 1..40)) {
        let mut rig = Rig::new();
        rig.open();
        let mut seen = Seen::default();
        for step in steps.iter().filter(|step| !matches!(step, Step::Reboot)) {
            rig = take(rig, step, &mut seen);
        }
        rig.feed(Input::Stop);
        for (at, name) in NAMES.iter().enumerate() {
            let report = rig.agent.report(rig.now);
            for (of, pod) in PODS.iter().enumerate() {
                let counted = report.probes.iter().find(|report| report.id == probe(name, pod).id);
                let injections = counted.map_or(0, |report| report.counters.injections);
                prop_assert_eq!(injections, seen.injected[at][of], "{} in {}", name, pod);
                let all: u64 = seen.injected[at].iter().sum();
                prop_assert!(counted.is_none_or(|report| report.spent == all));
            }
        }
        let lost = rig.events.iter().filter(|event| matches!(event, Event::BudgetLost { .. })).count();
        prop_assert_eq!(lost, 0);
    }
}
