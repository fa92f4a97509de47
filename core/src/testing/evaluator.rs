//! Guardrails whose modules are scripts of one word instead of WebAssembly.

use faultline_api::{GoDuration, Percent, Tightening};

use crate::review::{
    Description, Evaluation, Evaluator, Finding, Inputs, Moment, Response, Review, TightenFinding, Undecided,
};

/// Runs scripts: `allow`, `deny`, `trap`, `times N`, `probability N`, `duration N` (seconds), `targets N`,
/// `drop UID`, `echo operation`, `echo raw` and `echo revision`, which warn of what they read, and `fleet N`, which
/// denies whatever would make more than N pods active at once. With `late ` before it, a script is asked about
/// targets and not about documents; `fleet` always is. It refuses the setting `refused`. It knows no fuel and no limits: those are the host's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scripted;

impl Evaluator for Scripted {
    fn describe(&self, module: &[u8]) -> Result<Description, Undecided> {
        let text = script(module)?;
        let late = text.starts_with("late ") || text.starts_with("fleet ");
        let moments = vec![if late { Moment::Admit } else { Moment::Judge }];
        let inputs = Inputs {
            raw: text.ends_with("echo raw"),
            source: text.ends_with("echo revision"),
            active: false,
        };
        Ok(Description { name: text.to_owned(), version: "1".to_owned(), rules: Vec::new(), moments, inputs })
    }

    fn check(&self, module: &[u8], settings: &serde_json::Value) -> Result<Description, Undecided> {
        match settings.get("refused").and_then(serde_json::Value::as_str) {
            Some(why) => Err(Undecided::InvalidSettings(vec![why.to_owned()])),
            None => self.describe(module),
        }
    }

    fn evaluate(&self, module: &[u8], _settings: &serde_json::Value, review: &Review) -> Evaluation {
        let outcome = script(module).and_then(|text| answer(text.trim_start_matches("late "), review));
        Evaluation { outcome, module_digest: crate::digest::sha256(module), fuel: 1 }
    }
}

fn script(module: &[u8]) -> Result<&str, Undecided> {
    str::from_utf8(module).map_err(|error| Undecided::RefusedModule(error.to_string()))
}

fn answer(text: &str, review: &Review) -> Result<Response, Undecided> {
    let (word, argument) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = argument.parse().unwrap_or_default();
    match word {
        "allow" => Ok(Response::default()),
        "deny" => Ok(denial("no experiment passes")),
        "fleet" => {
            Ok(if pods(review) > number { denial("too many pods at once") } else { Response::default() })
        }
        "echo" => Ok(echo(argument, review)),
        "trap" => Err(Undecided::Trapped("unreachable".to_owned())),
        _ => limit(word, argument, number).map(tightening),
    }
}

fn limit(word: &str, argument: &str, number: u64) -> Result<Tightening, Undecided> {
    let none = Tightening::default();
    Ok(match word {
        "times" => Tightening { times: Some(number), ..none },
        "probability" => Tightening { probability: u8::try_from(number).ok().and_then(Percent::new), ..none },
        "duration" => Tightening { duration: Some(GoDuration::from_secs(number)), ..none },
        "targets" => Tightening { targets: u32::try_from(number).ok(), ..none },
        "drop" => Tightening { drop: [argument.to_owned()].into(), ..none },
        other => return Err(Undecided::GaveUp(format!("{other:?} is no script"))),
    })
}

/// Pods that would be active at once.
fn pods(review: &Review) -> u64 {
    review.admission.as_ref().map_or(0, |admission| admission.together.pods.into())
}

fn denial(message: &str) -> Response {
    Response { denials: vec![finding(message)], ..Response::default() }
}

fn echo(what: &str, review: &Review) -> Response {
    let read = match what {
        "operation" => format!("{:?}", review.operation),
        "raw" => review.raw.to_string(),
        _ => review.source.revision.clone(),
    };
    Response { warnings: vec![finding(&read)], ..Response::default() }
}

fn tightening(limit: Tightening) -> Response {
    let tightenings = vec![TightenFinding { limit, finding: finding("over the cap") }];
    Response { tightenings, ..Response::default() }
}

fn finding(message: &str) -> Finding {
    Finding { rule: "script".to_owned(), path: "spec".to_owned(), message: message.to_owned() }
}
