//! The cases of the built-in guardrails, and whether they would notice if one of them did something else.

use std::path::Path;

use faultline_core::review::Evaluator as _;
use faultline_policies::cases::{Case, load, mutations, unnoticed};

use crate::HOST;

/// A built-in guardrail as it is shipped, with fewer cases than it has: a folder that is half gone fails.
macro_rules! shipped {
    ($name:literal, $at_least:literal) => {
        ($name, include_bytes!(concat!("../../modules/", $name, ".wasm")) as &[u8], $at_least)
    };
}

/// Every one.
const BUILT_IN: [(&str, &[u8], usize); 6] = [
    shipped!("blast_radius", 40),
    shipped!("call_chain", 35),
    shipped!("cap_limits", 25),
    shipped!("expiry", 19),
    shipped!("protected_namespaces", 27),
    shipped!("required_fields", 24),
];

fn cases(guardrail: &str) -> Vec<Case> {
    let loaded = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases").join(guardrail)).unwrap();
    let broken: String = loaded.broken.into_iter().map(|file| file.rendered).collect();
    assert!(broken.is_empty(), "{broken}");
    loaded.cases
}

#[test]
fn every_built_in_guardrail_does_what_its_cases_say() {
    let mut failures = String::new();
    for (guardrail, module, at_least) in BUILT_IN {
        let cases = cases(guardrail);
        assert!(cases.len() >= at_least, "only {} cases of {guardrail}", cases.len());
        for case in cases {
            if let Some(difference) = case.run(&*HOST, module).difference {
                let Case { name, path, line, .. } = case;
                failures += &format!("{}:{line}: {name}\n{difference}", path.display());
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn the_cases_notice_what_allows_or_denies_everything_and_every_rule_that_is_left_out() {
    for (guardrail, module, _) in BUILT_IN {
        let cases = cases(guardrail);
        let description = HOST.describe(module).unwrap();
        assert_eq!(description.name, guardrail);
        for mutation in mutations(&description) {
            let blind = unnoticed(&cases, &mutation, &*HOST, module).len();
            assert!(blind < cases.len(), "no case of {guardrail} notices {mutation}");
        }
    }
}

#[test]
fn every_folder_of_cases_belongs_to_a_built_in_guardrail() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut folders: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(folders, BUILT_IN.map(|(guardrail, ..)| guardrail));
}
