//! From what a guest answered to what the rest of Faultline may rely on.

use faultline_api::{GoDuration, Percent, Tightening};
use faultline_core::review::{Description, Finding, Inputs, Moment, Response, TightenFinding, Undecided};

use crate::bindings::policy;

/// Findings of one kind, rules, problems: more than anyone reads.
pub(crate) const MOST: usize = 100;
/// Bytes of a name or of a rule, which become labels of metrics.
const NAME_BYTES: usize = 128;
/// Bytes of a path, a message or a reason.
const TEXT_BYTES: usize = 4096;

/// Checks a description.
///
/// # Errors
/// A text is missing or too long, there is no moment, or too many of something.
pub(crate) fn description(answer: policy::Description) -> Result<Description, Undecided> {
    let policy::Description { name, version, rules, moments, inputs } = answer;
    check("the name", &name, NAME_BYTES)?;
    check("the version", &version, NAME_BYTES)?;
    check_count("rules", rules.len())?;
    rules.iter().try_for_each(|rule| check("a rule", rule, NAME_BYTES))?;
    let mut moments: Vec<Moment> = moments.into_iter().map(moment).collect();
    moments.sort_unstable();
    moments.dedup();
    if moments.is_empty() {
        return Err(bad("it wants to be asked at no moment"));
    }
    let inputs = Inputs {
        raw: inputs.contains(policy::Inputs::RAW),
        source: inputs.contains(policy::Inputs::SOURCE),
        active: inputs.contains(policy::Inputs::ACTIVE),
    };
    Ok(Description { name, version, rules, moments, inputs })
}

/// Checks the answer of a guest whose rules are `rules`.
///
/// # Errors
/// The guest gave up, or the answer breaks the rules of the world.
pub(crate) fn response(
    answer: Result<policy::Response, String>,
    rules: &[String],
) -> Result<Response, Undecided> {
    let policy::Response { denials, tightenings, warnings } =
        answer.map_err(|why| Undecided::GaveUp(shortened(why)))?;
    check_count("denials", denials.len())?;
    check_count("tightenings", tightenings.len())?;
    check_count("warnings", warnings.len())?;
    let findings = |found: Vec<policy::Finding>| -> Result<Vec<Finding>, Undecided> {
        found.into_iter().map(|one| finding(one, rules)).collect()
    };
    let tighten = |one: policy::Tightening| {
        let finding = finding(one.finding, rules)?;
        Ok(TightenFinding { limit: limit(one.limit)?, finding })
    };
    Ok(Response {
        denials: findings(denials)?,
        tightenings: tightenings.into_iter().map(tighten).collect::<Result<_, _>>()?,
        warnings: findings(warnings)?,
    })
}

/// What a guest finds wrong with its settings.
pub(crate) fn problems(mut problems: Vec<String>) -> Undecided {
    problems.truncate(MOST);
    if problems.is_empty() {
        problems.push("the module gives no reason".to_owned());
    }
    Undecided::InvalidSettings(problems.into_iter().map(shortened).collect())
}

const fn moment(moment: policy::Moment) -> Moment {
    match moment {
        policy::Moment::Judge => Moment::Judge,
        policy::Moment::Admit => Moment::Admit,
    }
}

fn finding(found: policy::Finding, rules: &[String]) -> Result<Finding, Undecided> {
    let policy::Finding { rule, path, message } = found;
    check("a rule", &rule, NAME_BYTES)?;
    check("a path", &path, TEXT_BYTES)?;
    check("a message", &message, TEXT_BYTES)?;
    if !rules.contains(&rule) {
        return Err(bad(format!("the rule {rule:?} is not one that the module describes")));
    }
    Ok(Finding { rule, path, message })
}

/// One bound. Zero is refused where it would allow nothing: in a `KernelChaos`, no times are unlimited times, and what
/// is to allow nothing is a denial.
fn limit(limit: policy::Limit) -> Result<Tightening, Undecided> {
    let none = Tightening::default();
    Ok(match limit {
        policy::Limit::Probability(value) => {
            let percent = Percent::new(value).ok_or_else(|| bad(format!("a probability of {value} %")))?;
            Tightening { probability: Some(percent), ..none }
        }
        policy::Limit::Times(value) => Tightening { times: Some(positive("times", value)?), ..none },
        policy::Limit::Duration(value) => {
            let nanos = positive("a duration", value)?;
            if nanos > GoDuration::MAX.as_nanos() {
                return Err(bad("a duration of more than about 292 years"));
            }
            Tightening { duration: Some(GoDuration::from_nanos(nanos)), ..none }
        }
        policy::Limit::Targets(value) => Tightening { targets: Some(positive("targets", value)?), ..none },
        policy::Limit::Drop(uids) => {
            if uids.is_empty() {
                return Err(bad("no pod is named to be dropped"));
            }
            uids.iter().try_for_each(|uid| check("the uid of a pod", uid, NAME_BYTES))?;
            Tightening { drop: uids.into_iter().collect(), ..none }
        }
        policy::Limit::ShadowOnly => return Err(bad("a limit to shadow runs, which are not supported yet")),
    })
}

fn positive<T: PartialEq + From<u8>>(what: &str, value: T) -> Result<T, Undecided> {
    if value == T::from(0) {
        Err(bad(format!("a limit of 0 on {what}: to allow none is to deny")))
    } else {
        Ok(value)
    }
}

pub(crate) fn check_count(what: &str, count: usize) -> Result<(), Undecided> {
    if count > MOST { Err(bad(format!("{count} {what}, more than {MOST}"))) } else { Ok(()) }
}

/// A text that can be shown: there, not too long, and with nothing that a terminal would obey.
fn check(what: &str, text: &str, most_bytes: usize) -> Result<(), Undecided> {
    if text.trim().is_empty() {
        return Err(bad(format!("{what} is empty")));
    }
    if text.len() > most_bytes {
        return Err(bad(format!("{what} has {} bytes, more than {most_bytes}", text.len())));
    }
    if text.chars().any(char::is_control) {
        return Err(bad(format!("{what} holds a control character")));
    }
    Ok(())
}

/// As much of a reason as is shown, without what a terminal would obey.
pub(crate) fn shortened(text: String) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES);
    text[..end].replace(char::is_control, " ")
}

fn bad(why: impl Into<String>) -> Undecided {
    Undecided::BadAnswer(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: &str, path: &str, message: &str) -> policy::Finding {
        policy::Finding { rule: rule.into(), path: path.into(), message: message.into() }
    }

    fn denial(finding: policy::Finding) -> Result<Response, Undecided> {
        let answer = policy::Response { denials: vec![finding], tightenings: vec![], warnings: vec![] };
        response(Ok(answer), &["caps".to_owned()])
    }

    #[test]
    fn a_finding_that_cannot_be_shown_is_refused() {
        let long = "x".repeat(TEXT_BYTES + 1);
        for (finding, part) in [
            (found("", "spec", "no"), "a rule is empty"),
            (found("caps", " ", "no"), "a path is empty"),
            (found("caps", "spec", ""), "a message is empty"),
            (found("caps", "spec", &long), "more than 4096"),
            (found("caps", "spec", "\u{1b}[2J"), "control character"),
            (found("other", "spec", "no"), "\"other\" is not one"),
        ] {
            let error = denial(finding).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(denial(found("caps", "spec", "no")).unwrap().denials.len(), 1);
    }

    #[test]
    fn a_limit_that_is_out_of_range_is_refused() {
        use policy::Limit::*;
        for (value, part) in [
            (Probability(101), "101 %"),
            (Times(0), "0 on times"),
            (Duration(0), "0 on a duration"),
            (Duration(u64::MAX), "292 years"),
            (Targets(0), "0 on targets"),
            (Drop(vec![]), "no pod"),
            (Drop(vec![String::new()]), "uid of a pod is empty"),
            (ShadowOnly, "not supported yet"),
        ] {
            let error = limit(value).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(limit(Probability(0)).unwrap().probability, Percent::new(0));
        assert_eq!(limit(Duration(1_000)).unwrap().duration, Some(GoDuration::from_nanos(1_000)));
    }

    #[test]
    fn too_many_findings_are_refused() {
        let answer = policy::Response {
            denials: vec![],
            tightenings: vec![],
            warnings: vec![found("caps", "spec", "no"); MOST + 1],
        };
        assert!(matches!(response(Ok(answer), &["caps".to_owned()]), Err(Undecided::BadAnswer(_))));
    }

    #[test]
    fn a_reason_is_shortened_to_what_is_shown() {
        let why = "é\n".repeat(TEXT_BYTES);
        let Err(Undecided::GaveUp(shown)) = response(Err(why), &[]) else { panic!("it gave up") };
        assert!(shown.len() <= TEXT_BYTES && !shown.contains('\n'));
        assert_eq!(problems(vec![]), Undecided::InvalidSettings(vec!["the module gives no reason".into()]));
    }
}
