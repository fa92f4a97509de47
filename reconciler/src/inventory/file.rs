//! An inventory that somebody wrote or exported.

use std::{fs::File, io::Read, path::Path, sync::Arc};

use faultline_core::inventory::Inventory;

use super::InventoryError;

/// About a hundred thousand pods, as JSON.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a file of an inventory's shape. JSON is YAML, so one parser reads both; unknown fields are errors.
pub(super) fn read(path: &Path) -> Result<Inventory, InventoryError> {
    parse(path, &text(path)?)
}

/// What the file said last: one that says the same again is not parsed again.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Option<(String, Arc<Inventory>)>);

impl Known {
    /// What the file says now.
    pub(super) fn read(&mut self, path: &Path) -> Result<Arc<Inventory>, InventoryError> {
        let text = text(path)?;
        if let Some((known, inventory)) = &self.0
            && *known == text
        {
            return Ok(Arc::clone(inventory));
        }
        let inventory = Arc::new(parse(path, &text)?);
        self.0 = Some((text, Arc::clone(&inventory)));
        Ok(inventory)
    }
}

fn text(path: &Path) -> Result<String, InventoryError> {
    let name = || path.display().to_string();
    let failed = |reason| InventoryError::Read { path: name(), reason };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(InventoryError::TooLarge { path: name(), limit: MAX_BYTES });
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Inventory, InventoryError> {
    let invalid = |detail| InventoryError::Invalid { path: path.display().to_string(), detail };
    let mut inventory: Inventory = decode(text).map_err(invalid)?;
    // Selection must not depend on the order in which somebody wrote the pods down.
    inventory.pods.sort_by(|a, b| (&a.namespace, &a.name, &a.uid).cmp(&(&b.namespace, &b.name, &b.uid)));
    Ok(inventory)
}

fn decode(text: &str) -> Result<Inventory, String> {
    if text.trim_start().starts_with('{') {
        // The JSON parser is many times faster, and exported inventories are large.
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }
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
- {namespace: b, name: p, uid: u2, node: n1, phase: Running, containers: [{name: main}]}
- namespace: a
  name: p
  uid: u1
  node: n1
  phase: Running
  containers: [{name: main, cgroup: demo/a/p/main}]
";

    fn read_text(text: &str) -> Result<Inventory, InventoryError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn yaml_and_the_json_that_is_exported_are_read_alike_and_sorted() {
        let inventory = read_text(YAML).unwrap();
        assert_eq!(inventory.pods.iter().map(|pod| pod.uid.as_str()).collect::<Vec<_>>(), ["u1", "u2"]);
        assert_eq!(inventory.nodes["n1"].kernel.as_ref().unwrap().faults.len(), 2);
        assert_eq!(read_text(&serde_json::to_string(&inventory).unwrap()).unwrap(), inventory);
        assert_eq!(read_text(&serde_saphyr::to_string(&inventory).unwrap()).unwrap(), inventory);
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
    fn an_unknown_field_is_an_error_that_names_it() {
        for text in [YAML.replace("uid: u1", "uuid: u1"), YAML.replace("pods:", "podz:")] {
            let error = read_text(&text).unwrap_err().to_string();
            assert!(error.contains("uuid") || error.contains("podz"), "{error}");
        }
    }

    #[test]
    fn an_inventory_without_a_date_is_refused() {
        let error = read_text("pods: []\n").unwrap_err().to_string();
        assert!(error.contains("observedAt"), "{error}");
    }
}
