//! The revision of a directory: a digest of what is in it.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// `sha256:` over each path with the digest of its content, in the order of the paths. Neither times, nor the order
/// in which the file system lists, nor the root's own path have a part in it.
pub(super) fn revision(files: &BTreeMap<String, Arc<[u8]>>) -> String {
    let mut digest = Sha256::new();
    for (path, content) in files {
        // A length before the path: no two lists of paths read the same.
        digest.update((path.len() as u64).to_le_bytes());
        digest.update(path);
        digest.update(Sha256::digest(content));
    }
    format!("sha256:{}", hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> BTreeMap<String, Arc<[u8]>> {
        files.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes().into())).collect()
    }

    #[test]
    fn a_byte_that_moves_between_a_path_and_a_content_changes_the_revision() {
        let all = [
            tree(&[]),
            tree(&[("a", "")]),
            tree(&[("a", "b")]),
            tree(&[("ab", "")]),
            tree(&[("a", ""), ("b", "")]),
            tree(&[("a", "b"), ("b", "a")]),
            tree(&[("a", "a"), ("b", "b")]),
        ];
        let revisions: std::collections::BTreeSet<_> = all.iter().map(revision).collect();
        assert_eq!(revisions.len(), all.len());
    }
}
