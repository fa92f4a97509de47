//! The pods that a run may hit, and those that it would if nothing stood against it.

use std::collections::BTreeMap;

use faultline_api::{Experiment, selector::PodPhase};

use super::{Exclusion, ExclusionCause, matching::matches};
use crate::{
    defaults::Defaults,
    inventory::{Container, Injectability, Inventory, Pod},
    ledger::Run,
};

/// What there is to select from, for one run.
#[derive(Debug, Default)]
pub(super) struct Pool<'a> {
    pub(super) matched: u32,
    /// By uid.
    pub(super) eligible: BTreeMap<&'a str, &'a Pod>,
    pub(super) exclusions: Vec<Exclusion>,
}

/// Pods by namespace, so that a thousand experiments do not each walk the whole fleet.
pub(super) struct Index<'a> {
    inventory: &'a Inventory,
    pods: BTreeMap<&'a str, Vec<&'a Pod>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(inventory: &'a Inventory) -> Self {
        let mut pods: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in &inventory.pods {
            pods.entry(&pod.namespace).or_default().push(pod);
        }
        Self { inventory, pods }
    }

    /// What `run` may select from.
    pub(super) fn pool(&self, run: &Run, defaults: &Defaults) -> Pool<'a> {
        let selector = &run.declared.selector;
        let namespaces: Vec<&String> = if selector.pods.is_empty() {
            selector.namespaces.iter().collect()
        } else {
            selector.pods.keys().collect()
        };
        let mut pool = Pool::default();
        let pods =
            self.pods.iter().filter(|(namespace, _)| namespaces.iter().any(|wanted| wanted == *namespace));
        for pod in pods.flat_map(|(_, pods)| pods).filter(|pod| matches(selector, pod, self.inventory)) {
            pool.matched += 1;
            match self.exclusion(pod, run, defaults) {
                None => _ = pool.eligible.insert(&pod.uid, pod),
                Some(cause) => pool.exclusions.push(Exclusion {
                    pod: format!("{}/{}", pod.namespace, pod.name),
                    node: pod.node.clone(),
                    cause,
                }),
            }
        }
        pool.exclusions.sort();
        pool
    }

    /// What stands against hitting the pod.
    fn exclusion(&self, pod: &Pod, run: &Run, defaults: &Defaults) -> Option<ExclusionCause> {
        if defaults.protected_namespaces.contains(&pod.namespace) {
            return Some(ExclusionCause::ProtectedNamespace);
        }
        if matches!(pod.phase, PodPhase::Succeeded | PodPhase::Failed) {
            return Some(ExclusionCause::Ended);
        }
        if containers(&run.declared, pod).next().is_none() {
            return Some(ExclusionCause::NoContainer);
        }
        if run.tightened.drop.contains(&pod.uid) {
            return Some(ExclusionCause::Dropped);
        }
        match injectability(self.inventory, pod, &run.declared) {
            Some(Injectability::No { reason }) => Some(ExclusionCause::NotInjectable(reason.clone())),
            Some(Injectability::Yes { .. }) | None => None,
        }
    }

    /// How the pod's node injects; `None`: no agent has said so yet.
    pub(super) fn mechanism(&self, pod: &Pod, experiment: &Experiment) -> Option<String> {
        match injectability(self.inventory, pod, experiment)? {
            Injectability::Yes { mechanism } => Some(mechanism.clone()),
            Injectability::No { .. } => None,
        }
    }
}

/// What the pod's node says of the fault; `None`: nothing yet.
fn injectability<'a>(
    inventory: &'a Inventory,
    pod: &Pod,
    experiment: &Experiment,
) -> Option<&'a Injectability> {
    inventory.nodes.get(&pod.node)?.kernel.as_ref()?.faults.get(&experiment.fault)
}

/// The containers that are hit: the named ones, or the first.
pub(super) fn containers<'a>(
    experiment: &'a Experiment,
    pod: &'a Pod,
) -> impl Iterator<Item = &'a Container> {
    let names = &experiment.container_names;
    let (first, rest) = if names.is_empty() { (1, 0) } else { (0, usize::MAX) };
    let named = pod.containers.iter().filter(move |container| names.contains(&container.name));
    pod.containers.iter().take(first).chain(named.take(rest))
}
