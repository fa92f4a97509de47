//! What a `/metrics` page says, read the way Prometheus reads it.

use std::{collections::BTreeMap, io, net::SocketAddr};

use crate::http;

/// Samples by their series as it stands on the page, name and labels together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page(BTreeMap<String, f64>);

impl Page {
    /// Fetches `http://{address}/metrics`.
    ///
    /// # Errors
    /// The server cannot be reached, or its answer is not a page of metrics.
    pub fn fetch(address: SocketAddr) -> io::Result<Self> {
        Self::parse(&http::get(address, "/metrics")?).ok_or_else(|| io::Error::other("not a page of metrics"))
    }

    /// The sum over all series of `name` that carry every one of `labels`, and 0 where there is none.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let of_name = |series: &&String| series.split('{').next() == Some(name);
        self.0
            .iter()
            .filter(|(series, _)| {
                of_name(series) && wanted.iter().all(|label| series.contains(label.as_str()))
            })
            .map(|(_, value)| value)
            .sum()
    }

    fn parse(body: &str) -> Option<Self> {
        let samples = body.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        samples.map(sample).collect::<Option<_>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_their_labels() {
        let page =
            Page::parse("# HELP a b\na_total{x=\"1\",y=\"2\"} 3\na_total{x=\"1\",y=\"3\"} 4\nb 1\n").unwrap();
        assert_eq!(page.sum("a_total", &[("x", "1")]), 7.0);
        assert_eq!(page.sum("a_total", &[("y", "3")]), 4.0);
        assert_eq!(page.sum("missing", &[]), 0.0);
    }

    #[test]
    fn a_page_that_is_not_metrics_is_refused() {
        assert_eq!(Page::parse("<html>"), None);
    }
}
