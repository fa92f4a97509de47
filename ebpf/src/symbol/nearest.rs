//! Names that may have been meant instead.

/// Names that are less alike are of no help.
const ALIKE: f64 = 0.85;

/// The `most` names that are most like `name`, the most alike first: those that contain it, and those that are spelt
/// like it.
pub(super) fn nearest<'n>(
    name: &str,
    others: impl Iterator<Item = (Option<&'n str>, &'n str)>,
    most: usize,
) -> Vec<String> {
    if name.is_empty() {
        return Vec::new();
    }
    let score = |other: &str| if other.contains(name) { 1.0 } else { strsim::jaro_winkler(name, other) };
    let mut scored: Vec<_> = others
        .map(|(module, other)| (score(other), other, module))
        .filter(|(score, ..)| *score > ALIKE)
        .collect();
    scored
        .sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.1.len(), a.1, a.2).cmp(&(b.1.len(), b.1, b.2))));
    scored.dedup_by_key(|(_, other, module)| (*other, *module));
    let written = |module: Option<&str>, other: &str| match module {
        Some(module) => format!("{module}:{other}"),
        None => other.to_owned(),
    };
    scored.into_iter().take(most).map(|(_, other, module)| written(module, other)).collect()
}
