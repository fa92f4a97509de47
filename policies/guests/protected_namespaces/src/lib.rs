//! Namespaces in which faults, or some of them, are forbidden.
//!
//! A document is denied where its selector may reach such a namespace, whether or not it has a pod there today; a
//! selection is denied where it has a target in one.

use std::collections::BTreeSet;

use faultline_guest::{
    Description, Failtype, Globs, Guardrail, Inputs, Moment, Object, Response, Review, faults, finding,
    guardrail, is_among, listed,
};

/// The guardrail.
struct ProtectedNamespaces;

/// Some namespaces and what is forbidden there.
struct Protection {
    namespaces: Globs,
    /// `None`: every fault.
    failtypes: Option<Vec<Failtype>>,
}

impl Guardrail for ProtectedNamespaces {
    /// At least one.
    type Settings = Vec<Protection>;

    fn describe() -> Description {
        Description {
            name: "protected_namespaces".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: ["selector", "targets"].map(str::to_owned).to_vec(),
            moments: vec![Moment::Judge, Moment::Admit],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<Vec<Protection>> {
        let protections = settings.objects("protected", protection);
        if protections.is_none() && settings.is_fine() {
            settings.problem("nothing is protected: give a list under protected");
        }
        protections
    }

    fn evaluate(protections: &Vec<Protection>, review: &Review) -> Result<Response, String> {
        let (rule, path, verb, namespaces) = match &review.admission {
            None => ("selector", "spec.selector", "may reach", selectable(review)),
            Some(admission) => {
                let targets = admission.targets.iter().map(|target| target.namespace.as_str());
                ("targets", "spec.selector", "are about to hit", targets.collect())
            }
        };
        let fault = &review.experiment.fault;
        let forbids = |protection: &&Protection| {
            protection.failtypes.as_ref().is_none_or(|failtypes| is_among(fault, failtypes))
        };
        let is_protected = |namespace: &&str| {
            protections.iter().filter(forbids).any(|protection| protection.namespaces.matches(namespace))
        };
        let reached: Vec<&str> = namespaces.into_iter().filter(is_protected).collect();
        if reached.is_empty() {
            return Ok(Response::allow());
        }
        let message =
            format!("{} {verb} namespaces that are protected from them: {}", faults(fault), listed(reached));
        Ok(Response::deny(vec![finding(rule, path, message)]))
    }
}

guardrail!(ProtectedNamespaces);

fn protection(fields: &mut Object<'_>) -> Option<Protection> {
    let namespaces = fields.namespaces("namespaces");
    let failtypes = fields.failtypes("failtypes");
    if namespaces.is_none() && fields.is_fine() {
        fields.problem("namespaces is missing");
    }
    Some(Protection { namespaces: namespaces?, failtypes })
}

/// Every namespace in which the selector may find a pod.
fn selectable(review: &Review) -> BTreeSet<&str> {
    let selector = &review.experiment.selector;
    let of_pods = selector.pods.iter().map(|(namespace, _)| namespace);
    selector.namespaces.iter().chain(of_pods).map(String::as_str).collect()
}
