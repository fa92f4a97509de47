//! Guardrails that are not written as they should be: they hold wider, or twice, and never less.

use faultline_api::Reason;
use faultline_core::judge::Decision;

use crate::{Files, experiment, planned};

const CAPS: &[u8] = include_bytes!("../../modules/cap_limits.wasm");
const DENY: &[u8] = include_bytes!("../../modules/deny_all.wasm");

const SPEC: &str = "spec:\n  mode: one\n  selector: { pods: { chaos-mount: [target] } }\n  duration: 1m\n  failKernRequest: { failtype: 0, callchain: [{ funcname: __x64_sys_mount }] }\n";

fn files(files: &[(&str, &[u8])]) -> Files {
    files.iter().map(|(path, bytes)| ((*path).to_owned(), (*bytes).into())).collect()
}

fn guardrail(name: &str, module: &str, more: &str) -> String {
    format!(
        "apiVersion: faultline.dev/v1alpha1\nkind: Guardrail\nmetadata: {{ name: {name} }}\nspec:\n  module: {{ path: {module} }}\n{more}"
    )
}

fn mount() -> Files {
    files(&[("mount.yaml", experiment("mount", SPEC).as_bytes())])
}

#[test]
fn a_match_that_cannot_be_read_matches_everything() {
    for (criteria, denied) in [
        ("  match: { namespaces: [\"prod-*\"] }\n", false),
        ("  match: { namespaces: [\"Prod!\"] }\n", true),
        ("  match: { namespace: [\"prod-*\"] }\n", true),
        ("  match: { namespaces: prod }\n", true),
        ("  match: [prod]\n", true),
        ("  match:\n", true),
        ("  exclude: { namespaces: [\"chaos-*\"] }\n", false),
        ("  exclude: { namespaces: [\"chaos-*\"], failtype: 0 }\n", true),
        ("  exclude:\n", true),
    ] {
        let document = guardrail("deny", "deny.wasm", criteria);
        let guardrails = files(&[("deny.yaml", document.as_bytes()), ("deny.wasm", DENY)]);
        let (plan, _) = planned(mount(), guardrails);
        let reasons: Vec<_> = plan.report.why_nots.iter().filter_map(|why_not| why_not.reason).collect();
        assert_eq!(reasons.contains(&Reason::Denied), denied, "{criteria}: {}", plan.to_text());
        assert_eq!(plan.runs.is_empty(), denied, "{criteria}");
    }
}

#[test]
fn twins_are_both_in_force_in_whatever_order_they_are_read() {
    let cap =
        |times: u64| guardrail("cap", "cap.wasm", &format!("  settings: {{ times: {{ max: {times} }} }}\n"));
    let (five, three) = (cap(5), cap(3));
    for (first, second, times) in [(&five, &three, 3), (&three, &five, 3), (&five, &five, 5)] {
        let guardrails =
            files(&[("a.yaml", first.as_bytes()), ("b.yaml", second.as_bytes()), ("cap.wasm", CAPS)]);
        let (plan, verdicts) = planned(mount(), guardrails);
        assert_eq!(plan.runs[0].effective.times, Some(times));
        let tightened =
            verdicts["mount"].iter().filter(|verdict| matches!(verdict.decision, Decision::Mutate { .. }));
        assert_eq!(tightened.count(), 2, "each of them speaks for itself");
    }
}
