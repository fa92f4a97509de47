//! What the tests of the host share.

use faultline_api::{
    CallChain, Experiment, ExperimentId, Fault, Frame, Kind, Mode, Percent, Selector, experiment::Annotations,
};
use faultline_core::{
    desired::Target,
    ledger::{Activation, RunKey},
    review::{Active, Admission, Operation, Reach, Review, SelectedTarget, SourceFacts},
};
use faultline_policies::{Host, HostConfig, Ticks};

/// The shipped caps.
pub(crate) const CAP_LIMITS: &[u8] = include_bytes!("../../modules/cap_limits.wasm");
/// The guest that denies everything.
pub(crate) const DENY_ALL: &[u8] = include_bytes!("../../modules/deny_all.wasm");

/// A host in which no wall-clock time passes.
pub(crate) fn host() -> Host {
    host_with_fuel(HostConfig::default().fuel)
}

/// The same, with another bound.
pub(crate) fn host_with_fuel(fuel: u64) -> Host {
    Host::new(HostConfig { fuel, ticks: Ticks::ByHand, ..HostConfig::default() }).unwrap()
}

/// Slab allocations of mount(2) in one pod, with no limit on anything.
pub(crate) fn experiment() -> Experiment {
    Experiment {
        id: ExperimentId { kind: Kind::KernelChaos, namespace: "prod-api".into(), name: "mount".into() },
        labels: [("team".to_owned(), "storage".to_owned())].into(),
        annotations: Annotations { owner: Some("storage".into()), ..Annotations::default() },
        mode: Mode::One,
        selector: Selector { namespaces: vec!["prod-api".into()], ..Selector::default() },
        container_names: vec![],
        duration: None,
        fault: Fault::Slab,
        call_chain: CallChain {
            frames: vec![Frame { function: "__x64_sys_mount".into(), predicate: None }],
            target: None,
        },
        probability: Percent::ALL,
        times: None,
    }
}

/// The question at the first moment.
pub(crate) fn review(experiment: Experiment) -> Review {
    Review {
        experiment,
        raw: serde_json::json!({ "kind": "KernelChaos", "spec": { "mode": "one" } }),
        operation: Operation::Create,
        source: SourceFacts {
            name: "team".into(),
            revision: "main@sha1:0123".into(),
            author: None,
            verified: true,
        },
        admission: None,
    }
}

/// The question at the second moment.
pub(crate) fn admitted(experiment: Experiment) -> Review {
    let target = |pod: &str, container: &str| SelectedTarget {
        node: "node-1".into(),
        target: Target {
            namespace: "prod-api".into(),
            pod: pod.into(),
            uid: format!("uid-{pod}"),
            container: container.into(),
            container_id: None,
            cgroup: None,
        },
        labels: [("app".to_owned(), "api".to_owned())].into(),
    };
    let run = RunKey { experiment: experiment.id.clone(), activation: Activation(2) };
    let admission = Admission {
        now: "2026-11-22T11:00:00.5Z".parse::<jiff::Timestamp>().unwrap(),
        environment: "production".into(),
        targets: vec![target("a", "main"), target("a", "side"), target("b", "main")],
        eligible: 7,
        others: Reach { pods: 1, nodes: 1, eligible: 0 },
        together: Reach { pods: 3, nodes: 2, eligible: 2 },
        active: vec![Active { run, targets: vec![("node-2".into(), "prod-api".into(), "uid-c".into())] }],
    };
    Review { admission: Some(admission), ..review(experiment) }
}
