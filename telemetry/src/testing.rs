//! What tests of a page and of its documentation share.

use std::collections::BTreeMap;

/// The rows of a page's documentation, in the page's order: name, labels and meaning of each metric. `page` is in
/// OpenMetrics' text format, and each metric has a sample in it.
#[must_use]
pub fn rows(page: &str) -> String {
    let page = crate::exposition::as_text(page);
    let mut labels: BTreeMap<&str, String> = BTreeMap::new();
    for sample in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = sample.rsplit_once(' ').unwrap_or((sample, ""));
        let (name, set) = series.split_once('{').unwrap_or((series, ""));
        labels.entry(name).or_insert_with(|| names_in(set));
    }
    let row = |(name, help): (&str, &str)| {
        let labels = labels.get(name).map_or("", String::as_str);
        format!("| `{name}` | {labels} | {} |\n", help.trim_end_matches('.'))
    };
    let helps = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    helps.map(row).collect()
}

/// The names in a set of labels, whose values have no `=\"` in them.
fn names_in(set: &str) -> String {
    let parts: Vec<&str> = set.split("=\"").collect();
    let names = parts.iter().take(parts.len().saturating_sub(1));
    let name = |part: &&str| part.rsplit(',').next().unwrap_or_default().to_owned();
    names.map(name).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_name_of_the_samples_their_labels_and_the_help() {
        let page = "# HELP a What a is.\n# TYPE a counter\na_total{x=\"1,2\",y=\"3\"} 4\n\
                    # HELP b What b is\n# TYPE b gauge\nb 5\n# EOF\n";
        assert_eq!(rows(page), "| `a_total` | `x`, `y` | What a is |\n| `b` |  | What b is |\n");
    }
}
