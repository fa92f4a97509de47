//! Content addresses and the one JSON that everything is compared in.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// JSON without white space. Maps are ordered by key, so the same value gives the same text.
#[must_use]
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    #[expect(
        clippy::expect_used,
        reason = "every map of this crate has text keys, and nothing else can fail"
    )]
    serde_json::to_string(value).expect("a value of plain data")
}

/// The same, for people: indented by two.
#[must_use]
pub fn pretty_json<T: Serialize + ?Sized>(value: &T) -> String {
    #[expect(
        clippy::expect_used,
        reason = "every map of this crate has text keys, and nothing else can fail"
    )]
    serde_json::to_string_pretty(value).expect("a value of plain data")
}

/// `sha256:<hex>` of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in Sha256::digest(bytes) {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    text
}

/// SHA-256 of the JSON of `value`: equal for equal values, and in practice for no others.
#[must_use]
pub fn content<T: Serialize + ?Sized>(value: &T) -> [u8; 32] {
    Sha256::digest(json(value)).into()
}

/// SHA-256 of `parts`, each preceded by its length, so that it shows where one ends.
#[must_use]
pub fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The first eight bytes of [`digest_of`] `parts`, as a number.
#[must_use]
pub fn hash64(parts: &[&[u8]]) -> u64 {
    digest_of(parts).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_that_others_compute() {
        assert_eq!(sha256(b"abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn where_a_part_ends_changes_the_hash() {
        assert_ne!(hash64(&[b"ab", b"c"]), hash64(&[b"a", b"bc"]));
    }
}
