//! What no inventory can mean, though it has the shape of one.

use std::collections::BTreeMap;

use faultline_api::selector::PodPhase;
use faultline_core::inventory::{Container, Inventory, Pod};
use faultline_wire::limits::MAX_NAME_BYTES;

use super::problems::Trail;

/// What is wrong with the values of `inventory`, each with its way there.
pub(super) fn problems(inventory: &Inventory) -> Vec<(Trail, String)> {
    let mut check = Check::default();
    for (kind, name) in inventory
        .nodes
        .keys()
        .map(|name| ("nodes", name))
        .chain(inventory.namespaces.keys().map(|name| ("namespaces", name)))
    {
        check.name(&Trail::default().field(kind).field(name), name);
    }
    let pods = Trail::default().field("pods");
    for (index, pod) in inventory.pods.iter().enumerate() {
        check.pod(&pods.item(index), index, pod);
    }
    check.found
}

/// Pods whose node is not listed. That is no error: an agent that connects makes its node known.
pub(super) fn unlisted_nodes(inventory: &Inventory) -> impl Iterator<Item = &Pod> {
    inventory
        .pods
        .iter()
        .filter(|pod| !inventory.nodes.is_empty() && !inventory.nodes.contains_key(&pod.node))
}

#[derive(Default)]
struct Check<'i> {
    found: Vec<(Trail, String)>,
    uids: BTreeMap<&'i str, usize>,
    names: BTreeMap<(&'i str, &'i str), usize>,
    /// By node and path.
    cgroups: BTreeMap<(&'i str, &'i str), Trail>,
}

impl<'i> Check<'i> {
    fn wrong(&mut self, at: &Trail, message: impl Into<String>) {
        self.found.push((at.clone(), message.into()));
    }

    /// As an agent takes names, and as they can be printed.
    fn name(&mut self, at: &Trail, name: &str) {
        if name.is_empty() {
            self.wrong(at, "it is empty: give it a name");
        } else if name.len() > MAX_NAME_BYTES {
            self.wrong(at, format!("it has {} bytes, and at most {MAX_NAME_BYTES} are taken", name.len()));
        } else if name.chars().any(char::is_control) {
            self.wrong(at, "it has a control character: remove it");
        }
    }

    fn pod(&mut self, at: &Trail, index: usize, pod: &'i Pod) {
        let fields =
            [("namespace", &pod.namespace), ("name", &pod.name), ("uid", &pod.uid), ("node", &pod.node)];
        for (field, name) in fields {
            self.name(&at.field(field), name);
        }
        if let Some(other) = self.uids.insert(&pod.uid, index) {
            let message = format!("pods[{other}] has the uid `{}` too: a uid is of one pod", pod.uid);
            self.wrong(&at.field("uid"), message);
        }
        if let Some(other) = self.names.insert((&pod.namespace, &pod.name), index) {
            let name = format!("{}/{}", pod.namespace, pod.name);
            let message = format!("pods[{other}] is called `{name}` too: list the one that is there now");
            self.wrong(&at.field("name"), message);
        }
        let mut seen = BTreeMap::new();
        for (number, container) in pod.containers.iter().enumerate() {
            let at = at.field("containers").item(number);
            if let Some(other) = seen.insert(container.name.as_str(), number) {
                let name = &container.name;
                let message = format!("containers[{other}] of this pod is called `{name}` too: rename one");
                self.wrong(&at.field("name"), message);
            }
            self.container(&at, pod, container);
        }
    }

    fn container(&mut self, at: &Trail, pod: &'i Pod, container: &'i Container) {
        self.name(&at.field("name"), &container.name);
        if let Some(id) = &container.id {
            self.name(&at.field("id"), id);
        }
        // A container that does not run has neither yet, or no more.
        let runs = matches!(pod.phase, PodPhase::Running | PodPhase::Unknown);
        match &container.cgroup {
            Some(cgroup) => self.cgroup(&at.field("cgroup"), &pod.node, cgroup),
            None if runs && container.id.is_none() => {
                self.wrong(at, "it has neither `id` nor `cgroup`: no agent could find it without one");
            }
            None => {}
        }
    }

    fn cgroup(&mut self, at: &Trail, node: &'i str, cgroup: &'i str) {
        if cgroup.split('/').any(|part| matches!(part, "" | "." | "..")) {
            let message = format!(
                "`{cgroup}` is not the path of a cgroup: write it as it is beneath the cgroup v2 mount, such as \
                 `shop/web/main`, with no slash in front and without empty parts, `.` and `..`"
            );
            return self.wrong(at, message);
        }
        self.name(at, cgroup);
        if let Some(other) = self.cgroups.insert((node, cgroup), at.clone()) {
            self.wrong(at, format!("{other} is `{cgroup}` on the same node too: each container has its own"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of an inventory whose pods are written as they are here.
    fn told(pods: &str) -> Vec<String> {
        let text = format!("observedAt: 2026-01-01T00:00:00Z\nnodes: {{ n1: {{}} }}\npods:\n{pods}");
        let inventory = serde_saphyr::from_str(&text).unwrap();
        problems(&inventory).into_iter().map(|(at, message)| format!("{at}: {message}")).collect()
    }

    fn pod(name: &str, uid: &str, containers: &str) -> String {
        format!(
            "- {{namespace: a, name: {name}, uid: {uid}, node: n1, phase: Running, containers: {containers}}}\n"
        )
    }

    #[test]
    fn what_is_there_twice_is_refused_with_the_place_of_the_other() {
        let main = |cgroup: &str| format!("[{{name: main, cgroup: {cgroup}}}]");
        assert_eq!(
            told(&(pod("p", "u", &main("x")) + &pod("p", "u", &main("x")))),
            [
                "pods[1].uid: pods[0] has the uid `u` too: a uid is of one pod",
                "pods[1].name: pods[0] is called `a/p` too: list the one that is there now",
                "pods[1].containers[0].cgroup: pods[0].containers[0].cgroup is `x` on the same node too: each \
                 container has its own",
            ]
        );
        assert_eq!(
            told(&pod("p", "u", "[{name: main, id: x}, {name: main, id: y}]")),
            ["pods[0].containers[1].name: containers[0] of this pod is called `main` too: rename one"]
        );
        let elsewhere = pod("q", "v", &main("x")).replace("n1", "n2");
        assert_eq!(told(&(pod("p", "u", &main("x")) + &elsewhere)), [""; 0]);
    }

    #[test]
    fn a_cgroup_is_a_path_beneath_the_mount_and_nothing_else() {
        for cgroup in ["''", ".", "..", "/", "/a", "a/", "a//b", "a/../b", "./a", "../../etc"] {
            let told = told(&pod("p", "u", &format!("[{{name: main, cgroup: {cgroup}}}]")));
            assert_eq!(told.len(), 1, "{cgroup}: {told:?}");
            assert!(told[0].starts_with("pods[0].containers[0].cgroup: "), "{told:?}");
        }
        for cgroup in ["a", "a/b.slice/c", "...", "a/..b"] {
            assert_eq!(told(&pod("p", "u", &format!("[{{name: main, cgroup: {cgroup}}}]"))), [""; 0]);
        }
    }

    #[test]
    fn a_container_that_runs_can_be_found_and_every_name_says_something() {
        let lost = told(&pod("p", "u", "[{name: main}]"));
        assert!(lost[0].starts_with("pods[0].containers[0]: it has neither"), "{lost:?}");
        let pending = pod("p", "u", "[{name: main}]").replace("Running", "Pending");
        assert_eq!(told(&pending), [""; 0]);
        let empty = told(&pod("''", "''", "[{name: '', id: ''}]"));
        assert_eq!(empty.len(), 4, "{empty:?}");
        assert_eq!(
            told(&pod("\"a\\nb\"", "u", "[]")),
            ["pods[0].name: it has a control character: remove it"]
        );
    }

    #[test]
    fn a_node_that_is_not_listed_is_told_only_where_there_is_a_list() {
        let inventory = |nodes: &str| -> Inventory {
            let pods = pod("p", "u", "[{name: main, id: x}]");
            serde_saphyr::from_str(&format!("observedAt: 2026-01-01T00:00:00Z\n{nodes}pods:\n{pods}"))
                .unwrap()
        };
        assert_eq!(unlisted_nodes(&inventory("")).count(), 0);
        assert_eq!(unlisted_nodes(&inventory("nodes: { n1: {} }\n")).count(), 0);
        assert_eq!(unlisted_nodes(&inventory("nodes: { n2: {} }\n")).count(), 1);
    }
}
