//! Where two documents differ.

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::Value;

use crate::answer::shortened;

/// Bytes of a value that are shown.
const VALUE_BYTES: usize = 80;

/// One place; `None` where there is nothing.
#[derive(Debug, PartialEq)]
pub(super) struct Change<'a> {
    /// Such as `spec.selector.namespaces[0]` or `metadata.labels["app.kubernetes.io/name"]`; `.` is the whole.
    pub(super) path: String,
    pub(super) old: Option<&'a Value>,
    pub(super) new: Option<&'a Value>,
}

/// Every place at which the documents differ, as deep as it goes, in the order of their paths. To Kubernetes, null is
/// the same as nothing, and a number is the same however it is written.
pub(super) fn changes<'a>(old: &'a Value, new: &'a Value) -> Vec<Change<'a>> {
    let mut found = Vec::new();
    compare("", Some(old), Some(new), &mut found);
    found
}

/// A value as it is shown: the start of its JSON.
pub(super) fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    let end = text.floor_char_boundary(VALUE_BYTES);
    let more = if end < text.len() { "…" } else { "" };
    shortened(format!("{}{more}", &text[..end]))
}

fn compare<'a>(path: &str, old: Option<&'a Value>, new: Option<&'a Value>, found: &mut Vec<Change<'a>>) {
    let [old, new] = [old, new].map(|value| value.filter(|value| !value.is_null()));
    match (old, new) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            for key in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                compare(&member(path, key), before.get(key), after.get(key), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                compare(&format!("{path}[{index}]"), before.get(index), after.get(index), found);
            }
        }
        _ if is_same(old, new) => {}
        _ => {
            let path = if path.is_empty() { "." } else { path };
            found.push(Change { path: shortened(path.to_owned()), old, new });
        }
    }
}

fn is_same(old: Option<&Value>, new: Option<&Value>) -> bool {
    match (old, new) {
        // 5 and 5.0; what is too large for a whole number in both is compared as it is.
        (Some(Value::Number(old)), Some(Value::Number(new))) if old.is_f64() != new.is_f64() => {
            old.as_f64() == new.as_f64()
        }
        _ => old == new,
    }
}

/// The path of a member, in quotes where its name is no plain word.
fn member(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let key: Cow<'_, str> = if plain { key.into() } else { format!("[{}]", Value::from(key)).into() };
    match (path.is_empty(), plain) {
        (false, true) => format!("{path}.{key}"),
        _ => format!("{path}{key}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_is_named() {
        let old = json!({ "a": { "b.c": [1, 2], "d": null, "e": 5 }, "gone": true, "\u{1b}": 1 });
        let new = json!({ "a": { "b.c": [1, 3, 4], "e": 5.0, "f": null }, "come": {}, "\u{1b}": 2 });
        let places: Vec<_> = changes(&old, &new)
            .into_iter()
            .map(|Change { path, old, new }| format!("{path}: {} {}", shown(old), shown(new)))
            .collect();
        let expected = [
            r#"["\u001b"]: 1 2"#,
            r#"a["b.c"][1]: 2 3"#,
            r#"a["b.c"][2]: nothing 4"#,
            "come: nothing {}",
            "gone: true nothing",
        ];
        assert_eq!(places, expected);
        assert_eq!(changes(&old, &old), []);
        let text = json!("text");
        let whole: Vec<_> = changes(&old, &text).into_iter().map(|change| change.path).collect();
        assert_eq!(whole, ["."]);
    }

    #[test]
    fn a_number_is_the_same_however_it_is_written_and_a_text_is_none() {
        for (old, new, same) in [
            (json!(5), json!(5.0), true),
            (json!(0), json!(-0.0), true),
            (json!(5), json!("5"), false),
            (json!(5), json!(5.5), false),
            (json!(null), json!(false), false),
            (json!([]), json!({}), false),
            (json!([1, 2]), json!([2, 1]), false),
        ] {
            assert_eq!(changes(&old, &new).is_empty(), same, "{old} {new}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(shown(Some(&json!("é".repeat(100)))).chars().last(), Some('…'));
        assert!(shown(Some(&json!("é".repeat(100)))).len() < 100);
    }
}
