//! What a scalar means: YAML 1.2's core schema, and where YAML 1.1 would disagree.

use super::node::{CoreTag, Scalar, Style};

/// The meaning of a scalar in YAML 1.2's core schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resolved<'s> {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction or exponent, beyond an `i128`, infinite, or not a number.
    Float(f64),
    /// Everything else.
    Text(&'s str),
}

impl Scalar {
    /// What it means.
    #[must_use]
    pub fn resolve(&self) -> Resolved<'_> {
        match (self.style, self.tag) {
            (_, Some(CoreTag::Str)) | (Style::Quoted | Style::Block, None) => Resolved::Text(&self.text),
            (Style::Plain, None) | (_, Some(CoreTag::Plain)) => plain(&self.text),
        }
    }

    /// Whether it means a string.
    #[must_use]
    pub fn is_string(&self) -> bool {
        matches!(self.resolve(), Resolved::Text(_))
    }

    /// What a YAML 1.1 reader, such as Kubernetes' own, takes it for where that is something else.
    #[must_use]
    pub fn yaml_1_1_meaning(&self) -> Option<String> {
        if self.style == Style::Plain && self.tag.is_none() { yaml_1_1(&self.text) } else { None }
    }
}

impl Resolved<'_> {
    /// What it is, with an article, for messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Resolved::Null => "nothing".into(),
            Resolved::Bool(value) => format!("the boolean {value}"),
            Resolved::Int(value) => format!("the number {value}"),
            Resolved::Float(value) => format!("the number {value}"),
            Resolved::Text("") => "an empty string".into(),
            Resolved::Text(text) => format!("the string {}", super::quoted(text)),
        }
    }
}

/// An unquoted scalar by the core schema's rules.
fn plain(text: &str) -> Resolved<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Resolved::Float(sign * f64::INFINITY);
    }
    number(text, digits).unwrap_or(Resolved::Text(text))
}

/// `text` as a number; `digits` is the same without its sign.
fn number<'t>(text: &str, digits: &str) -> Option<Resolved<'t>> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return Some(
                i128::from_str_radix(digits, radix).map_or(Resolved::Float(f64::INFINITY), Resolved::Int),
            );
        }
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits.bytes().any(|b| b.is_ascii_digit())
        || !digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(value) = text.parse()
    {
        return Some(Resolved::Int(value));
    }
    text.parse().ok().map(Resolved::Float)
}

/// What YAML 1.1 makes of an unquoted text, where that differs from YAML 1.2.
fn yaml_1_1(text: &str) -> Option<String> {
    let boolean = |value| Some(format!("the boolean {value}"));
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return boolean(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return boolean(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let numeral = digits.replace('_', "");
    let all = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    if let Some(bits) = numeral.strip_prefix("0b").filter(|bits| all(bits, 2)) {
        return i128::from_str_radix(bits, 2).ok().map(|value| format!("the number {value}"));
    }
    if numeral.len() > 1 && numeral.starts_with('0') && all(&numeral, 8) {
        return i128::from_str_radix(&numeral, 8).ok().map(|value| format!("the octal number {value}"));
    }
    if digits.contains('_') && all(&numeral, 10) {
        return Some(format!("the number {numeral}"));
    }
    let mut parts = numeral.split(':');
    let sexagesimal = numeral.contains(':')
        && parts.next().is_some_and(|first| all(first, 10))
        && parts.all(|part| part.len() <= 2 && all(part, 10) && part < "60");
    sexagesimal.then(|| "a number in base 60".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        for (text, meaning) in [
            ("", Resolved::Null),
            ("~", Resolved::Null),
            ("True", Resolved::Bool(true)),
            ("-12", Resolved::Int(-12)),
            ("+7", Resolved::Int(7)),
            ("010", Resolved::Int(10)),
            ("0o10", Resolved::Int(8)),
            ("0xfF", Resolved::Int(255)),
            ("1.5e3", Resolved::Float(1500.0)),
            (".5", Resolved::Float(0.5)),
            ("-.inf", Resolved::Float(f64::NEG_INFINITY)),
            ("0x", Resolved::Text("0x")),
            ("-0x1", Resolved::Text("-0x1")),
            ("1_000", Resolved::Text("1_000")),
            ("yes", Resolved::Text("yes")),
            (".", Resolved::Text(".")),
            ("-", Resolved::Text("-")),
            ("1e", Resolved::Text("1e")),
            ("1.2.3", Resolved::Text("1.2.3")),
            ("infinity", Resolved::Text("infinity")),
            ("e5", Resolved::Text("e5")),
        ] {
            assert_eq!(plain(text), meaning, "{text:?}");
        }
    }

    #[test]
    fn where_yaml_1_1_disagrees_is_known() {
        for text in ["yes", "Off", "n", "010", "-017", "0b11", "1_000", "1:30", "12:30:45"] {
            assert!(yaml_1_1(text).is_some(), "{text:?}");
        }
        for text in ["true", "10", "0", "08", "yesterday", "1:99", "a:b", "2026-01-01", "_1", "-", ""] {
            assert_eq!(yaml_1_1(text), None, "{text:?}");
        }
    }
}
