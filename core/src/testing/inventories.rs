//! Nodes and pods.

use std::collections::BTreeMap;

use faultline_api::{Fault, selector::PodPhase};

use crate::inventory::{Container, Injectability, KernelReport, Node, Pod};

/// A node whose kernel can, or cannot, inject every fault.
#[must_use]
pub fn node(injectable: bool) -> Node {
    let verdict = if injectable {
        Injectability::Yes { mechanism: "fmod_ret".to_owned() }
    } else {
        Injectability::No { reason: "CONFIG_FUNCTION_ERROR_INJECTION is off".to_owned() }
    };
    let faults = Fault::ALL.into_iter().map(|fault| (fault, verdict.clone())).collect();
    let kernel = KernelReport {
        release: "6.12.0".to_owned(),
        machine: "x86_64".to_owned(),
        faults,
        ..KernelReport::default()
    };
    Node { labels: BTreeMap::new(), kernel: Some(kernel) }
}

/// A running pod with one container, `main`. Its uid is made of its namespace and name.
#[must_use]
pub fn pod(namespace: &str, name: &str, node: &str) -> Pod {
    Pod {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{namespace}-{name}"),
        node: node.to_owned(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        phase: PodPhase::Running,
        containers: vec![Container {
            name: "main".to_owned(),
            id: Some(format!("containerd://{namespace}-{name}")),
            cgroup: None,
        }],
    }
}

/// `count` pods of the namespace `app`, spread over the nodes `n0`, `n1` and `n2`.
#[must_use]
pub fn pods(count: usize) -> Vec<Pod> {
    (0..count).map(|number| pod("app", &format!("p{number}"), &format!("n{}", number % 3))).collect()
}
