//! Which guardrails are asked about what.

use std::collections::BTreeSet;

use faultline_api::{Experiment, Fault, guardrail::Match};

use super::glob::glob;
use crate::parse::{Binding, BoundGuardrail};

/// What a guardrail is matched against.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    /// Of the targets: those that may be selected, or those that are.
    pub(crate) namespaces: BTreeSet<&'a str>,
    pub(crate) fault: Fault,
    pub(crate) source: &'a str,
}

impl<'a> Subject<'a> {
    /// Before anything is selected: every namespace in which the selector may find a pod.
    pub(crate) fn of_document(experiment: &'a Experiment, source: &'a str) -> Self {
        let selector = &experiment.selector;
        let namespaces = selector.namespaces.iter().chain(selector.pods.keys()).map(String::as_str).collect();
        Self { namespaces, fault: experiment.fault, source }
    }
}

/// Whether a guardrail is asked. One that cannot be read is: it leaves undecided what it might have meant.
pub(crate) fn is_asked(bound: &BoundGuardrail, subject: &Subject<'_>) -> bool {
    match &bound.binding {
        Binding::Bound { guardrail, .. } => {
            matches(&guardrail.matches, subject)
                && !guardrail.exclude.as_ref().is_some_and(|exclude| covers(exclude, subject))
        }
        Binding::Broken { .. } => true,
    }
}

/// Whether any of the subject's namespaces, and the rest, is meant.
fn matches(criteria: &Match, subject: &Subject<'_>) -> bool {
    let meant = |namespace: &&str| criteria.namespaces.iter().any(|pattern| glob(pattern, namespace));
    (criteria.namespaces.is_empty() || subject.namespaces.iter().any(meant)) && rest(criteria, subject)
}

/// Whether every one of the subject's namespaces is meant: an exclusion must not let others through.
fn covers(criteria: &Match, subject: &Subject<'_>) -> bool {
    let meant = |namespace: &&str| criteria.namespaces.iter().any(|pattern| glob(pattern, namespace));
    (criteria.namespaces.is_empty() || subject.namespaces.iter().all(meant)) && rest(criteria, subject)
}

fn rest(criteria: &Match, subject: &Subject<'_>) -> bool {
    (criteria.failtypes.is_empty() || criteria.failtypes.contains(&subject.fault))
        && (criteria.sources.is_empty() || criteria.sources.iter().any(|name| name == subject.source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(namespaces: &[&str]) -> Match {
        Match { namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(), ..Match::default() }
    }

    fn subject<'a>(namespaces: &[&'a str]) -> Subject<'a> {
        Subject { namespaces: namespaces.iter().copied().collect(), fault: Fault::Slab, source: "team" }
    }

    #[test]
    fn one_matching_namespace_is_enough_to_be_asked() {
        assert!(matches(&on(&["prod-*"]), &subject(&["dev", "prod-api"])));
        assert!(!matches(&on(&["prod-*"]), &subject(&["dev"])));
        assert!(matches(&Match::default(), &subject(&["dev"])));
    }

    #[test]
    fn an_exclusion_holds_only_where_it_covers_every_namespace() {
        assert!(covers(&on(&["dev*"]), &subject(&["dev", "dev-2"])));
        assert!(!covers(&on(&["dev*"]), &subject(&["dev", "prod-api"])));
    }

    #[test]
    fn every_given_field_must_hold() {
        let both = Match { failtypes: vec![Fault::Page], sources: vec!["team".into()], ..Match::default() };
        assert!(!matches(&both, &subject(&["dev"])));
        assert!(matches(&Match { failtypes: vec![Fault::Slab], ..both }, &subject(&["dev"])));
    }
}
