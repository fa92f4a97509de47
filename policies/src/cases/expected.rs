//! `expect`: what is to come of a case, exactly.

use faultline_api::{
    Code, Diagnostic, Percent, Tightening,
    decode::{Field, Fields, Findings},
};
use faultline_core::review::{Finding, Response, TightenFinding, Undecided};
use serde_json::{Value as Json, json};

/// What a module answers, or why it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It answers.
    Response(Response),
    /// It cannot decide, and why, in the words that users see.
    Undecided(String),
    /// It does not accept the settings: every problem.
    InvalidSettings(Vec<String>),
}

/// The word for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing against it.
    Allow,
    /// Tighter limits.
    Tighten,
    /// No.
    Deny,
    /// The module cannot say.
    Undecided,
    /// The module does not accept its settings.
    InvalidSettings,
}

const VERDICTS: [(&str, Verdict); 5] = [
    ("allow", Verdict::Allow),
    ("tighten", Verdict::Tighten),
    ("deny", Verdict::Deny),
    ("undecided", Verdict::Undecided),
    ("invalid-settings", Verdict::InvalidSettings),
];

impl Verdict {
    /// As it is written in a case.
    #[must_use]
    pub fn word(self) -> &'static str {
        VERDICTS.iter().find(|(_, verdict)| *verdict == self).map_or("", |(word, _)| word)
    }
}

impl Expected {
    /// What came.
    #[must_use]
    pub fn of(outcome: Result<Response, Undecided>) -> Self {
        match outcome {
            Ok(response) => Self::Response(response),
            Err(Undecided::InvalidSettings(problems)) => Self::InvalidSettings(problems),
            Err(why) => Self::Undecided(why.to_string()),
        }
    }

    /// Its word: any denial denies, any tightening without one tightens.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self {
            Self::Response(response) if !response.denials.is_empty() => Verdict::Deny,
            Self::Response(response) if !response.tightenings.is_empty() => Verdict::Tighten,
            Self::Response(_) => Verdict::Allow,
            Self::Undecided(_) => Verdict::Undecided,
            Self::InvalidSettings(_) => Verdict::InvalidSettings,
        }
    }

    /// As `expect` takes it: what came may be pasted into a case.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut json = json!({ "verdict": self.verdict().word() });
        let mut list = |name: &str, items: Vec<Json>| {
            if !items.is_empty() {
                json[name] = Json::Array(items);
            }
        };
        match self {
            Self::Response(Response { denials, tightenings, warnings }) => {
                let tightening = |TightenFinding { limit, finding }: &TightenFinding| {
                    let mut json = finding_json(finding);
                    limit_fields(limit).into_iter().for_each(|(name, value)| json[name] = value);
                    json
                };
                list("denials", denials.iter().map(finding_json).collect());
                list("tightenings", tightenings.iter().map(tightening).collect());
                list("warnings", warnings.iter().map(finding_json).collect());
            }
            Self::Undecided(why) => json["error"] = Json::from(why.as_str()),
            Self::InvalidSettings(problems) => json["problems"] = Json::from(problems.as_slice()),
        }
        json
    }

    /// All of it, a line for each part. Two answers are equal where their lines are.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("verdict: {}", self.verdict().word())];
        match self {
            Self::Response(Response { denials, tightenings, warnings }) => {
                lines.extend(denials.iter().map(|denial| format!("denies: {}", found(denial))));
                lines.extend(tightenings.iter().map(|TightenFinding { limit, finding }| {
                    format!("tightens to {}: {}", limits(limit), found(finding))
                }));
                lines.extend(warnings.iter().map(|warning| format!("warns: {}", found(warning))));
            }
            Self::Undecided(why) => lines.push(format!("error: {why}")),
            Self::InvalidSettings(problems) => {
                lines.extend(problems.iter().map(|problem| format!("problem: {problem}")));
            }
        }
        lines
    }
}

fn finding_json(Finding { rule, path, message }: &Finding) -> Json {
    json!({ "rule": rule, "path": path, "message": message })
}

/// The limits that there are, by the names that cases give them.
fn limit_fields(limit: &Tightening) -> Vec<(&'static str, Json)> {
    let Tightening { probability, times, duration, targets, drop } = limit;
    let drop = (!drop.is_empty()).then(|| drop.iter().map(String::as_str).collect::<Json>());
    [
        ("probability", probability.map(|percent| percent.get().into())),
        ("times", times.map(Json::from)),
        ("duration", duration.map(|duration| duration.to_string().into())),
        ("targets", targets.map(Json::from)),
        ("drop", drop),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

fn found(finding: &Finding) -> String {
    let Finding { rule, path, message } = finding;
    format!("rule {rule}, path {path}, message {message:?}")
}

fn limits(limit: &Tightening) -> String {
    let value = |value: Json| match value {
        Json::String(text) => text,
        Json::Array(uids) => uids.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let fields = limit_fields(limit).into_iter().map(|(name, limit)| format!("{name} {}", value(limit)));
    fields.collect::<Vec<_>>().join(", ")
}

/// Reads `expect`: the word `allow`, or a mapping that leaves nothing open. An expectation that any answer would meet is
/// an error.
pub(super) fn expected(field: Field<'_>, findings: &mut Findings) -> Option<Expected> {
    if field.node.as_text() == Some("allow") {
        return Some(Expected::Response(Response::default()));
    }
    if !field.node.is_mapping() {
        let help = "write `allow`, or a mapping with `verdict` and everything that comes with it";
        findings.push(field.wrong_type("`allow` or a mapping").help(help));
        return None;
    }
    let mut fields = field.fields(findings)?;
    let verdict = fields.require("verdict", findings).and_then(|word| word.word(&VERDICTS, findings));
    let expected = match verdict {
        // Without it, nobody knows which fields belong to it.
        None => return None,
        Some(Verdict::Undecided) => {
            let error = fields.require("error", findings).and_then(|error| error.filled_text(findings));
            error.map(|error| Expected::Undecided(error.to_owned()))
        }
        Some(Verdict::InvalidSettings) => {
            proof(&mut fields, "problems", text, findings).map(Expected::InvalidSettings)
        }
        Some(answer) => response(&mut fields, answer, findings),
    };
    fields.finish(findings);
    expected
}

/// An answer. One that denies may tighten too, one that allows does neither, and each may warn.
fn response(fields: &mut Fields<'_>, verdict: Verdict, findings: &mut Findings) -> Option<Expected> {
    let denials = match verdict {
        Verdict::Deny => proof(fields, "denials", finding, findings),
        _ => Some(Vec::new()),
    };
    let tightens = verdict == Verdict::Tighten || verdict == Verdict::Deny && fields.has("tightenings");
    let tightenings =
        if tightens { proof(fields, "tightenings", tightening, findings) } else { Some(Vec::new()) };
    let warns = fields.has("warnings");
    let warnings = if warns { proof(fields, "warnings", finding, findings) } else { Some(Vec::new()) };
    Some(Expected::Response(Response { denials: denials?, tightenings: tightenings?, warnings: warnings? }))
}

/// A list with something in it: what the verdict rests on.
fn proof<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    read: fn(Field<'_>, &mut Findings) -> Option<T>,
    findings: &mut Findings,
) -> Option<Vec<T>> {
    let list = fields.require(name, findings)?;
    let items = list.items(findings)?;
    if items.is_empty() {
        let message = format!("`{name}` is empty: say what is expected");
        findings.push(Diagnostic::error(Code::EmptyValue, list.place, message));
    }
    Some(items.into_iter().filter_map(|item| read(item, findings)).collect())
}

fn text(field: Field<'_>, findings: &mut Findings) -> Option<String> {
    field.filled_text(findings).map(str::to_owned)
}

fn finding(field: Field<'_>, findings: &mut Findings) -> Option<Finding> {
    let mut fields = field.fields(findings)?;
    let finding = finding_of(&mut fields, findings);
    fields.finish(findings);
    finding
}

fn finding_of(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Finding> {
    let [rule, path, message] = ["rule", "path", "message"].map(|name| {
        let text = fields.require(name, findings).and_then(|field| field.filled_text(findings));
        text.map(str::to_owned)
    });
    Some(Finding { rule: rule?, path: path?, message: message? })
}

/// A finding with the one limit that it is the reason for.
fn tightening(field: Field<'_>, findings: &mut Findings) -> Option<TightenFinding> {
    let mut fields = field.fields(findings)?;
    let finding = finding_of(&mut fields, findings);
    let limit = limit(&mut fields, findings);
    fields.finish(findings);
    let parts = [
        limit.probability.is_some(),
        limit.times.is_some(),
        limit.duration.is_some(),
        limit.targets.is_some(),
        !limit.drop.is_empty(),
    ];
    if parts.into_iter().filter(|part| *part).count() != 1 {
        let message = "a tightening has one of probability, times, duration, targets and drop";
        findings.push(Diagnostic::error(Code::ConflictingFields, field.place, message));
    }
    Some(TightenFinding { limit, finding: finding? })
}

fn limit(fields: &mut Fields<'_>, findings: &mut Findings) -> Tightening {
    let mut number = |name, range, findings: &mut Findings| {
        fields.take(name, findings).and_then(|field| field.number(range, findings))
    };
    let probability = number("probability", 0..=100, findings);
    let times = number("times", 1..=u64::MAX, findings);
    let targets = number("targets", 1..=u32::MAX.into(), findings);
    let duration = fields.take("duration", findings).and_then(|field| field.duration(findings));
    let drop = fields.take("drop", findings).and_then(|field| field.texts(findings)).unwrap_or_default();
    Tightening {
        probability: probability.and_then(|percent| Percent::new(u8::try_from(percent).ok()?)),
        times,
        duration,
        targets: targets.and_then(|targets| u32::try_from(targets).ok()),
        drop: drop.into_iter().collect(),
    }
}
