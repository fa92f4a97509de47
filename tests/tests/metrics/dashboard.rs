//! The dashboard's file, read for what a data source is asked.

use std::{fs, path::PathBuf};

use faultline_lab::artifacts;
use serde_json::Value;

/// What one panel asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) panel: String,
    /// As Prometheus takes it, with every variable replaced.
    pub(crate) expression: String,
}

/// Where dashboards are.
pub(crate) fn folder() -> PathBuf {
    artifacts::workspace().join("deploy/dashboards")
}

pub(crate) fn read() -> Value {
    let text = fs::read_to_string(folder().join("faultline.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every expression of every panel, and of every variable whose values are asked for.
pub(crate) fn questions() -> Vec<Question> {
    let dashboard = read();
    let of_panel = |panel: &Value| {
        let title = text(&panel["title"]);
        let ask = move |target: &Value| Question {
            panel: title.clone(),
            expression: substitute(&text(&target["expr"])),
        };
        panel["targets"].as_array().unwrap().iter().map(ask).collect::<Vec<_>>()
    };
    dashboard["panels"].as_array().unwrap().iter().flat_map(of_panel).collect()
}

/// The metrics that variables take their values from, each with the label.
pub(crate) fn label_values() -> Vec<(String, String)> {
    let dashboard = read();
    let queries = dashboard["templating"]["list"].as_array().unwrap().iter();
    let values = queries.filter(|variable| variable["type"] == "query").map(|variable| {
        let query = text(&variable["query"]);
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let (metric, label) = inner.split_once(", ").unwrap();
        (metric.to_owned(), label.to_owned())
    });
    values.collect()
}

/// With all nodes chosen, and over a window that Grafana would take for a scrape every second.
fn substitute(expression: &str) -> String {
    let replaced = expression.replace("$node", ".*").replace("$__rate_interval", "4s");
    assert!(!replaced.contains('$'), "a variable that Grafana would replace: {replaced}");
    replaced
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn four_panels_say_what_they_show_and_have_no_plugin_of_others() {
    let dashboard = read();
    assert_eq!(dashboard["uid"], "faultline", "links to the dashboard outlive its title");
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 4);
    for panel in panels {
        let title = text(&panel["title"]);
        assert!(["state-timeline", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{title}");
        assert!(text(&panel["description"]).len() > 40, "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert!(!text(&target["legendFormat"]).is_empty(), "{title}");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}

#[test]
fn panels_lie_side_by_side() {
    let dashboard = read();
    let number = |value: &Value| value.as_u64().unwrap();
    let place = |panel: &Value| ["x", "y", "w", "h"].map(|side| number(&panel["gridPos"][side]));
    let places: Vec<_> = dashboard["panels"].as_array().unwrap().iter().map(place).collect();
    for (index, [x, y, w, h]) in places.iter().enumerate() {
        assert!(x + w <= 24 && *h > 0, "the grid is 24 wide");
        for [x2, y2, w2, h2] in &places[index + 1..] {
            let apart = x + w <= *x2 || x2 + w2 <= *x || y + h <= *y2 || y2 + h2 <= *y;
            assert!(apart, "{:?} and {:?}", (x, y), (x2, y2));
        }
    }
}
