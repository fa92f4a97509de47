use super::*;

fn series(pod: &str, injections: u64) -> Series {
    Series {
        experiment: "chaos/mount".into(),
        run: 3,
        namespace: "shop".into(),
        pod: pod.into(),
        container: "main".into(),
        fault: Fault::Slab,
        held: true,
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
        "faultline_agent_injections_total{experiment=\"chaos/mount\",run=\"3\",node=\"node-a\",\
         namespace=\"shop\",pod=\"pod-1\",container=\"main\",fault=\"slab\"} 41"
    );
    assert!(line(&page, "faultline_agent_hits_total").ends_with("} 42"));
    assert_eq!(line(&page, "faultline_agent_probes{state=\"attached\"}").split(' ').next_back(), Some("1"));
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
fn every_reason_is_there_from_the_start() {
    let page = Metrics::new("node-a").page().unwrap();
    for reason in NackReason::ALL {
        let name = format!("faultline_agent_desired_sets_refused_total{{reason=\"{}\"}}", reason.as_str());
        assert!(line(&page, &name).ends_with(" 0"));
    }
    for name in ["lease_expiries", "sessions", "connect_failures", "injections_lost"] {
        assert_eq!(
            line(&page, &format!("faultline_agent_{name}_total")),
            format!("faultline_agent_{name}_total 0")
        );
    }
}
