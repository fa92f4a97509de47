//! Documents as users write them.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use crate::{
    digest::sha256,
    tree::{Fetched, Role, SourceRef, Tree},
};

/// A `KernelChaos` with the fields that tests vary. The others are as in the documentation's example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `metadata.namespace`, which is the selector's too.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.mode`.
    pub mode: &'static str,
    /// `spec.value`.
    pub value: Option<u32>,
    /// `spec.duration`.
    pub duration: Option<String>,
    /// `failtype`.
    pub failtype: u8,
    /// `callchain`.
    pub chain: Vec<&'static str>,
    /// `probability`.
    pub probability: Option<u8>,
    /// `times`.
    pub times: Option<u64>,
    /// `labelSelectors`.
    pub labels: BTreeMap<String, String>,
    /// `faultline.dev/rerun`.
    pub rerun: Option<String>,
    /// `faultline.dev/replace`.
    pub replace: Option<u32>,
}

impl Document {
    /// Slab faults under `__x64_sys_mount`, in one pod of the namespace `app`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            namespace: "app".to_owned(),
            name: name.to_owned(),
            mode: "one",
            value: None,
            duration: None,
            failtype: 0,
            chain: vec!["__x64_sys_mount"],
            probability: None,
            times: None,
            labels: BTreeMap::new(),
            rerun: None,
            replace: None,
        }
    }

    /// With another mode.
    #[must_use]
    pub fn mode(self, mode: &'static str, value: Option<u32>) -> Self {
        Self { mode, value, ..self }
    }

    /// As YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        let Self { namespace, name, mode, failtype, .. } = self;
        let mut yaml = format!(
            "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
        );
        self.annotations(&mut yaml);
        let mut line = |text: String| yaml.push_str(&(text + "\n"));
        line(format!("spec:\n  mode: {mode}"));
        self.value.into_iter().for_each(|value| line(format!("  value: '{value}'")));
        self.duration.iter().for_each(|duration| line(format!("  duration: {duration}")));
        line(format!("  selector:\n    namespaces: [{namespace}]"));
        if !self.labels.is_empty() {
            line("    labelSelectors:".to_owned());
            self.labels.iter().for_each(|(key, value)| line(format!("      {key}: '{value}'")));
        }
        line(format!("  failKernRequest:\n    failtype: {failtype}"));
        self.probability.into_iter().for_each(|percent| line(format!("    probability: {percent}")));
        self.times.into_iter().for_each(|times| line(format!("    times: {times}")));
        if !self.chain.is_empty() {
            line("    callchain:".to_owned());
            self.chain.iter().for_each(|frame| line(format!("      - funcname: {frame}")));
        }
        yaml
    }

    fn annotations(&self, yaml: &mut String) {
        if self.rerun.is_none() && self.replace.is_none() {
            return;
        }
        yaml.push_str("  annotations:\n");
        for (key, value) in [("rerun", self.rerun.clone()), ("replace", self.replace.map(|n| n.to_string()))]
        {
            if let Some(value) = value {
                let _infallible = writeln!(yaml, "    faultline.dev/{key}: '{value}'");
            }
        }
    }
}

/// A `Guardrail` whose module is `modules/<name>`, with more lines for its spec.
#[must_use]
pub fn guardrail(name: &str, spec: &str) -> String {
    let mut yaml = format!(
        "apiVersion: faultline.dev/v1alpha1\nkind: Guardrail\nmetadata:\n  name: {name}\nspec:\n  module:\n    \
         path: modules/{name}\n"
    );
    spec.lines().for_each(|line| yaml.push_str(&format!("  {line}\n")));
    yaml
}

/// A source that was just read.
#[must_use]
pub fn source(name: &str, role: Role, files: &[(String, String)]) -> Fetched {
    Fetched::Fresh(Arc::new(tree(name, role, files)))
}

/// What a source holds.
#[must_use]
pub fn tree(name: &str, role: Role, files: &[(String, String)]) -> Tree {
    let files: BTreeMap<String, Arc<[u8]>> =
        files.iter().map(|(path, text)| (path.clone(), Arc::from(text.as_bytes()))).collect();
    let content: Vec<u8> = files.iter().flat_map(|(path, bytes)| [path.as_bytes(), bytes].concat()).collect();
    let revision = sha256(&content);
    Tree { source: SourceRef { name: name.to_owned(), role, revision }, files, refused: BTreeMap::new() }
}
