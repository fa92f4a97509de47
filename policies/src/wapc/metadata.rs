//! What `kwctl annotate` notes of a policy in a custom section of its module.

use std::collections::BTreeMap;

use faultline_core::review::Undecided;
use serde::Deserialize;
use wasmparser::{Parser, Payload};

/// The section, which holds JSON.
const SECTION: &str = "io.kubewarden.metadata";
/// Bytes of a name or a version, which become labels of metrics.
const NAME_BYTES: usize = 128;

/// Who a policy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// `unnamed` where nothing is noted.
    pub(super) name: String,
    /// `unknown` where nothing is noted.
    pub(super) version: String,
}

/// As it is noted, as far as it matters here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Noted {
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    policy_type: Option<String>,
    #[serde(default)]
    context_aware_resources: Vec<serde_json::Value>,
}

impl Metadata {
    /// Reads the section; a module without one is a policy all the same.
    ///
    /// # Errors
    /// The section cannot be read, or the policy needs what is not given here: the state of a cluster, or questions of
    /// its own form.
    pub(super) fn of(module: &[u8]) -> Result<Self, Undecided> {
        let Noted { annotations, policy_type, context_aware_resources } = match section(module)? {
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|error| refused(format!("its section {SECTION} cannot be read: {error}")))?,
            None => Noted::default(),
        };
        if policy_type.is_some_and(|of| of != "kubernetes") {
            return Err(refused("its metadata says that it does not judge Kubernetes objects"));
        }
        if !context_aware_resources.is_empty() {
            return Err(refused(
                "its metadata says that it reads resources of a cluster: there is none here",
            ));
        }
        let annotations = annotations.unwrap_or_default();
        let noted = |key: &str, otherwise: &str| match annotations.get(key) {
            Some(text) if is_name(text) => text.clone(),
            Some(_) | None => otherwise.to_owned(),
        };
        let name = noted("io.kubewarden.policy.title", "unnamed");
        Ok(Self { name, version: noted("io.kubewarden.policy.version", "unknown") })
    }
}

/// The first section of that name.
fn section(module: &[u8]) -> Result<Option<&[u8]>, Undecided> {
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(|error| refused(error.to_string()))? {
            Payload::CustomSection(section) if section.name() == SECTION => return Ok(Some(section.data())),
            _ => {}
        }
    }
    Ok(None)
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= NAME_BYTES && !text.contains(char::is_control)
}

fn refused(why: impl Into<String>) -> Undecided {
    Undecided::RefusedModule(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<(String, String), String> {
        let text = format!("(module (@custom {SECTION:?} {json:?}))");
        let metadata = Metadata::of(&wat::parse_str(text).unwrap());
        metadata.map(|Metadata { name, version }| (name, version)).map_err(|why| why.to_string())
    }

    #[test]
    fn a_policy_is_named_by_its_annotations() {
        let unnamed = Ok(("unnamed".to_owned(), "unknown".to_owned()));
        assert_eq!(of("{}"), unnamed);
        assert_eq!(
            of(r#"{"annotations":null,"contextAwareResources":[],"policyType":"kubernetes"}"#),
            unnamed
        );
        let noted = r#"{"protocolVersion":"v1","rules":[],"mutating":true,"executionMode":"kubewarden-wapc",
            "annotations":{"io.kubewarden.policy.title":"caps","io.kubewarden.policy.version":"1.2.3"}}"#;
        assert_eq!(of(noted), Ok(("caps".to_owned(), "1.2.3".to_owned())));
        assert_eq!(of(r#"{"annotations":{"io.kubewarden.policy.title":"a\u001b"}}"#), unnamed);
        let bare = Metadata::of(&wat::parse_str("(module)").unwrap());
        assert_eq!(bare.map(|metadata| metadata.name), Ok("unnamed".to_owned()));
    }

    #[test]
    fn a_policy_that_needs_what_is_not_here_is_refused() {
        for (json, part) in [
            (
                r#"{"contextAwareResources":[{"apiVersion":"v1","kind":"Namespace"}]}"#,
                "resources of a cluster",
            ),
            (r#"{"policyType":"raw"}"#, "does not judge Kubernetes objects"),
            ("no JSON", "cannot be read"),
        ] {
            let why = of(json).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }
}
