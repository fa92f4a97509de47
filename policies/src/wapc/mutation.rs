//! A mutated object, taken for what it tightens: any other change is refused.

mod changes;

use faultline_api::{GoDuration, Mode, Percent, Tightening};
use faultline_core::review::{Review, TightenFinding, Undecided};
use serde_json::Value;

use super::finding;
use changes::{Change, changes, shown};

/// A change that only ever leads to less, as the limit that it sets; `Some(None)` where it changes nothing that counts,
/// and `None` where it is no tightening.
type Limit = Option<Option<Tightening>>;

/// What `mutated` tightens, one finding for each field; `message` is what the policy says of all of it.
///
/// # Errors
/// It changes something else, or to more, or to what cannot be told to be less.
pub(super) fn tightenings(
    review: &Review,
    mutated: &Value,
    message: Option<&str>,
) -> Result<Vec<TightenFinding>, Undecided> {
    let mut found: Vec<TightenFinding> = Vec::new();
    for Change { path, old, new } in changes(&review.raw, mutated) {
        let change = format!("from {} to {}", shown(old), shown(new));
        let Some(limit) = limit(&path, new, review, mutated) else {
            let why = format!("its object changes {path} {change}, which is no tightening");
            return Err(Undecided::BadAnswer(why));
        };
        // `mode` and `value` are one limit.
        if let Some(limit) = limit
            && found.iter().all(|known| known.limit != limit)
        {
            let message = message.map_or_else(|| format!("changed {change}"), str::to_owned);
            found.push(TightenFinding { limit, finding: finding(path, message) });
        }
    }
    Ok(found)
}

/// What it means that there is `new` at `path` now.
fn limit(path: &str, new: Option<&Value>, review: &Review, mutated: &Value) -> Limit {
    let experiment = &review.experiment;
    let none = Tightening::default();
    match path {
        "spec.failKernRequest.probability" => {
            let new = new.map_or(Some(Percent::ALL), probability)?;
            let limit = || Tightening { probability: Some(new), ..none };
            (new <= experiment.probability).then(|| (new < experiment.probability).then(limit))
        }
        "spec.failKernRequest.times" => {
            // No times and 0 times are unlimited times.
            let new = new.map_or(Some(0), Value::as_u64)?;
            let new = (new > 0).then_some(new);
            at_most(experiment.times, new, Tightening { times: new, ..none })
        }
        "spec.duration" => {
            let new = new.map(duration);
            let new = if let Some(new) = new { Some(new?) } else { None };
            at_most(experiment.duration, new, Tightening { duration: new, ..none })
        }
        "spec.mode" | "spec.value" => {
            let new = mode(mutated.get("spec")?)?;
            if new == experiment.mode {
                return Some(None);
            }
            let (old, new) = (most_pods(experiment.mode)?, most_pods(new)??);
            at_most(old, Some(new), Tightening { targets: Some(new), ..none })
        }
        _ => None,
    }
}

/// Where `None` is no limit: `limit` if `new` is lower, nothing if both are the same.
fn at_most<T: PartialOrd>(old: Option<T>, new: Option<T>, limit: Tightening) -> Limit {
    match (old, new) {
        (None, None) => Some(None),
        (None, Some(_)) => Some(Some(limit)),
        (Some(_), None) => None,
        (Some(old), Some(new)) => (new <= old).then(|| (new < old).then_some(limit)),
    }
}

fn probability(value: &Value) -> Option<Percent> {
    value.as_u64().and_then(|number| u8::try_from(number).ok()).and_then(Percent::new)
}

/// Above zero: an experiment of no duration is no experiment.
fn duration(value: &Value) -> Option<GoDuration> {
    let duration: GoDuration = value.as_str()?.parse().ok()?;
    (duration > GoDuration::default()).then_some(duration)
}

/// `mode` and `value`, as far as such a mode can be a tightening.
fn mode(spec: &Value) -> Option<Mode> {
    let count = |value: &Value| value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
    let value = || spec.get("value").and_then(count);
    let percent = || Percent::new(u8::try_from(value()?).ok()?);
    Some(match spec.get("mode")?.as_str()? {
        "one" => Mode::One,
        "all" => Mode::All,
        "fixed" => Mode::Fixed(u32::try_from(value()?).ok()?),
        "fixed-percent" => Mode::FixedPercent(percent()?),
        "random-max-percent" => Mode::RandomMaxPercent(percent()?),
        _ => return None,
    })
}

/// How many pods a mode hits at most; `Some(None)`: all there are. `None` where it depends on how many those are, and
/// where it hits none.
const fn most_pods(mode: Mode) -> Option<Option<u32>> {
    match mode {
        Mode::One => Some(Some(1)),
        Mode::All => Some(None),
        Mode::Fixed(0) | Mode::FixedPercent(_) | Mode::RandomMaxPercent(_) => None,
        Mode::Fixed(pods) => Some(Some(pods)),
    }
}

#[cfg(test)]
pub(super) mod tests;
