//! One experiment from the commit to the end of its lease, as Prometheus sees it.

use std::fs;

use faultline_lab::{
    Cache, Progress, artifacts,
    prometheus::{self, Prometheus},
};
use faultline_tests::{
    http,
    metrics::Page,
    stage::eventually,
    tally::{self, ENOMEM},
};

use crate::{
    dashboard,
    guest::{Guest, NAMESPACE, NODE},
    server::{Server, check_metrics},
    skip,
};

/// The example's experiment, as the reconciler counts it and as the agent does.
const BY_RECONCILER: &str = "faultline_injections_total{experiment=\"chaos-testing/mount-enomem\"}";
const BY_AGENT: &str = "faultline_agent_injections_total{experiment=\"chaos-testing/mount-enomem\"}";
const EXPIRIES: &str = "faultline_agent_lease_expiries_total{node=\"lab\"}";

/// What the first panel says of an experiment in a container, by its numbers.
const NOT_ATTACHED: f64 = 0.0;
const ARMED: f64 = 1.0;
const INJECTING: f64 = 3.0;

/// A guest and the Prometheus that scrapes it.
struct Watched {
    guest: Guest,
    server: Server,
    programs: Prometheus,
}

impl Watched {
    /// Waits for `holds`, and fails with what was waited for and with the logs.
    #[track_caller]
    fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        let came = eventually(holds);
        assert!(
            came,
            "{what}: it never came to be\n{}\n── prometheus\n{}",
            self.guest.logs(),
            self.server.log()
        );
    }

    /// Waits until an expression's samples add up to this.
    #[track_caller]
    fn wait_for_sum(&self, expression: &str, sum: f64) {
        let mut seen = f64::NAN;
        let came = eventually(|| {
            seen = self.server.sum(expression).unwrap();
            seen == sum
        });
        let up = self.server.query("up");
        assert!(came, "{expression} is {seen} and not {sum}; up: {up:?}\n{}", self.guest.logs());
    }

    fn failures(&self, pod: &str) -> usize {
        tally::count(&self.guest.attempts(pod), ENOMEM)
    }

    /// Waits until the first panel has these states: one for each experiment in each container.
    #[track_caller]
    fn wait_for_states(&self, states: &[(&str, f64)]) {
        let expression = dashboard::questions().swap_remove(0).expression;
        let seen = || {
            let samples = self.server.query(&expression).unwrap();
            samples.iter().map(|(labels, state)| (labels["pod"].clone(), *state)).collect::<Vec<_>>()
        };
        self.wait(&format!("the first panel says {states:?}"), || {
            seen().iter().map(|(pod, state)| (pod.as_str().unwrap(), *state)).eq(states.iter().copied())
        });
    }

    /// Every expression of the dashboard is understood and has data, and so has every variable.
    fn the_dashboard_has_data(&self) {
        for question in dashboard::questions() {
            let what = format!("panel {:?} has data: {}", question.panel, question.expression);
            self.wait(&what, || !self.server.query(&question.expression).unwrap().is_empty());
        }
        for (metric, label) in dashboard::label_values() {
            assert_eq!(self.server.label_values(&metric, &label).unwrap(), [NODE], "{metric}, {label}");
        }
    }

    /// Nothing is injected any more: each count says what the victim's own tally says.
    fn every_count_is_the_tally(&self) -> f64 {
        let tally = self.failures("target") as f64;
        self.wait_for_sum(BY_AGENT, tally);
        self.wait_for_sum(BY_RECONCILER, tally);
        let agent = Page::fetch(self.guest.agent_metrics()).unwrap();
        assert_eq!(agent.sum("faultline_agent_injections_total", &[]), tally, "the agent's page");
        let reconciler = Page::fetch(self.guest.reconciler_metrics()).unwrap();
        assert_eq!(reconciler.sum("faultline_injections_total", &[]), tally, "the reconciler's page");
        let of_dashboard = |expression: &str| {
            let asks = |question: &dashboard::Question| question.expression.contains(expression);
            let question = dashboard::questions().into_iter().find(asks).expect(expression);
            self.server.sum(&question.expression).unwrap()
        };
        assert_eq!(of_dashboard("(faultline_injections_total"), tally, "the dashboard's total");
        tally
    }

    fn the_neighbour_has_none(&self) {
        self.wait("the neighbour mounts", || self.guest.attempts("neighbour").len() > 100);
        let attempts = self.guest.attempts("neighbour");
        let failures = attempts.iter().filter(|attempt| attempt.errno != 0).count();
        assert_eq!(failures, 0, "of {} attempts", attempts.len());
        let series = "faultline_agent_injections_total{pod=\"neighbour\"}";
        assert_eq!(self.server.query(series).unwrap(), [], "{series}");
        let hit = format!(
            "faultline_agent_injections_total{{namespace=\"{NAMESPACE}\",pod=\"target\",node=\"{NODE}\"}}"
        );
        assert!(self.server.sum(&hit).unwrap() > 0.0, "labels of the samples win over those of the target");
    }
}

fn set_up() -> Option<Watched> {
    let cache = Cache::from_env();
    let progress = Progress::stderr(&cache);
    let programs = prometheus::obtain(&cache, &progress).map_err(|error| skip(&error.to_string())).ok()?;
    let guest = Guest::boot(&cache, &progress).map_err(|reason| skip(&reason)).ok()?;
    let targets = [("reconciler", guest.reconciler_metrics()), ("agent", guest.agent_metrics())];
    let server = Server::start(&programs, &targets).expect("Prometheus starts");
    Some(Watched { guest, server, programs })
}

#[test]
fn prometheus_both_pages_and_the_victims_agree_and_every_panel_has_data() {
    let Some(watched) = set_up() else { return };
    let Watched { guest, server, programs } = &watched;
    guest.inventory(&["target", "neighbour"]);
    let reconciler = guest.reconciler();
    let _agent = guest.agent();
    watched.wait("Prometheus answers", || server.query("up").is_ok());
    watched.wait_for_sum("sum by (job) (up) == 1", 2.0);
    guest.stranger();

    let file = artifacts::workspace().join("examples/experiments/mount-enomem.yaml");
    guest.commit("mount-enomem.yaml", &fs::read_to_string(file).unwrap());
    watched.wait_for_states(&[("target", ARMED)]);
    let (target, _neighbour) = (guest.victim("target"), guest.victim("neighbour"));
    watched.wait("the target's mounts fail", || watched.failures("target") >= 50);
    watched.wait_for_states(&[("target", INJECTING)]);
    watched.the_dashboard_has_data();
    watched.wait_for_sum("faultline_verdicts{guardrail=\"cap-limits\",verdict=\"mutate\"}", 1.0);
    watched.wait_for_sum("faultline_runs{state=\"Running\"}", 1.0);
    for address in [guest.reconciler_metrics(), guest.agent_metrics()] {
        check_metrics(programs, &http::get(address, "/metrics").unwrap()).unwrap();
    }
    for counter in ["faultline_injections", "faultline_agent_injections"] {
        assert!(server.knows(counter).unwrap(), "{counter} came in OpenMetrics, which Prometheus asked for");
    }

    guest.dismiss("target", &target);
    let tally = watched.every_count_is_the_tally();
    watched.the_neighbour_has_none();
    watched.wait_for_states(&[("target", ARMED)]);

    let expired = server.sum(EXPIRIES).unwrap();
    guest.kill(&reconciler);
    watched.wait_for_sum("up{job=\"reconciler\"} == bool 0", 1.0);
    watched.wait("the lease expires", || server.sum(EXPIRIES).unwrap() > expired);
    let expiries = server.sum(EXPIRIES).unwrap() - expired;
    watched.wait_for_sum(BY_AGENT, tally);
    watched.wait_for_states(&[("target", NOT_ATTACHED)]);

    guest.remove("mount-enomem.yaml");
    let _reconciler = guest.reconciler();
    watched.wait_for_states(&[]);
    println!(
        "figure: {tally} injections in the victim's tally, on both pages and in Prometheus; {expiries} lease expired"
    );
}
