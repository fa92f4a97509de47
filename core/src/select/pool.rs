//! The pods that a run may hit, and those that it would if nothing stood against it.

use std::collections::{BTreeMap, BTreeSet};

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

impl<'a> Pool<'a> {
    fn exclude(&mut self, pod: &Pod, cause: ExclusionCause) {
        let name = format!("{}/{}", pod.namespace, pod.name);
        self.exclusions.push(Exclusion { pod: name, node: pod.node.clone(), cause });
    }

    /// Excludes all that share a uid: a slot names its pod by that. Of each, `doubles` are all but the last.
    fn exclude_doubles(&mut self, mut doubles: Vec<&'a Pod>) {
        let uids: BTreeSet<&str> = doubles.iter().map(|pod| pod.uid.as_str()).collect();
        doubles.extend(uids.into_iter().filter_map(|uid| self.eligible.remove(uid)));
        for pod in doubles {
            self.exclude(pod, ExclusionCause::Ambiguous(format!("another pod has its uid `{}`", pod.uid)));
        }
    }
}

/// Pods by namespace, so that a thousand experiments do not each walk the whole fleet.
pub(crate) struct Index<'a> {
    inventory: &'a Inventory,
    pods: BTreeMap<&'a str, Vec<&'a Pod>>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(inventory: &'a Inventory) -> Self {
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
        let mut doubles: Vec<&Pod> = Vec::new();
        let pods =
            self.pods.iter().filter(|(namespace, _)| namespaces.iter().any(|wanted| wanted == *namespace));
        for pod in pods.flat_map(|(_, pods)| pods).filter(|pod| matches(selector, pod, self.inventory)) {
            pool.matched += 1;
            match self.exclusion(pod, run, defaults) {
                None => doubles.extend(pool.eligible.insert(&pod.uid, pod)),
                Some(cause) => pool.exclude(pod, cause),
            }
        }
        pool.exclude_doubles(doubles);
        pool.exclusions.sort();
        pool
    }

    /// The uids of the pods that `run` may select.
    pub(crate) fn eligible(&self, run: &Run, defaults: &Defaults) -> impl Iterator<Item = &'a str> + use<'a> {
        self.pool(run, defaults).eligible.into_keys()
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
        if let Some(name) = double_container(&run.declared, pod) {
            return Some(ExclusionCause::Ambiguous(format!("two of its containers are called `{name}`")));
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

/// A name that more than one of the containers has that would be hit.
fn double_container<'a>(experiment: &'a Experiment, pod: &'a Pod) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    containers(experiment, pod).map(|container| container.name.as_str()).find(|name| !seen.insert(*name))
}
