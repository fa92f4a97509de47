use faultline_api::Fault;
use faultline_core::report::ProbeState;
use faultline_telemetry::testing::rows;

use super::*;
use crate::ledger::Tally;

fn series(pod: &str, injections: u64) -> Series {
    Series {
        experiment: "chaos/mount".into(),
        run: 3,
        namespace: "shop".into(),
        pod: pod.into(),
        container: "main".into(),
        fault: Fault::Slab,
        held: true,
        attached: true,
        state: ProbeState::Attached,
        tally: Tally { injections, hits: injections + 1, ..Tally::default() },
    }
}

fn line<'a>(page: &'a str, start: &str) -> &'a str {
    page.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in\n{page}"))
}

#[test]
fn a_probe_is_shown_with_the_names_that_people_know_and_the_kernels_own_counts() {
    let metrics = Metrics::new("node-a");
    metrics.show(vec![series("pod-1", 41)]);
    let page = metrics.page().unwrap();
    assert_eq!(
        line(&page, "faultline_agent_injections_total"),
        "faultline_agent_injections_total{node=\"node-a\",experiment=\"chaos/mount\",run=\"3\",\
         namespace=\"shop\",pod=\"pod-1\",container=\"main\",fault=\"slab\"} 41"
    );
    assert!(line(&page, "faultline_agent_hits_total").ends_with("} 42"));
    assert_eq!(
        line(&page, "faultline_agent_probes{node=\"node-a\",state=\"attached\"}").split(' ').next_back(),
        Some("1")
    );
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn probes_of_one_container_and_run_are_one_series() {
    let metrics = Metrics::new("node-a");
    metrics.show(vec![series("pod-1", 4), series("pod-1", 5), series("pod-2", 6)]);
    let page = metrics.page().unwrap();
    let shown: Vec<_> =
        page.lines().filter(|line| line.starts_with("faultline_agent_injections_total")).collect();
    assert_eq!(shown.len(), 2);
    assert!(shown[0].ends_with("} 9") && shown[1].ends_with("} 6"), "{shown:?}");
}

#[test]
fn what_is_attached_is_shown_though_nothing_calls_it_until_it_is_neither_desired_nor_attached() {
    let metrics = Metrics::new("node-a");
    let attached = |series: Vec<Series>| {
        metrics.show(series);
        let page = metrics.page().unwrap();
        let value = |line: &str| {
            let (labels, value) = line.strip_prefix("faultline_agent_attached{")?.split_once("} ")?;
            assert!(labels.starts_with("node=\"node-a\",experiment=\"chaos/mount\",run=\"3\""), "{labels}");
            Some(value.to_owned())
        };
        page.lines().filter_map(value).collect::<Vec<_>>()
    };
    let quiet = Series { tally: Tally::default(), ..series("pod-1", 0) };
    let failed = ProbeState::Failed { error: "no such function".into() };
    let refused = Series { attached: false, state: failed, ..quiet.clone() };
    let leaving = Series { held: false, state: ProbeState::Detached, ..quiet.clone() };
    let gone = Series { attached: false, ..leaving.clone() };
    assert_eq!(attached(vec![quiet.clone()]), ["1"]);
    assert_eq!(attached(vec![refused.clone()]), ["0"]);
    assert_eq!(attached(vec![leaving]), ["1"], "detaching takes a moment");
    assert_eq!(attached(vec![gone.clone()]), [""; 0]);
    assert_eq!(attached(vec![gone, quiet.clone(), refused]), ["1"], "one container's, in turn");
    assert_eq!(attached(vec![quiet, series("pod-2", 1)]), ["1", "1"]);
}

#[test]
fn a_page_is_of_one_observation_whatever_is_observed_meanwhile() {
    let metrics = Arc::new(Metrics::new("node-a"));
    let pods = |count: u64| (0..count).map(|pod| series(&format!("pod-{pod}"), 1)).collect::<Vec<_>>();
    metrics.show(pods(1));
    let (shows, stop) = (Arc::clone(&metrics), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let until = Arc::clone(&stop);
    let showing = std::thread::spawn(move || {
        for turn in 0.. {
            shows.show(pods(1 + turn % 20));
            if until.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
        }
    });
    for _ in 0..200 {
        let page = metrics.page().unwrap();
        let count = |name: &str| page.lines().filter(|line| line.starts_with(name)).count().to_string();
        let attached = line(&page, "faultline_agent_probes{node=\"node-a\",state=\"attached\"}");
        let attached = attached.rsplit(' ').next().unwrap();
        assert_eq!(count("faultline_agent_attached{"), attached);
        assert_eq!(count("faultline_agent_contended_total{"), attached);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    showing.join().unwrap();
}

#[test]
fn every_reason_and_every_count_of_the_node_is_there_from_the_start() {
    let page = Metrics::new("node-a").page().unwrap();
    for reason in NackReason::ALL {
        let name = format!(
            "faultline_agent_desired_sets_refused_total{{node=\"node-a\",reason=\"{}\"}}",
            reason.as_str()
        );
        assert!(line(&page, &name).ends_with(" 0"));
    }
    for name in ["lease_expiries", "sessions", "connect_failures", "injections_lost"] {
        assert_eq!(
            line(&page, &format!("faultline_agent_{name}_total")),
            format!("faultline_agent_{name}_total{{node=\"node-a\"}} 0")
        );
    }
    for state in ["attached", "failed", "pending", "over"] {
        let name = format!("faultline_agent_probes{{node=\"node-a\",state=\"{state}\"}}");
        assert!(line(&page, &name).ends_with(" 0"));
    }
}

fn kernel() -> KernelReport {
    let faults = [
        (Fault::Slab, Injectability::Yes { mechanism: "fmod_ret".to_owned() }),
        (Fault::Bio, Injectability::No { reason: "never called".to_owned() }),
    ];
    KernelReport {
        release: "6.1.0".to_owned(),
        machine: "x86_64".to_owned(),
        faults: faults.into(),
        ..KernelReport::default()
    }
}

#[test]
fn what_the_kernel_can_do_is_a_gauge_for_each_fault() {
    let metrics = Metrics::new("node-a");
    metrics.can(&kernel());
    let page = metrics.page().unwrap();
    for (fault, value) in [("slab", 1), ("bio", 0)] {
        let name = format!("faultline_agent_fault_usable{{node=\"node-a\",fault=\"{fault}\"}}");
        assert!(line(&page, &name).ends_with(&format!(" {value}")));
    }
}

#[test]
fn the_documentation_has_one_row_for_each_metric_and_no_other() {
    let metrics = Metrics::new("node-a");
    metrics.can(&kernel());
    metrics.show(vec![series("pod-1", 1)]);
    metrics.show_missed(BTreeMap::from([("kretprobe/path_mount".into(), 2)]));
    let (_, table) = include_str!("../../../METRICS.md").split_once("|---|---|---|\n").unwrap();
    assert_eq!(table, rows(&metrics.page().unwrap()));
}
