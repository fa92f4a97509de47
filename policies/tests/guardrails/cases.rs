//! The cases of the built-in guardrails: files that hold an experiment, settings, and what is to come of them.

use std::{fs, path::Path};

use faultline_api::Experiment;
use faultline_core::review::{Evaluator, Finding, Response, TightenFinding, Undecided};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    HOST,
    fixtures::{CAP_LIMITS, experiment, review},
};

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    settings: Value,
    /// Fields that differ from those of the common experiment, which limits nothing.
    #[serde(default)]
    experiment: Map<String, Value>,
    expect: Expect,
}

/// What is to come of it, exactly.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Expect {
    Allow,
    Tighten(Vec<TightenFinding>),
    Deny(Vec<Finding>),
    InvalidSettings(Vec<String>),
}

impl Expect {
    fn outcome(self) -> Result<Response, Undecided> {
        match self {
            Self::Allow => Ok(Response::default()),
            Self::Tighten(tightenings) => Ok(Response { tightenings, ..Response::default() }),
            Self::Deny(denials) => Ok(Response { denials, ..Response::default() }),
            Self::InvalidSettings(problems) => Err(Undecided::InvalidSettings(problems)),
        }
    }
}

fn with(fields: Map<String, Value>) -> Experiment {
    let mut value = serde_json::to_value(experiment()).unwrap();
    value.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(value).unwrap()
}

fn run(folder: &str, module: &[u8], at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= at_least, "only {} cases", paths.len());
    for path in paths {
        let case: Case = serde_json::from_slice(&fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let evaluation = HOST.evaluate(module, &case.settings, &review(with(case.experiment)));
        assert_eq!(evaluation.outcome, case.expect.outcome(), "{}", path.display());
    }
}

#[test]
fn cap_limits_does_what_its_cases_say() {
    run("cap_limits", CAP_LIMITS, 12);
}
