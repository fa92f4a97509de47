//! How much runs hit, one by one and together.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::SelectedTarget;

/// How much is hit; what several runs hit counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// Pods.
    pub pods: u32,
    /// Nodes that the pods are on.
    pub nodes: u32,
    /// Of the pods, those that the run in question could have selected.
    pub eligible: u32,
}

/// All that the admitted runs hit.
#[derive(Clone, Debug, Default)]
pub struct Hit {
    /// By uid.
    pods: BTreeSet<String>,
    nodes: BTreeSet<String>,
}

impl Hit {
    /// Adds a pod.
    pub fn add(&mut self, node: &str, pod_uid: &str) {
        if !self.pods.contains(pod_uid) {
            self.pods.insert(pod_uid.to_owned());
        }
        if !self.nodes.contains(node) {
            self.nodes.insert(node.to_owned());
        }
    }

    /// How much is hit without `targets`, and with them. `eligible` are the uids of the pods that the run of `targets`
    /// could have selected.
    #[must_use]
    pub fn reach<'e>(
        &self,
        targets: &[SelectedTarget],
        eligible: impl Iterator<Item = &'e str>,
    ) -> (Reach, Reach) {
        let pods: BTreeSet<&str> = targets.iter().map(|selected| selected.target.uid.as_str()).collect();
        let nodes: BTreeSet<&str> = targets.iter().map(|selected| selected.node.as_str()).collect();
        let (mut hit, mut or_selected) = (0, 0);
        for uid in eligible {
            let is_hit = self.pods.contains(uid);
            hit += usize::from(is_hit);
            or_selected += usize::from(is_hit || pods.contains(uid));
        }
        let more = |ours: &BTreeSet<&str>, theirs: &BTreeSet<String>| {
            theirs.len() + ours.iter().filter(|ours| !theirs.contains(**ours)).count()
        };
        let others = reach(self.pods.len(), self.nodes.len(), hit);
        (others, reach(more(&pods, &self.pods), more(&nodes, &self.nodes), or_selected))
    }
}

fn reach(pods: usize, nodes: usize, eligible: usize) -> Reach {
    let count = |len| u32::try_from(len).unwrap_or(u32::MAX);
    Reach { pods: count(pods), nodes: count(nodes), eligible: count(eligible) }
}
