//! What Kubernetes and the kernel accept as a name.

/// Longest name of an object, in bytes (RFC 1123 subdomain).
const LONGEST_SUBDOMAIN: usize = 253;
/// Longest name of a namespace, in bytes (RFC 1123 label).
const LONGEST_LABEL: usize = 63;
/// Longest symbol of the kernel, in bytes: `KSYM_NAME_LEN` is 512 with the terminating zero.
const LONGEST_SYMBOL: usize = 511;

/// Why `text` is not a DNS-1123 label, where it is not.
pub(super) fn label_error(text: &str) -> Option<&'static str> {
    if text.len() > LONGEST_LABEL {
        return Some("it is longer than 63 characters");
    }
    part_error(text)
}

/// Why `text` is not a DNS-1123 subdomain, where it is not.
pub(super) fn subdomain_error(text: &str) -> Option<&'static str> {
    if text.len() > LONGEST_SUBDOMAIN {
        return Some("it is longer than 253 characters");
    }
    text.split('.').find_map(part_error)
}

fn part_error(part: &str) -> Option<&'static str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if part.bytes().any(|byte| !is_plain(byte) && byte != b'-') {
        return Some("only lower-case letters, digits, `-` and, in names of objects, `.` are allowed");
    }
    let ends = (part.bytes().next(), part.bytes().next_back());
    if let (Some(first), Some(last)) = ends
        && is_plain(first)
        && is_plain(last)
    {
        return None;
    }
    Some("it must begin and end with a letter or digit")
}

/// Longest name of a module, in characters: the kernel's `MODULE_NAME_LEN` less the end of the text.
const LONGEST_MODULE: usize = 55;

/// Why no kernel has a function of this name, where that is clear: a C identifier, and what compilers append behind
/// dots (`.isra.0`, `.constprop.0`). The module that it is in may stand before it (`ext4:ext4_find_entry`).
pub(super) fn symbol_error(text: &str) -> Option<&'static str> {
    match text.split_once(':') {
        Some((module, function)) => module_error(module).or_else(|| function_error(function)),
        None => function_error(text),
    }
}

fn module_error(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("there is no module before the colon");
    }
    if text.len() > LONGEST_MODULE {
        return Some("the module's name is longer than 55 characters");
    }
    let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
    text.chars().any(is_odd).then_some("a module's name has only letters, digits, `_` and `-`")
}

fn function_error(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("there is no function");
    }
    if text.len() > LONGEST_SYMBOL {
        return Some("it is longer than 511 characters");
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return Some("it begins with a digit");
    }
    if text.chars().any(|c| !c.is_ascii_alphanumeric() && c != '_' && c != '.') {
        return Some("only letters, digits, `_` and dots are allowed");
    }
    text.split('.').any(str::is_empty).then_some("there is nothing on one side of a dot")
}

/// Whether a glob over namespaces can match any: labels with `*` and `?`.
pub(super) fn glob_error(text: &str) -> Option<&'static str> {
    let can_match = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '*' | '?');
    (!text.chars().all(can_match))
        .then_some("namespaces have lower-case letters, digits and `-`; `*` and `?` stand for others")
}

/// Whether a glob over names of objects can match any: labels with dots, `*` and `?`.
pub(super) fn name_glob_error(text: &str) -> Option<&'static str> {
    let can_match =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '*' | '?');
    (!text.chars().all(can_match))
        .then_some("names have lower-case letters, digits, `-` and `.`; `*` and `?` stand for others")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_as_kubernetes_judges_them() {
        for good in ["a", "a-b", "a.b", "0", "chaos-testing"] {
            assert_eq!(subdomain_error(good), None, "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", ".a", "a_b", "ä", &"a".repeat(254)] {
            assert!(subdomain_error(bad).is_some(), "{bad}");
        }
        for bad in ["a.b", "", &"a".repeat(64)] {
            assert!(label_error(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn functions_are_c_identifiers_with_what_compilers_append() {
        for good in
            ["__x64_sys_mount", "ext4_mount", "foo.isra.0", "_", "ext4:ext4_mount", "snd-hda:a.b", "8021q:f"]
        {
            assert_eq!(symbol_error(good), None, "{good}");
        }
        for bad in [
            "0foo", "foo bar", "foo+0x10", "foo.", "a..b", "f\u{f6}o", "foo()", "a:b:c", ":f", "m:", "m:0f",
            "a.b:f", "a b:f",
        ] {
            assert!(symbol_error(bad).is_some(), "{bad}");
        }
    }
}
