//! Which pods a selector means.

use std::collections::BTreeMap;

use faultline_api::{Selector, selector::PodPhase};

use crate::inventory::{Inventory, Pod};

/// Whether every field of the selector holds for the pod.
pub(super) fn matches(selector: &Selector, pod: &Pod, inventory: &Inventory) -> bool {
    is_named(selector, pod)
        && (selector.nodes.is_empty() || selector.nodes.contains(&pod.node))
        && on_such_a_node(&selector.node_selectors, pod, inventory)
        && selector.field_selectors.iter().all(|(field, value)| has_field(pod, field, value))
        && has_all(&pod.labels, &selector.label_selectors)
        && selector.expression_selectors.iter().all(|requirement| requirement.holds_for(&pod.labels))
        && has_all(&pod.annotations, &selector.annotation_selectors)
        && (selector.pod_phase_selectors.is_empty() || selector.pod_phase_selectors.contains(&pod.phase))
}

/// Pods that are named are meant wherever they are; otherwise the namespaces say where to look.
fn is_named(selector: &Selector, pod: &Pod) -> bool {
    if selector.pods.is_empty() {
        return selector.namespaces.contains(&pod.namespace);
    }
    selector.pods.get(&pod.namespace).is_some_and(|names| names.contains(&pod.name))
}

fn on_such_a_node(wanted: &BTreeMap<String, String>, pod: &Pod, inventory: &Inventory) -> bool {
    wanted.is_empty() || inventory.nodes.get(&pod.node).is_some_and(|node| has_all(&node.labels, wanted))
}

fn has_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A field that the inventory does not have holds for no pod: the smaller selection is the safe one.
fn has_field(pod: &Pod, field: &str, value: &str) -> bool {
    match field {
        "metadata.name" => pod.name == value,
        "metadata.namespace" => pod.namespace == value,
        "spec.nodeName" => pod.node == value,
        "status.phase" => phase(pod.phase) == value,
        _ => false,
    }
}

const fn phase(phase: PodPhase) -> &'static str {
    match phase {
        PodPhase::Pending => "Pending",
        PodPhase::Running => "Running",
        PodPhase::Succeeded => "Succeeded",
        PodPhase::Failed => "Failed",
        PodPhase::Unknown => "Unknown",
    }
}
