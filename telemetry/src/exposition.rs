//! A page of metrics in the format that the one who asks can read.
//!
//! Pages are made in OpenMetrics' text format. Prometheus asks for that one by name. Whoever does not, such as an older
//! scraper or a person with a browser, gets the text format 0.0.4, which everything reads. Ours have no units, exemplars
//! or types that only one of the two knows, so the formats differ in two things: before its help and type OpenMetrics
//! has a counter's name without `_total`, and it ends with `# EOF`.

use std::collections::BTreeSet;

use axum::{
    http::{
        HeaderMap,
        header::{ACCEPT, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse as _, Response},
};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a request that has `headers` with `page`, which is in OpenMetrics' text format.
#[must_use]
pub fn answer(headers: &HeaderMap, page: String) -> Response {
    let accept = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let (kind, page) = if wants_open_metrics(accept) { (OPEN_METRICS, page) } else { (TEXT, as_text(&page)) };
    ([(CONTENT_TYPE, kind), (VARY, "accept")], page).into_response()
}

/// The page in the text format 0.0.4.
#[must_use]
pub fn as_text(page: &str) -> String {
    let counters: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let in_text = |line: &str| {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(name) => {
                format!("# {kind} {name}_total {rest}\n")
            }
            _ => format!("{line}\n"),
        }
    };
    page.lines().filter(|line| *line != "# EOF").map(in_text).collect()
}

/// Whether OpenMetrics is asked for by name, and nothing else of ours is preferred to it. Who takes anything at all is a
/// person rather than a scraper.
fn wants_open_metrics<'a>(accept: impl Iterator<Item = &'a str>) -> bool {
    let ranges: Vec<Range<'_>> = accept.flat_map(|line| line.split(',')).filter_map(Range::parse).collect();
    let weight = |kind: &str, versions: &[&str]| {
        let ours = ranges.iter().filter(|range| {
            range.kind.eq_ignore_ascii_case(kind)
                && range.version.is_none_or(|version| versions.contains(&version))
        });
        ours.map(|range| range.weight).fold(0.0, f32::max)
    };
    let open_metrics = weight("application/openmetrics-text", &["1.0.0", "0.0.1"]);
    open_metrics > 0.0 && open_metrics >= weight("text/plain", &["0.0.4"])
}

/// One of the kinds of content that are accepted.
struct Range<'a> {
    kind: &'a str,
    version: Option<&'a str>,
    /// Between 0, not at all, and 1.
    weight: f32,
}

impl<'a> Range<'a> {
    /// `None` where the weight is not a number: nobody means that.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Self { kind: parts.next()?, version: None, weight: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "version" => range.version = Some(value.trim_matches('"')),
                "q" | "Q" => range.weight = value.parse().ok()?,
                _ => {}
            }
        }
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# HELP a_b What b is.\n# TYPE a_b counter\na_b_total{x=\"# TYPE c counter\"} 1\n\
                        # HELP c What.\n# TYPE c gauge\nc 2\n# EOF\n";

    #[test]
    fn in_the_text_format_counters_are_named_as_their_samples_and_nothing_marks_the_end() {
        let text = "# HELP a_b_total What b is.\n# TYPE a_b_total counter\na_b_total{x=\"# TYPE c counter\"} 1\n\
                    # HELP c What.\n# TYPE c gauge\nc 2\n";
        assert_eq!(as_text(PAGE), text);
    }

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it_by_name() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_2 =
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let table = [
            (prometheus_3, true),
            (prometheus_2, true),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; version=\"1.0.0\"", true),
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.4", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=much", false),
            ("application/openmetrics-text;version=2.0.0", false),
        ];
        for (accept, open_metrics) in table {
            assert_eq!(wants_open_metrics([accept].into_iter()), open_metrics, "{accept:?}");
        }
        assert!(
            wants_open_metrics(["*/*;q=0.1", "application/openmetrics-text"].into_iter()),
            "on two lines"
        );
    }

    #[test]
    fn an_answer_says_what_it_is_and_that_it_depends_on_what_is_accepted() {
        let kind = |accept: Option<&str>| {
            let headers = accept.map(|accept| (ACCEPT, accept.parse().unwrap()));
            let answer = answer(&headers.into_iter().collect(), PAGE.to_owned());
            assert_eq!(answer.headers()[VARY], "accept");
            answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned()
        };
        assert_eq!(kind(None), "text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(
            kind(Some("application/openmetrics-text")),
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
    }
}
