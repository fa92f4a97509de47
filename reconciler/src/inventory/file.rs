//! An inventory that somebody wrote or exported.

use std::{fs::File, path::Path, sync::Arc};

use faultline_api::{LineColumn, line_col};
use faultline_core::inventory::Inventory;

use super::{
    InventoryError,
    problems::{Invalid, Problem},
    sense,
    shape::Places,
};
use crate::bounded::read_at_most;

/// About a hundred thousand pods, as JSON.
const MAX_BYTES: u64 = 64 << 20;

/// What a file of an inventory's shape said last, right or wrong: one that says the same again is not parsed again. JSON
/// is YAML, so both are read; unknown fields are errors.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Option<(String, Result<Arc<Inventory>, Invalid>)>);

impl Known {
    /// What the file says now.
    pub(super) fn read(&mut self, path: &Path) -> Result<Arc<Inventory>, InventoryError> {
        let text = text(path)?;
        let parsed = match self.0.take() {
            Some((known, parsed)) if known == text => parsed,
            _ => parse(path, &text).map(Arc::new),
        };
        let (_, parsed) = self.0.insert((text, parsed));
        Ok(parsed.clone()?)
    }
}

fn text(path: &Path) -> Result<String, InventoryError> {
    let name = || path.display().to_string();
    let failed = |reason| InventoryError::Read { path: name(), reason };
    let bytes = File::open(path).and_then(|file| read_at_most(file, MAX_BYTES)).map_err(failed)?;
    let too_large = || InventoryError::TooLarge { path: name(), limit: MAX_BYTES };
    let bytes = bytes.ok_or_else(too_large)?;
    String::from_utf8(bytes).map_err(|error| {
        let place = line_col(error.as_bytes(), error.utf8_error().valid_up_to());
        Invalid {
            path: name(),
            problems: vec![whole(Some(place), "it is not UTF-8 from here on".to_owned())],
        }
        .into()
    })
}

fn parse(path: &Path, text: &str) -> Result<Inventory, Invalid> {
    // The JSON parser is many times faster, and exported inventories are large.
    let is_json = text.trim_start().starts_with('{');
    let places = || Places::of(text, is_json);
    let invalid = |problems| Invalid { path: path.display().to_string(), problems };
    let decoded = if is_json { from_json(text) } else { from_yaml(text) };
    let mut inventory = decoded.map_err(|undecoded| {
        let found = places().map(|places| places.misshapen()).filter(|found| !found.is_empty());
        invalid(found.unwrap_or_else(|| vec![undecoded]))
    })?;
    let wrong = sense::problems(&inventory);
    if !wrong.is_empty() {
        let places = places();
        let located = wrong.into_iter().map(|(at, message)| match &places {
            Some(places) => places.problem(&at, message),
            None => Problem { subject: at.to_string(), ..whole(None, message) },
        });
        return Err(invalid(located.collect()));
    }
    warn_of_unlisted_nodes(&inventory);
    // Selection must not depend on the order in which somebody wrote the pods down.
    inventory.pods.sort_by(|a, b| (&a.namespace, &a.name, &a.uid).cmp(&(&b.namespace, &b.name, &b.uid)));
    Ok(inventory)
}

fn warn_of_unlisted_nodes(inventory: &Inventory) {
    let mut pods = sense::unlisted_nodes(inventory);
    if let Some(pod) = pods.next() {
        let count = 1 + pods.count();
        let first = format!("{}/{} on {}", pod.namespace, pod.name, pod.node);
        tracing::warn!(
            count,
            first,
            "pods on nodes that the inventory does not list: they wait for its agent"
        );
    }
}

fn from_json(text: &str) -> Result<Inventory, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let place = place(error.line() as u64, error.column() as u64);
        let told = error.to_string();
        let reason = told.rsplit_once(" at line ").map_or(told.as_str(), |(reason, _)| reason);
        whole(place, format!("it begins as JSON, and is not an inventory in JSON: {reason}"))
    })
}

fn from_yaml(text: &str) -> Result<Inventory, Problem> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().and_then(|at| place(at.line(), at.column()));
        let told = error.without_snippet().to_string();
        let reason = told.lines().next().unwrap_or_default();
        whole(place, format!("it is not an inventory in YAML: {reason}"))
    })
}

fn place(line: u64, column: u64) -> Option<LineColumn> {
    Some(LineColumn { line: u32::try_from(line).ok()?, column: u32::try_from(column).ok()? })
}

/// A problem of the file as a whole.
const fn whole(place: Option<LineColumn>, message: String) -> Problem {
    Problem { place, subject: String::new(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
observedAt: 2026-03-01T12:00:00Z
nodes:
  n1:
    labels: {zone: a}
    kernel:
      release: 6.1.0
      machine: x86_64
      faults:
        slab: {injectable: yes, mechanism: fmod_ret}
        bio: {injectable: no, reason: should_fail_bio is a .constprop clone}
pods:
- {namespace: b, name: p, uid: u2, node: n1, phase: Running, containers: [{name: main, id: 'containerd://1'}]}
- namespace: a
  name: p
  uid: u1
  node: n1
  phase: Running
  containers: [{name: main, cgroup: demo/a/p/main}]
";

    fn read(path: &Path) -> Result<Arc<Inventory>, InventoryError> {
        Known::default().read(path)
    }

    fn read_text(text: &str) -> Result<Arc<Inventory>, InventoryError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn yaml_and_the_json_that_is_exported_are_read_alike_and_sorted() {
        let inventory = read_text(YAML).unwrap();
        assert_eq!(inventory.pods.iter().map(|pod| pod.uid.as_str()).collect::<Vec<_>>(), ["u1", "u2"]);
        assert_eq!(inventory.nodes["n1"].kernel.as_ref().unwrap().faults.len(), 2);
        assert_eq!(read_text(&serde_json::to_string(&*inventory).unwrap()).unwrap(), inventory);
        assert_eq!(read_text(&serde_saphyr::to_string(&*inventory).unwrap()).unwrap(), inventory);
    }

    #[test]
    fn a_file_is_parsed_again_when_it_says_something_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut known = Known::default();
        let mut write_and_read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            known.read(file.path())
        };
        let first = write_and_read(YAML).unwrap();
        assert!(Arc::ptr_eq(&first, &write_and_read(YAML).unwrap()));
        assert_eq!(write_and_read(&YAML.replace("uid: u1", "uid: u3")).unwrap().pods[0].uid, "u3");
        assert!(write_and_read("pods").is_err());
        assert_eq!(write_and_read(YAML).unwrap(), first);
    }

    #[test]
    fn what_a_node_reports_beside_its_verdicts_may_be_given_too() {
        let remarks = "      obstacles: [no bpf file system]\n      untried: {bio: no block device}\n      caveats: [one]\n";
        let text = YAML.replace("pods:\n", &format!("{remarks}pods:\n"));
        let inventory = read_text(&text).unwrap();
        let kernel = inventory.nodes["n1"].kernel.as_ref().unwrap();
        assert_eq!((kernel.obstacles.len(), kernel.untried.len(), kernel.caveats.len()), (1, 1, 1));
        assert_eq!(told(&text.replace("[one]", "[]").replace("uid: u1", "uid: [u1]")).len(), 1);
    }

    /// What is told of the text in a file of that name, without the name.
    fn told(text: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("i.yaml");
        std::fs::write(&path, text).unwrap();
        let InventoryError::Invalid(invalid) = read(&path).unwrap_err() else { panic!("it was read") };
        let lines: Vec<_> = invalid.to_string().lines().map(str::to_owned).collect();
        let name = format!("  {}:", path.display());
        lines[1..].iter().map(|line| line.strip_prefix(&name).unwrap_or(line).to_owned()).collect()
    }

    #[test]
    fn every_field_that_is_wrong_is_named_with_its_place() {
        let text = YAML
            .replace("uid: u1", "uuid: u1")
            .replace("phase: Running\n", "phase: Runing\n")
            .replace("2026-03-01T12:00:00Z", "yesterday")
            .replace("bio:", "disk:")
            .replace("injectable: yes", "injectable: maybe")
            .replace("labels: {zone: a}", "labels: [zone]");
        assert_eq!(
            told(&text),
            [
                "2:13: observedAt: it has to be an instant, such as 2026-03-01T12:00:00Z",
                "5:13: nodes.n1.labels: it has to be a mapping of names",
                "10:28: nodes.n1.kernel.faults.slab.injectable: it has to be one of `yes`, `no`",
                "11:9: nodes.n1.kernel.faults.disk: there is no such field, only `slab`, `page`, `bio`",
                "14:3: pods[1]: the field `uid` is missing: it is a text",
                "16:3: pods[1].uuid: there is no such field, only `namespace`, `name`, `uid`, `node`, `labels`, \
                 `annotations`, `phase`, `containers`",
                "18:10: pods[1].phase: `Runing` is none of `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`",
            ]
        );
    }

    #[test]
    fn every_value_that_cannot_be_is_named_with_its_place() {
        let text = YAML.replace("uid: u1", "uid: u2").replace("demo/a/p/main", "../a");
        let found = told(&text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("16:8: pods[1].uid: pods[0] has the uid `u2` too"), "{found:?}");
        assert!(found[1].starts_with("19:37: pods[1].containers[0].cgroup: `../a` is not"), "{found:?}");
    }

    #[test]
    fn what_is_no_single_document_is_told_in_our_own_words() {
        assert_eq!(
            told("pods: []\n"),
            ["1:1: the field `observedAt` is missing: it is an instant, such as 2026-03-01T12:00:00Z"]
        );
        assert_eq!(told(""), [" there is nothing in it: an inventory has `observedAt` and `pods`"]);
        assert!(told(&format!("{YAML}---\n{YAML}"))[0].contains("a second document begins here"));
        for broken in [format!("{YAML}pods: []\n"), format!("{YAML}  x: [\n"), "{a: 1}".to_owned()] {
            let found = told(&broken);
            let foreign = found.iter().any(|line| line.contains("<input>") || line.contains("Options"));
            assert!(!foreign && found[0].split(':').nth(1).unwrap().parse::<u32>().is_ok(), "{found:?}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("i.yaml");
        std::fs::write(&path, b"observedAt: \xff").unwrap();
        let error = read(&path).unwrap_err();
        assert!(matches!(error, InventoryError::Invalid(_)), "{error}");
        assert!(error.to_string().ends_with("i.yaml:1:13: it is not UTF-8 from here on"), "{error}");
    }

    #[test]
    fn the_example_is_an_inventory() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/inventory.yaml");
        let inventory = read(&example).unwrap();
        assert_eq!((inventory.nodes.len(), inventory.pods.len()), (1, 2));
    }

    #[test]
    fn what_is_right_has_the_shape_that_is_described() {
        let inventory = read_text(YAML).unwrap();
        let json = serde_json::to_string(&*inventory).unwrap();
        for (text, strict) in [(YAML, false), (&json, true)] {
            assert_eq!(Places::of(text, strict).unwrap().misshapen(), []);
        }
    }
}
