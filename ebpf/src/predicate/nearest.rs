//! The name that may have been meant instead of one that is not known.

/// The name most like this one, if any is like it.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let alike = names.map(|other| (likeness(name, other), other)).filter(|(score, _)| *score > 0.8);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, other)| other.to_owned())
}

/// As `nearest`, among all that a kernel has: only those are compared that begin alike and are about as long.
pub(super) fn nearest_of_many<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<String> {
    let first = |name: &str| name.bytes().next().map(|byte| byte.to_ascii_lowercase());
    nearest(name, names.filter(|other| first(other) == first(name) && other.len().abs_diff(name.len()) <= 4))
}

/// Case counts for little: `strcmp` is most like `STRCMP`.
fn likeness(name: &str, other: &str) -> f64 {
    let folded = strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    strsim::jaro_winkler(name, other).max(folded - 0.01)
}
