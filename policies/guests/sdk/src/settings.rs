//! Settings: JSON read field by field, with every problem noted rather than the first.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::{Failtype, Globs, GoDuration};

/// One JSON object that is being read. Every reader notes in it what it finds wrong.
pub struct Object<'a> {
    fields: &'a Map<String, Value>,
    /// Where it is, with a dot behind it; empty at the root.
    prefix: String,
    /// Fields that were asked for.
    known: Vec<&'static str>,
    /// Whether fields that were not asked for are fine.
    any: bool,
    problems: Vec<String>,
}

/// Reads `json` with `decode`.
///
/// # Errors
/// Every problem, in words: it is not a JSON object, `decode` noted something, or a field was never asked for.
pub fn read<T>(json: &str, decode: impl FnOnce(&mut Object<'_>) -> Option<T>) -> Result<T, Vec<String>> {
    let value: Value =
        serde_json::from_str(json).map_err(|error| vec![format!("the settings are not JSON: {error}")])?;
    let Value::Object(fields) = &value else {
        return Err(vec!["the settings must be an object".to_owned()]);
    };
    let mut root = Object::new(fields, String::new());
    let decoded = decode(&mut root);
    let problems = root.finish();
    decoded.filter(|_| problems.is_empty()).ok_or(problems)
}

impl<'a> Object<'a> {
    fn new(fields: &'a Map<String, Value>, prefix: String) -> Self {
        Self { fields, prefix, known: Vec::new(), any: false, problems: Vec::new() }
    }

    /// Notes a problem of the object as a whole.
    pub fn problem(&mut self, problem: &str) {
        let at = self.prefix.strip_suffix('.').map_or(String::new(), |at| format!("{at}: "));
        self.problems.push(format!("{at}{problem}"));
    }

    /// Whether nothing was found wrong with it so far.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty()
    }

    /// Takes every field, read or not, as known.
    pub fn accept_any(&mut self) {
        self.any = true;
    }

    /// An optional object, read by `decode`.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        decode: impl FnOnce(&mut Object<'_>) -> Option<T>,
    ) -> Option<T> {
        let Value::Object(fields) = self.field(name)? else {
            return self.wrong(name, "an object");
        };
        let mut inner = Object::new(fields, format!("{}{name}.", self.prefix));
        let decoded = decode(&mut inner);
        self.problems.append(&mut inner.finish());
        decoded
    }

    /// An optional integer in `range`.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.field(name)?;
        match value.as_u64() {
            Some(number) if range.contains(&number) => Some(number),
            _ => self.wrong(name, &format!("an integer from {} to {}", range.start(), range.end())),
        }
    }

    /// Whether it is switched on: an optional `true` or `false`, off where it is left out.
    pub fn switch(&mut self, name: &'static str) -> bool {
        let Some(value) = self.field(name) else { return false };
        value.as_bool().or_else(|| self.wrong(name, "true or false")).unwrap_or(false)
    }

    /// An optional duration above zero, such as `1h30m`.
    pub fn duration(&mut self, name: &'static str) -> Option<GoDuration> {
        let value = self.field(name)?;
        match value.as_str().map(str::parse::<GoDuration>) {
            Some(Ok(duration)) if duration.as_nanos() > 0 => Some(duration),
            Some(Err(error)) => self.wrong(name, &format!("a duration such as 1h30m ({error})")),
            _ => self.wrong(name, "a duration such as 1h30m, above zero"),
        }
    }

    /// An optional choice: the position of the field's text in `choices`.
    pub fn choice(&mut self, name: &'static str, choices: &[&str]) -> Option<usize> {
        let value = self.field(name)?;
        let position = value.as_str().and_then(|text| choices.iter().position(|choice| *choice == text));
        position.or_else(|| self.wrong(name, &format!("one of {}", choices.join(", "))))
    }

    /// An optional list of such choices, at least one.
    pub fn choices(&mut self, name: &'static str, choices: &[&str]) -> Option<Vec<usize>> {
        let position = |item: &Value| choices.iter().position(|choice| item.as_str() == Some(*choice));
        self.list(name, &format!("a list of {}", choices.join(", ")), position)
    }

    /// An optional list of the numbers of `failtype`, at least one.
    pub fn failtypes(&mut self, name: &'static str) -> Option<Vec<Failtype>> {
        let failtype = |item: &Value| match item.as_u64()? {
            0 => Some(Failtype::Slab),
            1 => Some(Failtype::Page),
            2 => Some(Failtype::Bio),
            _ => None,
        };
        self.list(name, "a list of the failtypes 0, 1, 2", failtype)
    }

    /// An optional list of globs over namespaces, at least one (`*` any run of characters, `?` one).
    pub fn namespaces(&mut self, name: &'static str) -> Option<Globs> {
        let may = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*?".contains(c);
        self.globs(name, "namespaces, such as prod-*", may)
    }

    /// An optional list of globs over functions of the kernel, at least one.
    pub fn functions(&mut self, name: &'static str) -> Option<Globs> {
        let may = |c: char| c.is_ascii_alphanumeric() || "_.:-*?".contains(c);
        self.globs(name, "functions, such as __x64_sys_*", may)
    }

    /// An optional list of globs over any text, at least one.
    pub fn texts(&mut self, name: &'static str) -> Option<Globs> {
        self.globs(name, "texts, such as OPS-*", |_| true)
    }

    /// An optional list of objects, at least one, each read by `decode`.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        decode: impl Fn(&mut Object<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(items) = self.field(name)?.as_array().filter(|items| !items.is_empty()) else {
            return self.wrong(name, "a list of objects");
        };
        let mut read = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let Value::Object(fields) = item else {
                return self.wrong(name, "a list of objects");
            };
            let mut inner = Object::new(fields, format!("{}{name}[{index}].", self.prefix));
            read.extend(decode(&mut inner));
            self.problems.append(&mut inner.finish());
        }
        Some(read)
    }

    fn globs(&mut self, name: &'static str, of: &str, may: fn(char) -> bool) -> Option<Globs> {
        let glob = |item: &Value| {
            let text = item.as_str().filter(|text| !text.trim().is_empty() && text.chars().all(may))?;
            Some(text.to_owned())
        };
        self.list(name, &format!("a list of globs over {of}"), glob).map(Globs)
    }

    /// An optional list of what `read` takes, at least one.
    fn list<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.field(name)?.as_array().filter(|items| !items.is_empty());
        let list = items.and_then(|items| items.iter().map(read).collect());
        list.or_else(|| self.wrong(name, wanted))
    }

    /// The field, which is known from now on. `null` is a value like any other.
    fn field(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.fields.get(name)
    }

    /// Notes that the field is not what it should be.
    fn wrong<T>(&mut self, name: &str, wanted: &str) -> Option<T> {
        self.problems.push(format!("{}{name}: expected {wanted}", self.prefix));
        None
    }

    /// The problems, the fields that nobody asked for among them.
    fn finish(mut self) -> Vec<String> {
        for field in self.fields.keys().filter(|field| !self.any && !self.known.contains(&field.as_str())) {
            let known = self.known.join(", ");
            self.problems.push(format!("{}{field}: unknown field; known are {known}", self.prefix));
        }
        self.problems
    }
}
