//! Reading single values, lists and maps of strings.

use std::{collections::BTreeMap, ops::RangeInclusive};

use jiff::Timestamp;

use crate::{
    Code, Diagnostic, GoDuration,
    yaml::{Resolved, Scalar, quoted},
};

use super::{
    fields::{Field, suggestion},
    findings::Findings,
};

impl<'n> Field<'n> {
    /// A string, possibly empty.
    pub fn text(self, findings: &mut Findings) -> Option<&'n str> {
        let scalar = self.scalar("a string", findings)?;
        if !scalar.is_string() {
            let help = match scalar.resolve() {
                Resolved::Null => "give it a value in quotes, or remove the line".to_owned(),
                _ => format!("put it in quotes: \"{}\"", scalar.text),
            };
            findings.push(self.wrong_type("a string").help(help));
            return None;
        }
        self.warn_of_yaml_1_1(scalar, findings);
        Some(&scalar.text)
    }

    /// A string that is not empty.
    pub fn filled_text(self, findings: &mut Findings) -> Option<&'n str> {
        let text = self.text(findings)?;
        if text.trim().is_empty() {
            let message = format!("{} is empty", quoted(self.name));
            findings.push(Diagnostic::error(Code::EmptyValue, self.node.span, message));
            return None;
        }
        Some(text)
    }

    /// A whole number within `range`.
    pub fn number(self, range: RangeInclusive<u64>, findings: &mut Findings) -> Option<u64> {
        let wanted = "a whole number";
        let scalar = self.scalar(wanted, findings)?;
        if let (Resolved::Int(_), Some(meaning)) = (scalar.resolve(), scalar.yaml_1_1_meaning()) {
            let message =
                format!("{} is {meaning} in YAML 1.1 and decimal in YAML 1.2", quoted(&scalar.text));
            let help = "write it without the leading zero";
            findings.push(Diagnostic::error(Code::AmbiguousScalar, self.node.span, message).help(help));
            return None;
        }
        match scalar.resolve() {
            Resolved::Int(value) => self.in_range(value, range, findings),
            Resolved::Text(text) if text.parse::<u64>().is_ok() => {
                let help = format!("write it without quotes: {text}");
                findings.push(self.wrong_type(wanted).help(help));
                None
            }
            Resolved::Null | Resolved::Bool(_) | Resolved::Float(_) | Resolved::Text(_) => {
                findings.push(self.wrong_type(wanted));
                None
            }
        }
    }

    /// `value` where it is within `range`.
    pub(super) fn in_range(
        self,
        value: i128,
        range: RangeInclusive<u64>,
        findings: &mut Findings,
    ) -> Option<u64> {
        let inside = u64::try_from(value).ok().filter(|value| range.contains(value));
        if inside.is_none() {
            let message = format!(
                "{} takes {} to {}, and this is {value}",
                quoted(self.name),
                range.start(),
                range.end()
            );
            findings.push(Diagnostic::error(Code::OutOfRange, self.node.span, message));
        }
        inside
    }

    /// `true` or `false`.
    pub fn boolean(self, findings: &mut Findings) -> Option<bool> {
        let scalar = self.scalar("true or false", findings)?;
        if let Resolved::Bool(value) = scalar.resolve() {
            return Some(value);
        }
        let help = scalar.yaml_1_1_meaning().and_then(|meaning| {
            meaning
                .strip_prefix("the boolean ")
                .map(|value| format!("write `{value}`: only YAML 1.1 reads it so"))
        });
        findings.push(Diagnostic { help, ..self.wrong_type("true or false") });
        None
    }

    /// A duration as Go writes it.
    pub fn duration(self, findings: &mut Findings) -> Option<GoDuration> {
        let scalar = self.scalar("a duration such as \"90s\"", findings)?;
        let parsed = scalar.text.parse::<GoDuration>();
        if let Ok(duration) = parsed
            && scalar.is_string()
        {
            return Some(duration);
        }
        let reason = parsed.err().map_or_else(|| "a duration is a string".into(), |error| error.to_string());
        let message = format!("{} is not a duration: {reason}", quoted(&scalar.text));
        let help = "write numbers with units, such as \"90s\" or \"1h30m\"";
        findings.push(Diagnostic::error(Code::InvalidDuration, self.node.span, message).help(help));
        None
    }

    /// An instant as RFC 3339 has it, with its offset. Unquoted it is a string too: YAML 1.2 has no timestamps.
    pub fn instant(self, findings: &mut Findings) -> Option<Timestamp> {
        let text = self.filled_text(findings)?;
        let instant = text.parse::<Timestamp>();
        if let Err(error) = &instant {
            let message = format!("{} is not an instant: {error}", quoted(text));
            let help = "write date, time and offset, such as 2026-12-01T00:00:00Z";
            findings.push(Diagnostic::error(Code::InvalidInstant, self.node.span, message).help(help));
        }
        instant.ok()
    }

    /// One of a few words.
    pub fn word<T: Copy>(self, words: &[(&'static str, T)], findings: &mut Findings) -> Option<T> {
        let text = self.text(findings)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known = words.iter().map(|(word, _)| *word);
            let message = format!("{} does not take {}", quoted(self.name), quoted(text));
            let help = suggestion(text, known.clone())
                .unwrap_or_else(|| format!("it takes {}", known.collect::<Vec<_>>().join(", ")));
            findings.push(Diagnostic::error(Code::UnknownValue, self.node.span, message).help(help));
        }
        found.map(|(_, value)| *value)
    }

    /// A list of strings that are not empty; the usable ones.
    pub fn texts(self, findings: &mut Findings) -> Option<Vec<String>> {
        let items = self.items(findings)?;
        Some(items.into_iter().filter_map(|item| item.filled_text(findings).map(str::to_owned)).collect())
    }

    /// A mapping from strings to strings; the usable ones.
    pub fn text_map(self, findings: &mut Findings) -> Option<BTreeMap<String, String>> {
        let mut map = BTreeMap::new();
        for entry in self.entries(findings)? {
            if let Some(text) = Field::of_entry(entry).text(findings) {
                map.insert(entry.key.to_string(), text.to_owned());
            }
        }
        Some(map)
    }

    fn warn_of_yaml_1_1(self, scalar: &Scalar, findings: &mut Findings) {
        if let Some(meaning) = scalar.yaml_1_1_meaning() {
            let message =
                format!("{} is {meaning} to YAML 1.1 readers, kubectl among them", quoted(&scalar.text));
            let help = format!("put it in quotes: \"{}\"", scalar.text);
            findings.push(Diagnostic::warning(Code::AmbiguousScalar, self.node.span, message).help(help));
        }
    }
}
