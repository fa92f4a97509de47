//! Which guardrails are asked about what.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{Experiment, Fault, Guardrail, glob, guardrail::Match, selector::LabelSelector};

use crate::parse::{Binding, BoundGuardrail};

/// What a guardrail is matched against.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) targets: Targets<'a>,
    pub(crate) fault: Fault,
    pub(crate) source: &'a str,
}

/// What is known of the targets.
#[derive(Clone, Debug)]
pub(crate) enum Targets<'a> {
    /// Before anything is selected: every namespace in which one may be found.
    MayBeIn(BTreeSet<&'a str>),
    /// Those that were selected.
    Are(Vec<Labelled<'a>>),
}

/// One target, as criteria see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labelled<'a> {
    pub(crate) namespace: &'a str,
    /// Of its namespace; `None`: the inventory does not have it.
    pub(crate) namespace_labels: Option<&'a BTreeMap<String, String>>,
    /// Of its pod.
    pub(crate) labels: &'a BTreeMap<String, String>,
}

/// Whether a guardrail is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concern {
    Asked,
    NotAsked,
    /// Its criteria are about labels of targets, which are not known yet.
    NeedsTargets,
}

impl<'a> Subject<'a> {
    /// Before anything is selected.
    pub(crate) fn of_document(experiment: &'a Experiment, source: &'a str) -> Self {
        let selector = &experiment.selector;
        let namespaces = selector.namespaces.iter().chain(selector.pods.keys()).map(String::as_str).collect();
        Self { targets: Targets::MayBeIn(namespaces), fault: experiment.fault, source }
    }
}

/// Whether a guardrail is asked. One that cannot be read is: it leaves undecided what it might have meant.
pub(crate) fn concern(bound: &BoundGuardrail, subject: &Subject<'_>) -> Concern {
    let Binding::Bound { guardrail, .. } = &bound.binding else { return Concern::Asked };
    if !guardrail.matches.holds_for_rest(subject) {
        return Concern::NotAsked;
    }
    match &subject.targets {
        Targets::MayBeIn(namespaces) => before_selection(guardrail, subject, namespaces),
        Targets::Are(targets) => {
            let is_meant = targets.iter().any(|target| guardrail.matches.means(target, true));
            // An exclusion must not let others through, so it holds only where it covers every target.
            let covers = |exclude: &Match| {
                exclude.holds_for_rest(subject) && targets.iter().all(|target| exclude.means(target, false))
            };
            let is_excluded = guardrail.exclude.as_ref().is_some_and(covers);
            if is_meant && !is_excluded { Concern::Asked } else { Concern::NotAsked }
        }
    }
}

/// With nothing but the namespaces in which targets may be found, any of them may come to be one.
fn before_selection(guardrail: &Guardrail, subject: &Subject<'_>, namespaces: &BTreeSet<&str>) -> Concern {
    let Guardrail { matches, exclude, .. } = guardrail;
    if !namespaces.iter().any(|namespace| matches.means_namespace(namespace)) {
        return Concern::NotAsked;
    }
    let exclude = exclude.as_ref().filter(|exclude| {
        exclude.holds_for_rest(subject)
            && namespaces.iter().all(|namespace| exclude.means_namespace(namespace))
    });
    match exclude {
        Some(exclude) if !exclude.needs_targets() => Concern::NotAsked,
        Some(_) => Concern::NeedsTargets,
        None if matches.needs_targets() => Concern::NeedsTargets,
        None => Concern::Asked,
    }
}

/// The parts of [`Match`], one by one.
trait Criteria {
    /// Whether what is not about targets holds.
    fn holds_for_rest(&self, subject: &Subject<'_>) -> bool;
    fn means_namespace(&self, namespace: &str) -> bool;
    /// Whether what is about targets holds for this one; `unknown` where it is about labels that nobody knows.
    fn means(&self, target: &Labelled<'_>, unknown: bool) -> bool;
}

impl Criteria for Match {
    fn holds_for_rest(&self, subject: &Subject<'_>) -> bool {
        (self.failtypes.is_empty() || self.failtypes.contains(&subject.fault))
            && (self.sources.is_empty() || self.sources.iter().any(|name| name == subject.source))
    }

    fn means_namespace(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|pattern| glob(pattern, namespace))
    }

    fn means(&self, target: &Labelled<'_>, unknown: bool) -> bool {
        let selects = |selector: &Option<LabelSelector>, labels: Option<&BTreeMap<String, String>>| {
            selector
                .as_ref()
                .is_none_or(|selector| labels.map_or(unknown, |labels| selector.holds_for(labels)))
        };
        self.means_namespace(target.namespace)
            && selects(&self.namespace_selector, target.namespace_labels)
            && selects(&self.label_selector, Some(target.labels))
    }
}

#[cfg(test)]
mod tests {
    use faultline_api::{ModuleRef, Place};

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn selector(key: &str, value: &str) -> Option<LabelSelector> {
        Some(LabelSelector { match_labels: labels(&[(key, value)]), ..LabelSelector::default() })
    }

    fn on(namespaces: &[&str]) -> Match {
        Match { namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(), ..Match::default() }
    }

    fn asked(matches: Match, exclude: Option<Match>, targets: Targets<'_>) -> Concern {
        let guardrail = Guardrail {
            name: "g".into(),
            module: ModuleRef::Path("m".into()),
            mode: faultline_api::GuardrailMode::Protect,
            allowed_to_mutate: true,
            matches,
            exclude,
            settings: serde_json::Value::Null,
            message: None,
            exceptions: Vec::new(),
        };
        let binding = Binding::Bound { guardrail: guardrail.into(), module: Err(String::new()) };
        let place = Place { source: "platform".into(), path: "g.yaml".into(), line: 1 };
        let bound = BoundGuardrail { name: "g".into(), place, binding };
        concern(&bound, &Subject { targets, fault: Fault::Slab, source: "team" })
    }

    fn may_be_in<'a>(namespaces: &[&'a str]) -> Targets<'a> {
        Targets::MayBeIn(namespaces.iter().copied().collect())
    }

    #[test]
    fn one_matching_namespace_is_enough_to_be_asked() {
        assert_eq!(asked(on(&["prod-*"]), None, may_be_in(&["dev", "prod-api"])), Concern::Asked);
        assert_eq!(asked(on(&["prod-*"]), None, may_be_in(&["dev"])), Concern::NotAsked);
        assert_eq!(asked(Match::default(), None, may_be_in(&["dev"])), Concern::Asked);
    }

    #[test]
    fn an_exclusion_holds_only_where_it_covers_every_namespace() {
        let but_dev = |targets| asked(Match::default(), Some(on(&["dev*"])), targets);
        assert_eq!(but_dev(may_be_in(&["dev", "dev-2"])), Concern::NotAsked);
        assert_eq!(but_dev(may_be_in(&["dev", "prod-api"])), Concern::Asked);
    }

    #[test]
    fn every_given_field_must_hold() {
        let both = Match { failtypes: vec![Fault::Page], sources: vec!["team".into()], ..Match::default() };
        assert_eq!(asked(both.clone(), None, may_be_in(&["dev"])), Concern::NotAsked);
        let slab = Match { failtypes: vec![Fault::Slab], ..both };
        assert_eq!(asked(slab.clone(), None, may_be_in(&["dev"])), Concern::Asked);
        let elsewhere = Match { sources: vec!["other".into()], ..slab };
        assert_eq!(asked(elsewhere, None, may_be_in(&["dev"])), Concern::NotAsked);
    }

    #[test]
    fn labels_are_not_known_before_the_targets_are() {
        let databases = Match { label_selector: selector("app", "db"), ..on(&["prod"]) };
        assert_eq!(asked(databases.clone(), None, may_be_in(&["prod"])), Concern::NeedsTargets);
        assert_eq!(asked(databases.clone(), None, may_be_in(&["dev"])), Concern::NotAsked);
        assert_eq!(
            asked(Match::default(), Some(databases.clone()), may_be_in(&["prod"])),
            Concern::NeedsTargets
        );
        // Whatever is selected in the other namespace is not excluded.
        assert_eq!(asked(Match::default(), Some(databases), may_be_in(&["prod", "dev"])), Concern::Asked);
    }

    #[test]
    fn one_target_has_to_meet_all_criteria() {
        let (db, web) = (labels(&[("app", "db")]), labels(&[("app", "web")]));
        let of = |namespace, labels| Labelled { namespace, namespace_labels: None, labels };
        let databases = Match { label_selector: selector("app", "db"), ..on(&["prod"]) };
        let both = [of("prod", &web), of("dev", &db)];
        assert_eq!(asked(databases.clone(), None, Targets::Are(both.to_vec())), Concern::NotAsked);
        let found = [of("prod", &db), of("dev", &web)];
        assert_eq!(asked(databases.clone(), None, Targets::Are(found.to_vec())), Concern::Asked);
        // It excludes where it means every target.
        assert_eq!(
            asked(Match::default(), Some(databases.clone()), Targets::Are(found.to_vec())),
            Concern::Asked
        );
        let all = vec![of("prod", &db)];
        assert_eq!(asked(Match::default(), Some(databases), Targets::Are(all)), Concern::NotAsked);
    }

    #[test]
    fn a_namespace_that_nobody_knows_may_have_any_label() {
        let none = BTreeMap::new();
        let target = |namespace_labels| {
            Targets::Are(vec![Labelled { namespace: "shop", namespace_labels, labels: &none }])
        };
        let front = Match { namespace_selector: selector("tier", "front"), ..Match::default() };
        let (known, other) = (labels(&[("tier", "front")]), labels(&[("tier", "back")]));
        for (labels, matched, excluded) in [
            (Some(&known), Concern::Asked, Concern::NotAsked),
            (Some(&other), Concern::NotAsked, Concern::Asked),
            (None, Concern::Asked, Concern::Asked),
        ] {
            assert_eq!(asked(front.clone(), None, target(labels)), matched, "{labels:?}");
            assert_eq!(asked(Match::default(), Some(front.clone()), target(labels)), excluded, "{labels:?}");
        }
    }
}
