use faultline_core::activity::Activity;
use faultline_telemetry::testing::rows;

use super::*;

const DOCUMENTATION: &str = include_str!("../../METRICS.md");

fn standing(runs: i64) -> Standing {
    let standing = Standing { inventory_age_seconds: Some(Seconds::default()), ..Standing::default() };
    standing.runs.get_or_create(&StateLabels { state: "Running" }).set(runs);
    let [experiment, node] = ["a/x", "n1"].map(str::to_owned);
    let probe = ProbeLabels { experiment, node, state: "never_reached" };
    standing.probes.get_or_create(&probe).set(runs);
    let verdict = VerdictLabels { guardrail: "caps".to_owned(), verdict: "mutate", force: "obeyed" };
    standing.verdicts.get_or_create(&verdict).set(runs);
    standing.guardrail_fuel.get_or_create(&GuardrailLabels { guardrail: "caps".to_owned() }).set(1);
    let [source, revision] = ["experiments", "sha256:0"].map(str::to_owned);
    let source = SourceInfoLabels { source, role: "experiments", revision, freshness: "fresh" };
    standing.sources.get_or_create(&source).set(1);
    standing.diagnostics.get_or_create(&SeverityLabels { severity: "error" }).set(0);
    standing
}

#[test]
fn the_page_is_complete_and_counters_end_in_total() {
    let metrics = Metrics::new();
    metrics.passed("success", Duration::from_millis(3));
    metrics.stand(standing(1));
    let page = metrics.page();
    assert!(page.contains("faultline_reconciles_total{result=\"success\"} 1\n"), "{page}");
    assert!(page.contains("faultline_reconcile_duration_seconds_bucket{le=\"0.005\"} 1\n"), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert!(page.contains("# HELP faultline_inventory_age_seconds How old"), "{page}");
}

#[test]
fn what_has_a_closed_set_of_values_has_all_of_them_from_the_start() {
    let page = Metrics::new().page();
    let refused = RefusalReason::ALL.map(|reason| format!("peers_refused_total{{reason=\"{reason}\"}} 0\n"));
    let nacks = NackReason::ALL
        .map(|reason| format!("desired_sets_refused_total{{reason=\"{}\"}} 0\n", reason.as_str()));
    let results = RESULTS.map(|result| format!("reconciles_total{{result=\"{result}\"}} 0\n"));
    for sample in refused.iter().chain(&nacks).chain(&results) {
        assert!(page.contains(&format!("\nfaultline_{sample}")), "{sample} in\n{page}");
    }
}

#[test]
fn a_page_shows_one_pass_whole_while_others_follow() {
    let metrics = Metrics::new();
    metrics.stand(standing(0));
    std::thread::scope(|scope| {
        let passes = scope.spawn(|| (1..2000).for_each(|runs| metrics.stand(standing(runs))));
        while !passes.is_finished() {
            let page = metrics.page();
            let value = |series: &str| {
                let line = page.lines().find_map(|line| line.strip_prefix(series));
                line.unwrap_or_else(|| panic!("no {series} in\n{page}")).to_owned()
            };
            assert_eq!(
                value("faultline_runs{state=\"Running\"} "),
                value("faultline_verdicts{guardrail=\"caps\",verdict=\"mutate\",force=\"obeyed\"} ")
            );
        }
    });
}

#[test]
fn the_documentation_has_one_row_for_each_metric_and_no_other() {
    let metrics = Metrics::new();
    let node = || "n1".to_owned();
    metrics.injections.get_or_create(&InjectionLabels { experiment: "a/x".to_owned(), node: node() }).inc();
    metrics.source_stale_seconds.get_or_create(&SourceLabels { source: "experiments".to_owned() }).set(0.0);
    metrics.agents.get_or_create(&NodeLabels { node: node() }).set(1);
    metrics.faults_usable.get_or_create(&FaultLabels { node: node(), fault: "slab".to_owned() }).set(1);
    metrics.lease_renewals.get_or_create(&NodeLabels { node: node() }).inc();
    metrics.stand(standing(1));
    let (_, table) = DOCUMENTATION.split_once("|---|---|---|\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    assert_eq!(table, rows(&metrics.page()));
}

#[test]
fn the_documentation_has_one_row_for_each_state_of_a_probe_and_rules_that_ask_for_what_there_is() {
    let (_, table) = DOCUMENTATION.split_once("\n|---|---|\n").unwrap();
    let (table, rules) = table.split_once("\n\n").unwrap();
    let states = table.lines().map(|row| row.split('`').nth(1).unwrap());
    let known: Vec<_> = Activity::ALL.map(Activity::as_str).into_iter().chain([UNKNOWN]).collect();
    assert_eq!(states.collect::<Vec<_>>(), known);
    let asked: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(asked.len(), 4);
    for rule in asked.iter().filter_map(|rule| rule.split_once("state=")) {
        let values = rule.1.split('"').nth(1).unwrap();
        assert!(values.split('|').all(|state| known.contains(&state)), "{values}");
    }
    let both = [DOCUMENTATION, include_str!("../../../node-agent/METRICS.md")];
    for name in asked.iter().flat_map(|rule| rule.split(['(', '{', '[', ' '])) {
        let is_metric = name.starts_with("faultline_");
        assert!(!is_metric || both.iter().any(|text| text.contains(&format!("\n| `{name}` |"))), "{name}");
    }
}
