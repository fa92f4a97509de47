//! Names of nodes.

use thiserror::Error;

/// Longest name of a node, in bytes.
const LONGEST: usize = 253;

/// Why a text is no name of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the name of a node is 1 to {LONGEST} lower-case letters, digits, `-` and `.`, with a letter or digit at both ends \
     and on both sides of every dot"
)]
pub struct NodeNameError;

/// What Kubernetes takes as the name of a node: a DNS subdomain. It is no path either, and needs no quotes in a log.
///
/// # Errors
/// It is none.
pub fn node_name(text: &str) -> Result<String, NodeNameError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_plain)
            && label.ends_with(is_plain)
            && label.chars().all(|c| is_plain(c) || c == '-')
    };
    let fits = text.len() <= LONGEST && text.split('.').all(is_label);
    fits.then(|| text.to_owned()).ok_or(NodeNameError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_kubernetes_takes() {
        let longest = "a".repeat(LONGEST);
        for name in ["n1", "worker-1", "ip-10-0-0-1.eu.example", "0", &longest] {
            assert_eq!(node_name(name).as_deref(), Ok(name));
        }
        let longer = "a".repeat(LONGEST + 1);
        let others =
            ["", "a b/../c", "..", "a..b", ".a", "a.", "-a", "a-", "A", "a_b", "a\nb", "a\n", "é", &longer];
        for other in others {
            assert_eq!(node_name(other), Err(NodeNameError), "{other:?}");
        }
    }
}
