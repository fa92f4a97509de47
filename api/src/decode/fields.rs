//! Walking a mapping: which fields were asked for, which are missing, which nobody knows.

use crate::{
    Code, Diagnostic, Span,
    yaml::{Entry, Node, Scalar, Value, quoted},
};

use super::findings::Findings;

/// The fields of a mapping. Every name that is asked for is a known name; what is left over is unknown.
pub struct Fields<'n> {
    /// What the mapping is, for messages, such as `selector`.
    what: &'n str,
    /// Where to point when a field is missing.
    place: Span,
    entries: &'n [Entry],
    known: Vec<&'static str>,
}

/// A value and what it is called.
#[derive(Clone, Copy)]
pub struct Field<'n> {
    /// Its key, or that of the list it is in.
    pub name: &'n str,
    /// The key, or the item itself where it has none.
    pub place: Span,
    /// The value.
    pub node: &'n Node,
}

impl<'n> Fields<'n> {
    /// Takes a field of this name. One without a value is reported and taken as missing.
    pub fn take(&mut self, name: &'static str, findings: &mut Findings) -> Option<Field<'n>> {
        let field = self.take_quietly(name)?;
        if !field.node.is_null() {
            return Some(field);
        }
        let message = format!("`{name}` has no value");
        let help = "give it one, or remove the line";
        findings.push(Diagnostic::error(Code::EmptyValue, field.place, message).help(help));
        None
    }

    /// As [`Self::take`]; reports one that is missing.
    pub fn require(&mut self, name: &'static str, findings: &mut Findings) -> Option<Field<'n>> {
        if !self.has(name) {
            self.known.push(name);
            let message = format!("{} needs the field `{name}`", self.what);
            findings.push(Diagnostic::error(Code::MissingField, self.place, message));
        }
        self.take(name, findings)
    }

    /// A field that is known and may be anything, or nothing.
    pub fn take_quietly(&mut self, name: &'static str) -> Option<Field<'n>> {
        self.known.push(name);
        self.entries.iter().find(|entry| &*entry.key == name).map(Field::of_entry)
    }

    /// Names that are known and mean nothing here.
    pub(super) fn ignore(&mut self, names: &[&'static str]) {
        self.known.extend_from_slice(names);
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| &*entry.key == name)
    }

    /// Where the mapping itself is named.
    pub(super) fn place(&self) -> Span {
        self.place
    }

    /// Reports what nobody asked for.
    pub fn finish(self, findings: &mut Findings) {
        for entry in self.entries.iter().filter(|entry| !self.known.contains(&&*entry.key)) {
            let message = format!("{} has no field {}", self.what, quoted(&entry.key));
            let mut diagnostic = Diagnostic::error(Code::UnknownField, entry.key_span, message);
            diagnostic.help = suggestion(&entry.key, self.known.iter().copied());
            findings.push(diagnostic);
        }
    }
}

impl<'n> Field<'n> {
    /// A document, which has no key.
    pub fn root(name: &'n str, node: &'n Node) -> Self {
        let place = match &node.value {
            Value::Mapping(entries) => entries.first().map_or(node.span, |entry| entry.key_span),
            Value::Scalar(_) | Value::Sequence(_) => node.span,
        };
        Self { name, place, node }
    }

    pub(super) fn of_entry(entry: &'n Entry) -> Self {
        Self { name: &entry.key, place: entry.key_span, node: &entry.value }
    }

    /// Its fields, where it is a mapping.
    pub fn fields(self, findings: &mut Findings) -> Option<Fields<'n>> {
        let entries = self.entries(findings)?;
        Some(Fields { what: self.name, place: self.place, entries, known: Vec::new() })
    }

    /// Its entries, where it is a mapping.
    pub fn entries(self, findings: &mut Findings) -> Option<&'n [Entry]> {
        match &self.node.value {
            Value::Mapping(entries) => Some(entries),
            Value::Scalar(_) | Value::Sequence(_) => {
                findings.push(self.wrong_type("a mapping"));
                None
            }
        }
    }

    /// Its items under its own name, where it is a list. Items without a value are reported and left out.
    pub fn items(self, findings: &mut Findings) -> Option<Vec<Field<'n>>> {
        let Value::Sequence(items) = &self.node.value else {
            let help = match &self.node.value {
                Value::Scalar(scalar) => Some(format!("write it as a list: [{}]", scalar.text)),
                Value::Sequence(_) | Value::Mapping(_) => None,
            };
            findings.push(Diagnostic { help, ..self.wrong_type("a list") });
            return None;
        };
        let mut fields = Vec::with_capacity(items.len());
        for node in items {
            if node.is_null() {
                let message = format!("an item of `{}` has no value", self.name);
                findings.push(Diagnostic::error(Code::EmptyValue, node.span, message));
            } else {
                fields.push(Field { name: self.name, place: node.span, node });
            }
        }
        Some(fields)
    }

    /// The scalar, where it is one.
    pub(super) fn scalar(self, wanted: &str, findings: &mut Findings) -> Option<&'n Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => {
                findings.push(self.wrong_type(wanted));
                None
            }
        }
    }

    /// That its value is of another type than it takes.
    #[must_use]
    pub fn wrong_type(&self, wanted: &str) -> Diagnostic {
        let found = match &self.node.value {
            Value::Scalar(scalar) => scalar.resolve().describe(),
            Value::Sequence(_) => "a list".into(),
            Value::Mapping(_) => "a mapping".into(),
        };
        let message = format!("{} takes {wanted}, and this is {found}", quoted(self.name));
        Diagnostic::error(Code::WrongType, self.value_place(), message)
    }

    pub(super) fn not_yet(&self, what: &str) -> Diagnostic {
        let message = format!("{what}: understood, but not supported by this version yet");
        Diagnostic::error(Code::NotSupportedYet, self.place, message)
    }

    /// Where to point for the value: a collection may be long, so its key stands for it.
    fn value_place(&self) -> Span {
        match &self.node.value {
            Value::Scalar(_) if !self.node.span.is_empty() => self.node.span,
            Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => self.place,
        }
    }
}

/// "did you mean", where a known name is near enough to be meant.
pub(super) fn suggestion<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(written, known).map(|name| format!("did you mean `{name}`?"))
}

/// The known name that differs least, at most by about a third of its letters; case does not count.
pub(super) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Names here have less than 64 letters; the distance is quadratic in what a user may have written instead.
    if written.len() > 128 {
        return None;
    }
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
