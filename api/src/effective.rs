//! What an experiment comes to where its document says nothing.

use serde::Serialize;
use serde_json::Value as Json;

use crate::Experiment;

/// The value of a field that the document leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EffectiveValue {
    /// Path of the field, such as `spec.failKernRequest.probability`.
    pub field: &'static str,
    /// What holds.
    pub value: String,
    /// Why.
    pub why: &'static str,
}

/// Every field of `raw`, the document that `experiment` was decoded from, that has a value without being written.
#[must_use]
pub fn effective_values(experiment: &Experiment, raw: &Json) -> Vec<EffectiveValue> {
    let target = experiment.fault.target_function();
    let namespaces = experiment.selector.namespaces.join(", ");
    let names_no_pods = experiment.selector.pods.is_empty();
    let own = if names_no_pods { "the experiment's own, as in Chaos Mesh" } else { "those of `pods`" };
    let candidates = [
        ("metadata.namespace", experiment.id.namespace.clone(), "Kubernetes' default"),
        ("spec.selector.namespaces", namespaces, own),
        ("spec.containerNames", "each pod's first container".into(), "as in Chaos Mesh"),
        ("spec.duration", "none".into(), "the document sets no end"),
        ("spec.failKernRequest.callchain", format!("every call of {target}"), "no frame restricts it"),
        (
            "spec.failKernRequest.probability",
            format!("{} percent", experiment.probability.get()),
            "the default",
        ),
        ("spec.failKernRequest.times", "unlimited".into(), "0 and nothing are no limit"),
    ];
    let left_out = candidates.into_iter().filter(|(field, ..)| is_left_out(raw, field));
    left_out.map(|(field, value, why)| EffectiveValue { field, value, why }).collect()
}

/// Whether nothing is written at the path, or what the API takes for nothing. A probability of 0 is not nothing.
fn is_left_out(raw: &Json, field: &str) -> bool {
    match field.split('.').try_fold(raw, |value, key| value.get(key)) {
        None | Some(Json::Null) => true,
        Some(Json::Array(items)) => items.is_empty(),
        Some(Json::Number(number)) => field.ends_with(".times") && number.as_u64() == Some(0),
        Some(Json::Bool(_) | Json::String(_) | Json::Object(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, decode};

    fn shown(yaml: &str) -> Vec<(&'static str, String)> {
        let file = decode(yaml);
        let Content::Experiment(experiment) = &file.documents[0].content else {
            panic!("{:?}", file.diagnostics);
        };
        let values = effective_values(experiment, &file.documents[0].raw);
        values.into_iter().map(|value| (value.field, value.value)).collect()
    }

    const HEAD: &str = "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\n";

    #[test]
    fn what_is_left_out_is_shown_with_the_value_it_has() {
        let text = format!(
            "{HEAD}metadata: {{ name: a }}\nspec:\n  mode: one\n  selector: {{ pods: {{ web: [b] }} }}\n  \
             failKernRequest: {{ failtype: 1, times: 0 }}\n"
        );
        let expected = [
            ("metadata.namespace", "default"),
            ("spec.selector.namespaces", "web"),
            ("spec.containerNames", "each pod's first container"),
            ("spec.duration", "none"),
            ("spec.failKernRequest.callchain", "every call of should_fail_alloc_page"),
            ("spec.failKernRequest.probability", "100 percent"),
            ("spec.failKernRequest.times", "unlimited"),
        ];
        assert_eq!(shown(&text), expected.map(|(field, value)| (field, value.to_owned())));
    }

    #[test]
    fn what_is_written_is_not_repeated() {
        let text = format!(
            "{HEAD}metadata: {{ name: a, namespace: b }}\nspec:\n  mode: one\n  duration: 1m\n  containerNames: [c]\n  \
             selector: {{ namespaces: [d] }}\n  failKernRequest:\n    failtype: 0\n    probability: 0\n    times: 1\n    \
             callchain: [{{ funcname: f }}]\n"
        );
        assert_eq!(shown(&text), []);
    }
}
