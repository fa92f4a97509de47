//! What a plan finds wrong that the one before it did not: told once, and again when it is gone.

use std::{collections::BTreeSet, fmt};

use faultline_api::Reason;
use faultline_core::{
    due::WhyNot,
    ledger::RunKey,
    parse::{FileFindings, Freshness},
    plan::Plan,
};
use serde::{Deserialize, Serialize};

/// One thing that is wrong with what the sources hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Problem {
    /// Where it is.
    pub place: ProblemPlace,
    /// Code of the diagnostic; where there is none, the reason.
    pub code: String,
    /// In words.
    pub message: String,
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProblemPlace {
    /// Name of the source.
    pub source: String,
    /// Path of the file, relative to the source's root.
    pub file: String,
    /// From 1; `None` where the file as a whole is meant.
    pub line: Option<u32>,
    /// From 1, in characters; `None` where a document or the file as a whole is meant.
    pub column: Option<u32>,
}

impl ProblemPlace {
    /// A place as a plan has it, `source:path:line`, in one of the plan's sources; `None`: it is not one.
    fn of_document(place: &str, plan: &Plan) -> Option<Self> {
        let (path, line) = place.rsplit_once(':')?;
        let within = |source: &String| Some((source.clone(), path.strip_prefix(source)?.strip_prefix(':')?));
        let (source, file) = plan.sources.keys().find_map(within)?;
        Some(Self { source, file: file.to_owned(), line: Some(line.parse().ok()?), column: None })
    }
}

impl fmt::Display for ProblemPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, file, line, column } = self;
        write!(f, "{source}:{file}")?;
        [line, column].into_iter().flatten().try_for_each(|number| write!(f, ":{number}"))
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something is wrong that was not, or not in these words.
    Found(Problem),
    /// Something is not wrong any more.
    Gone(Problem),
    /// A source is fresh again, or is not any more.
    Source {
        /// Its name.
        source: String,
        /// What it is now.
        freshness: Freshness,
        /// Why it cannot be read.
        error: Option<String>,
    },
}

/// Everything that is wrong with what the sources hold, ordered by place.
#[must_use]
pub fn problems(plan: &Plan) -> BTreeSet<Problem> {
    let files = &plan.report.files;
    let of_files = files.iter().flat_map(|file| {
        file.findings.iter().map(|finding| Problem {
            place: ProblemPlace {
                source: file.source.clone(),
                file: file.path.clone(),
                line: finding.line,
                column: finding.column,
            },
            code: finding.diagnostic.code.to_string(),
            message: finding.diagnostic.message.clone(),
        })
    });
    let beside = plan.report.why_nots.iter().filter_map(|why| of_document(why, plan));
    let beside = beside.filter(|(why, _)| !files.iter().any(|file| says(file, why)));
    of_files.chain(beside.map(|(_, problem)| problem)).collect()
}

/// What makes a document, a file or a guardrail useless; `None` for runs, which say so themselves.
fn of_document<'a>(why: &'a WhyNot, plan: &Plan) -> Option<(&'a WhyNot, Problem)> {
    let reason = why.reason.filter(|reason| matches!(reason, Reason::Invalid | Reason::Duplicate))?;
    let place = why.place.as_ref().filter(|_| why.subject.parse::<RunKey>().is_err())?;
    let place = ProblemPlace::of_document(place, plan)?;
    let code = format!("{reason:?}").to_lowercase();
    Some((why, Problem { place, code, message: format!("{}: {}", why.subject, why.message) }))
}

/// Whether the findings of `file` have it already, with its column.
fn says(file: &FileFindings, why: &WhyNot) -> bool {
    let within = format!("{}:{}:", file.source, file.path);
    why.place.as_ref().is_some_and(|place| place.starts_with(&within))
        && file.findings.iter().any(|finding| finding.diagnostic.message == why.message)
}

/// What changed since the plan before; there was none at the start.
#[must_use]
pub fn news(before: Option<&Plan>, after: &Plan) -> Vec<News> {
    let (old, new) = (before.map(problems).unwrap_or_default(), problems(after));
    let sources = after.sources.iter().filter_map(|(name, state)| {
        let known = before.and_then(|plan| plan.sources.get(name));
        let was = known.map_or(Freshness::Fresh, |known| known.freshness);
        (was != state.freshness).then(|| News::Source {
            source: name.clone(),
            freshness: state.freshness,
            error: state.error.clone(),
        })
    });
    let found = new.difference(&old).cloned().map(News::Found);
    sources.chain(found).chain(old.difference(&new).cloned().map(News::Gone)).collect()
}

/// Logs it.
pub fn log(news: &News) {
    match news {
        News::Found(Problem { place, code, message }) => tracing::warn!(%place, code, message, "found"),
        News::Gone(Problem { place, code, message }) => {
            tracing::info!(%place, code, message, "not found any more");
        }
        News::Source { source, freshness: Freshness::Fresh, .. } => {
            tracing::info!(source, "the source is fresh again");
        }
        News::Source { source, freshness, error } => {
            let error = error.as_deref().unwrap_or_default();
            tracing::warn!(
                source,
                freshness = super::freshness_name(*freshness),
                error,
                "the source is not fresh"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use faultline_api::{Code, Diagnostic};
    use faultline_core::{
        parse::{Finding, SourceState},
        plan::Report,
        tree::Role,
    };
    use jiff::Timestamp;

    use super::*;

    fn plan(freshness: Freshness, why_nots: Vec<WhyNot>, message: &str) -> Plan {
        let diagnostic = Diagnostic::error(Code::YamlSyntax, None, message);
        let finding = Finding { line: Some(1), column: Some(4), diagnostic };
        let file = FileFindings {
            source: "exp".to_owned(),
            path: "syn.yaml".to_owned(),
            findings: vec![finding],
            rendered: String::new(),
        };
        let error = (freshness != Freshness::Fresh).then(|| "gone".to_owned());
        let state = SourceState { role: Role::Experiments, revision: None, freshness, error };
        Plan {
            at: Timestamp::UNIX_EPOCH,
            inventory: None,
            sources: [("exp".to_owned(), state)].into(),
            runs: Vec::new(),
            refused: BTreeMap::new(),
            nodes: BTreeMap::new(),
            report: Report { why_nots, files: vec![Arc::new(file)], skipped: BTreeMap::new() },
            next: None,
        }
    }

    fn why_not(subject: &str, place: &str, reason: Reason, message: &str) -> WhyNot {
        let (subject, place) = (subject.to_owned(), Some(place.to_owned()));
        WhyNot { subject, place, reason: Some(reason), message: message.to_owned() }
    }

    fn problem(place: &str, code: &str, message: &str) -> Problem {
        let mut parts = place.split(':');
        let (source, file) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
        let mut number = || parts.next().map(|number| number.parse().unwrap());
        let place = ProblemPlace { source, file, line: number(), column: number() };
        Problem { place, code: code.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn every_problem_is_listed_once_at_its_own_place_and_runs_are_left_to_themselves() {
        let why_nots = vec![
            why_not("syn.yaml", "exp:syn.yaml:1", Reason::Invalid, "no YAML"),
            why_not("big.yaml", "exp:big.yaml:1", Reason::Invalid, "too large"),
            why_not("a/x", "exp:b.yaml:3", Reason::Duplicate, "exp:a.yaml:3 declares it too, and came first"),
            why_not("a/x#1", "exp:a.yaml:3", Reason::Invalid, "held"),
            why_not("a/y", "exp:c.yaml:1", Reason::Denied, "no"),
        ];
        let listed: Vec<_> = problems(&plan(Freshness::Fresh, why_nots, "no YAML")).into_iter().collect();
        let both = "a/x: exp:a.yaml:3 declares it too, and came first";
        assert_eq!(
            listed,
            [
                problem("exp:b.yaml:3", "duplicate", both),
                problem("exp:big.yaml:1", "invalid", "big.yaml: too large"),
                problem("exp:syn.yaml:1:4", "yaml-syntax", "no YAML"),
            ]
        );
    }

    #[test]
    fn a_place_has_parts_for_programs_and_is_one_text_for_people() {
        let Problem { place, .. } = problem("exp:syn.yaml:1:4", "yaml-syntax", "no YAML");
        let json = serde_json::json!({ "source": "exp", "file": "syn.yaml", "line": 1, "column": 4 });
        assert_eq!(serde_json::to_value(&place).unwrap(), json);
        assert_eq!(place.to_string(), "exp:syn.yaml:1:4");
        assert_eq!(ProblemPlace { line: None, column: None, ..place }.to_string(), "exp:syn.yaml");
    }

    #[test]
    fn a_finding_is_news_once_and_again_when_it_changes_or_is_gone() {
        let first = plan(Freshness::Fresh, Vec::new(), "no YAML");
        let found = |message| News::Found(problem("exp:syn.yaml:1:4", "yaml-syntax", message));
        assert_eq!(news(None, &first), [found("no YAML")]);
        assert_eq!(news(Some(&first), &first), []);
        let changed = plan(Freshness::Fresh, Vec::new(), "still none");
        let gone = News::Gone(problem("exp:syn.yaml:1:4", "yaml-syntax", "no YAML"));
        assert_eq!(news(Some(&first), &changed), [found("still none"), gone]);
    }

    #[test]
    fn a_source_is_news_when_it_goes_stale_expires_and_is_fresh_again() {
        let of = |freshness| plan(freshness, Vec::new(), "no YAML");
        let told = |from, to| news(Some(&of(from)), &of(to));
        let source = |freshness, error: Option<&str>| {
            vec![News::Source { source: "exp".to_owned(), freshness, error: error.map(str::to_owned) }]
        };
        assert_eq!(told(Freshness::Fresh, Freshness::Stale), source(Freshness::Stale, Some("gone")));
        assert_eq!(told(Freshness::Stale, Freshness::Stale), []);
        assert_eq!(told(Freshness::Stale, Freshness::Expired), source(Freshness::Expired, Some("gone")));
        assert_eq!(told(Freshness::Expired, Freshness::Fresh), source(Freshness::Fresh, None));
        assert!(news(None, &of(Freshness::Missing)).contains(&source(Freshness::Missing, Some("gone"))[0]));
    }
}
