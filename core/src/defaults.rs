//! What holds where nobody has said otherwise. Each default is switched off explicitly, by its field.

use std::collections::BTreeSet;

use faultline_api::GoDuration;

/// The namespace that Faultline's own manifests use.
pub const OWN_NAMESPACE: &str = "faultline-system";

/// Defaults that hold with no guardrail at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// How long a run lasts whose experiment gives no duration; `None`: until the experiment is removed.
    pub duration: Option<GoDuration>,
    /// Namespaces whose pods are never targets.
    pub protected_namespaces: BTreeSet<String>,
    /// Whether an empty call chain, which is every hit of the target function, is refused.
    pub refuse_empty_call_chain: bool,
    /// Whether page faults are refused that have neither `times` nor a probability below 100: they can spin a
    /// target until its deadline.
    pub refuse_unbounded_page_faults: bool,
    /// Free text that guardrails are told, such as `production`.
    pub environment: String,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            duration: Some(GoDuration::from_secs(3600)),
            protected_namespaces: ["kube-system", OWN_NAMESPACE].map(str::to_owned).into(),
            refuse_empty_call_chain: true,
            refuse_unbounded_page_faults: true,
            environment: String::new(),
        }
    }
}
