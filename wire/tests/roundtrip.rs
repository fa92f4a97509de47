//! What is encoded comes back as it was, and what is incomplete or out of range does not come back at all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers included")]

use faultline_api::{
    CallChain, ExperimentId, Fault, Frame, GoDuration, Kind, Percent, Predicate, predicate::MAX_BYTES,
};
use faultline_core::{
    desired::{DesiredSet, Probe, Target},
    inventory::{Injectability, KernelReport},
    ledger::{Activation, Generation, RunKey},
    refusal::Guarded,
    rehearsal::{Chain, Rehearsal, Rehearsed},
    report::{AttachPoint, Counters, NodeReport, ProbeReport, ProbeState},
};
use faultline_wire::{
    AgentMessage, WireError,
    limits::{MAX_CHAINS, MAX_NUMBER},
    message::{Ack, Desired, Hello, Nack, NackReason, ProbeAck, Rehearsals, Rehearse, RenewAck, Version},
    pb,
};
use jiff::Timestamp;
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    prop_assert_eq,
    sample::select,
};

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9#/ é.-]{1,20}"
}

/// A name that a node can have.
fn node() -> impl Strategy<Value = String> {
    "[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,2}([.][a-z0-9]{1,9}){0,2}"
}

fn instant() -> impl Strategy<Value = Timestamp> {
    let seconds = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    (seconds, 0..1_000_000_000).prop_filter_map("beyond the years", |(s, ns)| Timestamp::new(s, ns).ok())
}

fn generation() -> impl Strategy<Value = Generation> {
    (0..=MAX_NUMBER, any::<u64>()).prop_map(|(epoch, counter)| Generation { epoch, counter })
}

fn run() -> impl Strategy<Value = RunKey> {
    (name(), name(), 0..=MAX_NUMBER).prop_map(|(namespace, name, activation)| RunKey {
        experiment: ExperimentId { kind: Kind::KernelChaos, namespace, name },
        activation: Activation(activation),
    })
}

fn target() -> impl Strategy<Value = Target> {
    (name(), name(), name(), name(), option::of(name()), option::of(name())).prop_map(
        |(namespace, pod, uid, container, container_id, cgroup)| Target {
            namespace,
            pod,
            uid,
            container,
            container_id,
            cgroup,
        },
    )
}

fn predicate() -> impl Strategy<Value = Option<Predicate>> {
    option::of((name(), option::of(name())).prop_map(|(text, parameters)| Predicate { text, parameters }))
}

fn call_chain() -> impl Strategy<Value = CallChain> {
    let frame = (name(), predicate()).prop_map(|(function, predicate)| Frame { function, predicate });
    (vec(frame, 0..5), predicate()).prop_map(|(frames, target)| CallChain { frames, target })
}

fn probe() -> impl Strategy<Value = Probe> {
    let amounts = (0..=100_u8, option::of(1..=u64::MAX), any::<u64>());
    let times = (option::of(0..=GoDuration::MAX.as_nanos()), option::of(instant()));
    (name(), run(), any::<u32>(), target(), select(&Fault::ALL[..]), call_chain(), amounts, times).prop_map(
        |(id, run, slot, target, fault, call_chain, (percent, times, spent_elsewhere), (duration, ends))| {
            Probe {
                id,
                run,
                slot,
                target,
                fault,
                call_chain,
                probability: Percent::new(percent).unwrap(),
                times,
                spent_elsewhere,
                duration: duration.map(GoDuration::from_nanos),
                ends,
            }
        },
    )
}

fn desired() -> impl Strategy<Value = Desired> {
    (generation(), btree_map(name(), probe(), 0..5), "sha256:[0-9a-f]{64}").prop_map(
        |(generation, probes, content)| {
            let probes = probes.into_iter().map(|(id, probe)| Probe { id, ..probe }).collect();
            Desired { set: DesiredSet { generation, probes }, content }
        },
    )
}

fn state() -> impl Strategy<Value = ProbeState> {
    prop_oneof![
        Just(ProbeState::Attached),
        Just(ProbeState::Detached),
        name().prop_map(|error| ProbeState::Failed { error }),
        name().prop_map(|reason| ProbeState::Pending { reason }),
    ]
}

fn counters() -> impl Strategy<Value = Counters> {
    any::<[u64; 13]>().prop_map(
        |[
            hits,
            matches,
            rejected,
            unread,
            sampled_out,
            exhausted,
            expired,
            guarded,
            nofail,
            missed_returns,
            shadowed,
            contended,
            injections,
        ]| Counters {
            hits,
            matches,
            rejected,
            unread,
            sampled_out,
            exhausted,
            expired,
            guarded,
            guarded_by: Guarded { nofail, starting: guarded, ..Guarded::default() },
            missed_returns,
            shadowed,
            contended,
            injections,
        },
    )
}

fn probe_report() -> impl Strategy<Value = ProbeReport> {
    let instants = (option::of(instant()), option::of(instant()));
    let amounts = (option::of(any::<u64>()), any::<u64>(), counters());
    let state = (state(), vec(attach_point(), 0..3));
    (name(), run(), any::<u32>(), name(), name(), state, instants, amounts).prop_map(
        |(id, run, slot, uid, container, state, (attached_at, ends), (times, spent, counters))| ProbeReport {
            id,
            run,
            slot,
            uid,
            container,
            state: state.0,
            attach_points: state.1,
            attached_at,
            ends,
            times,
            spent,
            counters,
        },
    )
}

fn attach_point() -> impl Strategy<Value = AttachPoint> {
    (name(), name(), vec(name(), 0..3), any::<u64>()).prop_map(
        |(function, mechanism, others, missed_runs)| AttachPoint { function, mechanism, others, missed_runs },
    )
}

fn kernel() -> impl Strategy<Value = KernelReport> {
    let verdict = prop_oneof![
        name().prop_map(|mechanism| Injectability::Yes { mechanism }),
        name().prop_map(|reason| Injectability::No { reason }),
    ];
    let verdicts = btree_map(select(&Fault::ALL[..]), (verdict, option::of(name())), 0..=3);
    (name(), name(), verdicts, vec(name(), 0..3), vec(name(), 0..3)).prop_map(
        |(release, machine, verdicts, obstacles, caveats)| {
            let untried = |(fault, (_, why)): (&Fault, &(_, Option<String>))| Some((*fault, why.clone()?));
            let untried = verdicts.iter().filter_map(untried).collect();
            let faults = verdicts.into_iter().map(|(fault, (verdict, _))| (fault, verdict)).collect();
            KernelReport { release, machine, faults, obstacles, untried, caveats }
        },
    )
}

fn node_report() -> impl Strategy<Value = NodeReport> {
    (node(), name(), generation(), kernel(), vec(probe_report(), 0..4)).prop_map(
        |(node, boot_id, accepted, kernel, probes)| NodeReport { node, boot_id, accepted, kernel, probes },
    )
}

fn rehearsed() -> impl Strategy<Value = Rehearsed> {
    (name(), option::of(name()), option::of(name()), option::of(name()))
        .prop_map(|(function, symbol, mechanism, problem)| Rehearsed { function, symbol, mechanism, problem })
}

fn rehearsal() -> impl Strategy<Value = Rehearsal> {
    (vec(rehearsed(), 0..3), rehearsed(), vec(name(), 0..3))
        .prop_map(|(frames, target, problems)| Rehearsal { frames, target, problems })
}

fn rehearse() -> impl Strategy<Value = Rehearse> {
    let chain =
        (select(&Fault::ALL[..]), call_chain()).prop_map(|(fault, call_chain)| Chain { fault, call_chain });
    (any::<u64>(), vec(chain, 0..4)).prop_map(|(seq, chains)| Rehearse { seq, chains })
}

fn agent_message() -> impl Strategy<Value = AgentMessage> {
    let probe_ack = (name(), state(), option::of(instant())).prop_map(|(id, state, attached_at)| ProbeAck {
        id,
        state,
        attached_at,
    });
    prop_oneof![
        (any::<(u32, u32)>(), node_report()).prop_map(|((major, minor), report)| {
            AgentMessage::Hello(Hello { version: Version { major, minor }, report })
        }),
        (generation(), vec(probe_ack, 0..4))
            .prop_map(|(generation, probes)| AgentMessage::Ack(Ack { generation, probes })),
        (option::of(generation()), select(&NackReason::ALL[..]), name(), generation()).prop_map(
            |(generation, reason, detail, accepted)| {
                AgentMessage::Nack(Nack { generation, reason, detail, accepted })
            }
        ),
        node_report().prop_map(AgentMessage::Report),
        (any::<u64>(), vec(rehearsal(), 0..3))
            .prop_map(|(seq, rehearsals)| AgentMessage::Rehearsals(Rehearsals { seq, rehearsals })),
        (generation(), any::<u64>())
            .prop_map(|(generation, seq)| AgentMessage::RenewAck(RenewAck { generation, seq })),
    ]
}

proptest! {
    #[test]
    fn agent_messages_come_back(message in agent_message()) {
        let bytes = encoded(&pb::AgentMessage { boot_ns: Some(1), body: Some((&message).into()) });
        let body = <pb::AgentMessage as prost::Message>::decode(&*bytes).unwrap().body.unwrap();
        prop_assert_eq!(AgentMessage::try_from(body), Ok(message));
    }

    #[test]
    fn desired_sets_come_back(desired in desired()) {
        let bytes = encoded(&pb::Desired::from(&desired));
        let decoded = <pb::Desired as prost::Message>::decode(&*bytes).unwrap();
        prop_assert_eq!(Desired::try_from(decoded), Ok(desired));
    }

    #[test]
    fn questions_come_back(rehearse in rehearse()) {
        let bytes = encoded(&pb::Rehearse::from(&rehearse));
        let decoded = <pb::Rehearse as prost::Message>::decode(&*bytes).unwrap();
        prop_assert_eq!(Rehearse::try_from(decoded), Ok(rehearse));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(message) = <pb::AgentMessage as prost::Message>::decode(&*bytes) {
            let _ = message.body.map(AgentMessage::try_from);
        }
        if let Ok(desired) = <pb::Desired as prost::Message>::decode(&*bytes) {
            let _ = Desired::try_from(desired);
        }
    }
}

fn encoded(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// A probe that decodes.
fn sound() -> pb::Probe {
    pb::Probe {
        id: "default/a#1/0/u/c".into(),
        run: Some(pb::Run {
            kind: pb::run::Kind::KernelChaos.into(),
            namespace: "default".into(),
            name: "a".into(),
            activation: Some(1),
        }),
        slot: Some(0),
        target: Some(pb::Target {
            namespace: "default".into(),
            pod: "p".into(),
            uid: "u".into(),
            container: "c".into(),
            container_id: None,
            cgroup: None,
        }),
        fault: pb::Fault::Slab.into(),
        call_chain: vec![pb::Frame { function: "f".into(), predicate: Some(expression()) }],
        probability: Some(100),
        times: None,
        spent_elsewhere: Some(0),
        duration_ns: None,
        ends: None,
        target_predicate: Some(expression()),
    }
}

fn expression() -> pb::Predicate {
    pb::Predicate { text: "x == 1".into(), parameters: Some("int x".into()) }
}

/// Takes one thing away from a probe.
type Spoil = fn(&mut pb::Probe);

#[test]
fn every_absent_field_of_a_probe_is_named() {
    Probe::try_from(sound()).unwrap();
    let table: [(&str, Spoil); 16] = [
        ("probe.id", |probe| probe.id.clear()),
        ("probe.run", |probe| probe.run = None),
        ("run.kind", |probe| probe.run.as_mut().unwrap().kind = 0),
        ("run.namespace", |probe| probe.run.as_mut().unwrap().namespace.clear()),
        ("run.activation", |probe| probe.run.as_mut().unwrap().activation = None),
        ("probe.slot", |probe| probe.slot = None),
        ("probe.target", |probe| probe.target = None),
        ("target.uid", |probe| probe.target.as_mut().unwrap().uid.clear()),
        ("target.container", |probe| probe.target.as_mut().unwrap().container.clear()),
        ("target.cgroup", |probe| probe.target.as_mut().unwrap().cgroup = Some(String::new())),
        ("probe.fault", |probe| probe.fault = 0),
        ("frame.function", |probe| probe.call_chain[0].function.clear()),
        ("predicate.text", |probe| probe.call_chain[0].predicate.as_mut().unwrap().text.clear()),
        ("predicate.parameters", |probe| {
            probe.target_predicate.as_mut().unwrap().parameters = Some(String::new());
        }),
        ("probe.probability", |probe| probe.probability = None),
        ("probe.spent_elsewhere", |probe| probe.spent_elsewhere = None),
    ];
    for (field, spoil) in table {
        let mut probe = sound();
        spoil(&mut probe);
        assert_eq!(Probe::try_from(probe), Err(WireError::Missing { field }));
    }
}

#[test]
fn values_out_of_range_are_refused_and_named() {
    let table: [(&str, Spoil); 8] = [
        ("probe.probability", |probe| probe.probability = Some(101)),
        ("probe.probability", |probe| probe.probability = Some(256)),
        ("probe.times", |probe| probe.times = Some(0)),
        ("probe.duration_ns", |probe| probe.duration_ns = Some(1 << 63)),
        ("probe.fault", |probe| probe.fault = 9),
        ("run.activation", |probe| probe.run.as_mut().unwrap().activation = Some(MAX_NUMBER + 1)),
        ("run.kind", |probe| probe.run.as_mut().unwrap().kind = 9),
        ("probe.ends", |probe| {
            probe.ends = Some(prost_types::Timestamp { seconds: 0, nanos: 1_000_000_000 });
        }),
    ];
    for (expected, spoil) in table {
        let mut probe = sound();
        spoil(&mut probe);
        let error = Probe::try_from(probe).unwrap_err();
        assert!(matches!(error, WireError::OutOfRange { field, .. } if field == expected), "{error}");
    }
}

#[test]
fn an_epoch_that_nobody_could_count_above_is_refused_wherever_it_stands() {
    for epoch in [MAX_NUMBER + 1, u64::MAX] {
        let generation = Some(Generation { epoch, counter: 0 }.into());
        let renewed = pb::RenewAck { generation, seq: Some(1) };
        let nack = pb::Nack {
            generation: None,
            reason: pb::nack::Refusal::Older.into(),
            detail: String::new(),
            accepted: generation,
        };
        let report = pb::NodeReport {
            node: "n".into(),
            boot_id: "b".into(),
            accepted: generation,
            kernel: None,
            probes: Vec::new(),
        };
        let desired = pb::Desired { generation, content: String::new(), probes: Vec::new() };
        for error in [
            AgentMessage::try_from(pb::agent_message::Body::RenewAck(renewed)).unwrap_err(),
            Nack::try_from(nack).unwrap_err(),
            NodeReport::try_from(report).unwrap_err(),
            Desired::try_from(desired).unwrap_err().error,
        ] {
            let (field, value) = ("generation.epoch", epoch.to_string());
            assert_eq!(error, WireError::OutOfRange { field, value, expected: "below 2^48" });
        }
    }
}

#[test]
fn a_desired_set_is_bounded_ordered_and_has_a_digest() {
    let set = |probes| pb::Desired {
        generation: Some(Generation { epoch: 3, counter: 4 }.into()),
        content: format!("sha256:{}", "0".repeat(64)),
        probes,
    };
    let refused = |desired: pb::Desired| Desired::try_from(desired).unwrap_err();
    let twice = refused(set(vec![sound(), sound()]));
    assert_eq!(twice.generation, Some(Generation { epoch: 3, counter: 4 }));
    assert!(matches!(twice.error, WireError::NotAscending { .. }));
    let many = refused(set(vec![sound(); 4097]));
    assert!(matches!(many.error, WireError::TooLong { length: 4097, max: 4096, .. }));
    let long = refused(set(vec![pb::Probe { id: "x".repeat(1101), ..sound() }]));
    assert!(matches!(long.error, WireError::TooLong { field: "probe.id", .. }));
    for (text, parameters) in [(MAX_BYTES + 1, 1), (1, MAX_BYTES + 1)] {
        let long = pb::Predicate { text: "x".repeat(text), parameters: Some("x".repeat(parameters)) };
        let long = refused(set(vec![pb::Probe { target_predicate: Some(long), ..sound() }]));
        assert!(matches!(long.error, WireError::TooLong { max: MAX_BYTES, .. }), "{:?}", long.error);
    }
    let digest = refused(pb::Desired { content: "abc".into(), ..set(vec![]) });
    assert!(matches!(digest.error, WireError::OutOfRange { field: "desired.content", .. }));
    let fenceless = refused(pb::Desired { generation: None, ..set(vec![]) });
    assert_eq!(fenceless.generation, None);
}

#[test]
fn a_text_for_people_is_cut_at_a_character_and_then_fits() {
    let error = "é".repeat(3000);
    let mut state = pb::ProbeState::from(&ProbeState::Failed { error });
    let ProbeState::Failed { error } = ProbeState::try_from(state.clone()).unwrap() else {
        panic!("other state")
    };
    assert_eq!(error, "é".repeat(2048));
    state.state = None;
    assert_eq!(ProbeState::try_from(state), Err(WireError::Missing { field: "probe_state.state" }));
}

#[test]
fn a_kernel_report_holds_each_fault_once_at_most() {
    let report = KernelReport { release: "6.1".into(), machine: "x86_64".into(), ..KernelReport::default() };
    let mut message = pb::KernelReport::from(&report);
    let verdict = pb::injectability::Verdict::No("why".into());
    let slab = pb::Injectability { fault: pb::Fault::Slab.into(), verdict: Some(verdict), untried: None };
    message.faults = vec![slab; 2];
    let error = KernelReport::try_from(message).unwrap_err();
    assert!(matches!(error, WireError::NotAscending { field: "kernel.faults", .. }), "{error}");
}

#[test]
fn a_question_is_bounded_and_complete() {
    let chain =
        || pb::Chain { fault: pb::Fault::Slab.into(), call_chain: Vec::new(), target_predicate: None };
    let ask = |seq, chains| Rehearse::try_from(pb::Rehearse { seq, chains });
    let most = ask(Some(1), vec![chain(); MAX_CHAINS]).unwrap();
    assert_eq!((most.seq, most.chains.len()), (1, MAX_CHAINS));
    let many = ask(Some(1), vec![chain(); MAX_CHAINS + 1]).unwrap_err();
    assert!(matches!(many, WireError::TooLong { field: "rehearse.chains", .. }), "{many}");
    assert_eq!(ask(None, Vec::new()), Err(WireError::Missing { field: "rehearse.seq" }));
    let nothing = pb::Rehearsal { frames: Vec::new(), target: None, problems: Vec::new() };
    let nothing = pb::Rehearsals { seq: Some(1), rehearsals: vec![nothing] };
    assert_eq!(Rehearsals::try_from(nothing), Err(WireError::Missing { field: "rehearsal.target" }));
}
