//! From a review to what a guest reads.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{
    CallChain, Experiment, Fault, Frame, GoDuration, Mode, Percent, Predicate, Selector,
    experiment::Annotations,
    selector::{Operator, PodPhase, Requirement},
};
use faultline_core::review::{
    Active, Admission, Inputs, Operation, Reach, Review, SelectedTarget, SourceFacts,
};

use crate::bindings::policy;

/// The question, as far as a guest with these `inputs` wants it.
pub(crate) fn review(review: &Review, inputs: Inputs) -> policy::Review {
    let Review { experiment: asked, raw, operation, source, admission: selected } = review;
    policy::Review {
        experiment: experiment(asked),
        raw: inputs.raw.then(|| raw.to_string()),
        operation: match operation {
            Operation::Create => policy::Operation::Create,
            Operation::Update => policy::Operation::Update,
            Operation::Renew => policy::Operation::Renew,
        },
        source: inputs.source.then(|| source_facts(source)),
        admission: selected.as_ref().map(|selected| admission(selected, inputs)),
    }
}

fn experiment(experiment: &Experiment) -> policy::Experiment {
    let Experiment {
        id,
        labels,
        annotations: annotated,
        mode: how_many,
        selector: which,
        container_names,
        duration,
        fault,
        call_chain,
        probability,
        times,
    } = experiment;
    policy::Experiment {
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        labels: pairs(labels),
        annotations: annotations(annotated),
        expires_at: annotated.expires_at.map(timestamp),
        mode: mode(*how_many),
        selector: selector(which),
        container_names: container_names.clone(),
        duration: duration.map(GoDuration::as_nanos),
        fault: policy::Fault::Failtype(match fault {
            Fault::Slab => policy::Failtype::Slab,
            Fault::Page => policy::Failtype::Page,
            Fault::Bio => policy::Failtype::Bio,
        }),
        call_chain: frames(call_chain, *fault),
        probability: probability.get(),
        times: *times,
    }
}

/// Those that the document gives, by the names that users write.
fn annotations(annotations: &Annotations) -> Vec<(String, String)> {
    let Annotations { rerun, replace, owner, ticket, expires_at } = annotations;
    let replace = replace.map(|most| most.to_string());
    let expires_at = expires_at.map(|instant| instant.to_string());
    [
        ("expires-at", &expires_at),
        ("owner", owner),
        ("replace", &replace),
        ("rerun", rerun),
        ("ticket", ticket),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)))
    .collect()
}

fn mode(mode: Mode) -> policy::Mode {
    match mode {
        Mode::One => policy::Mode::One,
        Mode::All => policy::Mode::All,
        Mode::Fixed(pods) => policy::Mode::Fixed(pods),
        Mode::FixedPercent(percent) => policy::Mode::FixedPercent(Percent::get(percent)),
        Mode::RandomMaxPercent(percent) => policy::Mode::RandomMaxPercent(Percent::get(percent)),
    }
}

fn selector(selector: &Selector) -> policy::Selector {
    let Selector {
        namespaces,
        nodes,
        pods,
        node_selectors,
        field_selectors,
        label_selectors,
        expression_selectors,
        annotation_selectors,
        pod_phase_selectors,
    } = selector;
    policy::Selector {
        namespaces: namespaces.clone(),
        nodes: nodes.clone(),
        pods: pods.iter().map(|(namespace, names)| (namespace.clone(), names.clone())).collect(),
        node_selectors: pairs(node_selectors),
        field_selectors: pairs(field_selectors),
        label_selectors: pairs(label_selectors),
        expression_selectors: expression_selectors.iter().map(requirement).collect(),
        annotation_selectors: pairs(annotation_selectors),
        pod_phases: pod_phase_selectors.iter().map(|phase| pod_phase(*phase).to_owned()).collect(),
    }
}

fn requirement(requirement: &Requirement) -> policy::Requirement {
    let Requirement { key, operator, values } = requirement;
    let operator = match operator {
        Operator::In => "In",
        Operator::NotIn => "NotIn",
        Operator::Exists => "Exists",
        Operator::DoesNotExist => "DoesNotExist",
    };
    policy::Requirement { key: key.clone(), operator: operator.to_owned(), values: values.clone() }
}

const fn pod_phase(phase: PodPhase) -> &'static str {
    match phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
        PodPhase::Unknown => "Unknown",
    }
}

/// The frames, and the target function as the last one where a predicate restricts it: a guest that looks for an empty
/// chain or for predicates sees all there is.
fn frames(chain: &CallChain, fault: Fault) -> Vec<policy::Frame> {
    let CallChain { frames, target } = chain;
    let on_the_way = frames.iter().map(|Frame { function, predicate }| frame(function, predicate.as_ref()));
    let target = target.iter().map(|predicate| frame(fault.target_function(), Some(predicate)));
    on_the_way.chain(target).collect()
}

fn frame(function: &str, predicate: Option<&Predicate>) -> policy::Frame {
    policy::Frame {
        function: function.to_owned(),
        parameters: predicate.and_then(|predicate| predicate.parameters.clone()),
        predicate: predicate.map(|predicate| predicate.text.clone()),
    }
}

fn source_facts(source: &SourceFacts) -> policy::SourceFacts {
    let SourceFacts { name, revision, author, verified } = source;
    policy::SourceFacts {
        name: name.clone(),
        revision: revision.clone(),
        author: author.clone(),
        verified: *verified,
    }
}

fn timestamp(instant: jiff::Timestamp) -> policy::Timestamp {
    let nanos = instant.as_nanosecond();
    policy::Timestamp {
        // Both fit: a timestamp lies within the years -9999 to 9999.
        seconds: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX),
        nanoseconds: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

fn admission(admission: &Admission, inputs: Inputs) -> policy::Admission {
    let Admission { now, environment, targets, eligible, others, together, active } = admission;
    let distinct =
        |key: fn(&SelectedTarget) -> &str| count(targets.iter().map(key).collect::<BTreeSet<_>>().len());
    policy::Admission {
        now: timestamp(*now),
        environment: environment.clone(),
        totals: policy::Totals {
            targets: count(targets.len()),
            pods: distinct(|selected| &selected.target.uid),
            nodes: distinct(|selected| &selected.node),
            eligible: *eligible,
            others: reach(*others),
            together: reach(*together),
        },
        targets: targets.iter().map(target).collect(),
        // With many runs it is long: only a guest that reads it pays for it.
        active: if inputs.active { active.iter().map(active_run).collect() } else { Vec::new() },
    }
}

const fn reach(Reach { pods, nodes, eligible }: Reach) -> policy::Reach {
    policy::Reach { pods, nodes, eligible }
}

fn target(selected: &SelectedTarget) -> policy::Target {
    let SelectedTarget { node, target, labels } = selected;
    policy::Target {
        node: node.clone(),
        namespace: target.namespace.clone(),
        pod: target.pod.clone(),
        pod_uid: target.uid.clone(),
        container: target.container.clone(),
        labels: pairs(labels),
    }
}

fn active_run(active: &Active) -> policy::Active {
    let Active { run, targets } = active;
    let target = |(node, namespace, pod_uid): &(String, String, String)| policy::ActiveTarget {
        node: node.clone(),
        namespace: namespace.clone(),
        pod_uid: pod_uid.clone(),
    };
    policy::Active {
        namespace: run.experiment.namespace.clone(),
        name: run.experiment.name.clone(),
        activation: run.activation.0,
        targets: targets.iter().map(target).collect(),
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(String, String)> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use faultline_api::{ExperimentId, Kind};
    use faultline_core::{
        desired::Target,
        ledger::{Activation, RunKey},
    };

    use super::*;

    fn asked() -> Review {
        let id = ExperimentId { kind: Kind::KernelChaos, namespace: "shop".into(), name: "mount".into() };
        let target = |pod: &str, container: &str| SelectedTarget {
            node: "node-1".into(),
            target: Target {
                namespace: "shop".into(),
                pod: pod.into(),
                uid: format!("uid-{pod}"),
                container: container.into(),
                container_id: None,
                cgroup: None,
            },
            labels: [("app".to_owned(), "shop".to_owned())].into(),
        };
        let run = RunKey { experiment: id.clone(), activation: Activation(4) };
        Review {
            experiment: Experiment {
                id,
                labels: BTreeMap::new(),
                annotations: Annotations {
                    replace: Some(2),
                    ticket: Some("OPS-1".into()),
                    ..Annotations::default()
                },
                mode: Mode::FixedPercent(Percent::ALL),
                selector: Selector { namespaces: vec!["shop".into()], ..Selector::default() },
                container_names: vec![],
                duration: Some(GoDuration::from_secs(3)),
                fault: Fault::Bio,
                call_chain: CallChain {
                    frames: vec![Frame { function: "submit_bio".into(), predicate: None }],
                    target: Some(Predicate { text: "x == 1".into(), parameters: Some("int x".into()) }),
                },
                probability: Percent::ALL,
                times: None,
            },
            raw: serde_json::json!({ "kind": "KernelChaos" }),
            operation: Operation::Renew,
            source: SourceFacts { name: "team".into(), revision: "r1".into(), author: None, verified: true },
            admission: Some(Admission {
                now: "1969-12-31T23:59:59.25Z".parse::<jiff::Timestamp>().unwrap(),
                environment: "staging".into(),
                targets: vec![target("a", "main"), target("a", "side"), target("b", "main")],
                eligible: 9,
                others: Reach { pods: 1, nodes: 1, eligible: 0 },
                together: Reach { pods: 3, nodes: 2, eligible: 2 },
                active: vec![Active { run, targets: vec![("node-2".into(), "shop".into(), "uid-c".into())] }],
            }),
        }
    }

    #[test]
    fn what_a_guest_does_not_ask_for_is_withheld() {
        let bare = review(&asked(), Inputs::default());
        assert!(bare.raw.is_none() && bare.source.is_none());
        assert!(bare.admission.is_some_and(|admission| admission.active.is_empty()));
        let full = review(&asked(), Inputs { raw: true, source: true, active: true });
        assert_eq!(full.raw.as_deref(), Some(r#"{"kind":"KernelChaos"}"#));
        assert!(full.source.is_some_and(|source| source.revision == "r1" && source.verified));
        let active = &full.admission.unwrap().active[0];
        assert_eq!((active.activation, active.targets[0].pod_uid.as_str()), (4, "uid-c"));
    }

    #[test]
    fn a_guest_reads_effective_values_and_the_names_that_users_write() {
        let policy::Review { experiment, operation, .. } = review(&asked(), Inputs::default());
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(experiment.annotations, [pair("replace", "2"), pair("ticket", "OPS-1")]);
        assert_eq!((experiment.probability, experiment.times), (100, None));
        assert_eq!(experiment.duration, Some(3_000_000_000));
        assert!(matches!(experiment.mode, policy::Mode::FixedPercent(100)));
        assert!(matches!(experiment.fault, policy::Fault::Failtype(policy::Failtype::Bio)));
        assert!(matches!(operation, policy::Operation::Renew));
        let frames: Vec<_> = experiment
            .call_chain
            .iter()
            .map(|frame| (frame.function.as_str(), frame.parameters.as_deref(), frame.predicate.as_deref()))
            .collect();
        let target = ("should_fail_bio", Some("int x"), Some("x == 1"));
        assert_eq!(frames, [("submit_bio", None, None), target]);
    }

    #[test]
    fn totals_count_containers_pods_and_nodes() {
        let admission = review(&asked(), Inputs::default()).admission.unwrap();
        let policy::Totals { targets, pods, nodes, eligible, others, together } = admission.totals;
        assert_eq!((targets, pods, nodes, eligible), (3, 2, 1, 9));
        assert_eq!((others.pods, others.nodes, others.eligible), (1, 1, 0));
        assert_eq!((together.pods, together.nodes, together.eligible), (3, 2, 2));
        assert_eq!((admission.now.seconds, admission.now.nanoseconds), (-1, 250_000_000));
    }
}
