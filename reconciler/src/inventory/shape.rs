//! The shape of an inventory, for saying what is wrong with a file that does not have it. What is right is decoded
//! without this, and faster.

use faultline_api::{
    Code, Lines, Span,
    yaml::{self, Entry, Node, Value},
};
use jiff::Timestamp;

use super::problems::{Problem, Trail};

/// What a value has to be.
enum Shape {
    Text,
    Instant,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Of any keys.
    Map(&'static Shape),
    List(&'static Shape),
    Record(&'static [Field]),
    /// The record that the word in the field names.
    Either(&'static str, &'static [&'static str], &'static [&'static [Field]]),
}

/// Its name, whether it has to be there, and its value.
type Field = (&'static str, bool, Shape);

const LABELS: Shape = Shape::Map(&Shape::Text);
const TEXTS: Shape = Shape::List(&Shape::Text);
const VERDICT: Shape = Shape::Either(
    "injectable",
    &["yes", "no"],
    &[
        &[("injectable", true, Shape::Text), ("mechanism", true, Shape::Text)],
        &[("injectable", true, Shape::Text), ("reason", true, Shape::Text)],
    ],
);
const KERNEL: Shape = Shape::Record(&[
    ("release", true, Shape::Text),
    ("machine", true, Shape::Text),
    (
        "faults",
        true,
        Shape::Record(&[("slab", false, VERDICT), ("page", false, VERDICT), ("bio", false, VERDICT)]),
    ),
    ("obstacles", false, TEXTS),
    (
        "untried",
        false,
        Shape::Record(&[
            ("slab", false, Shape::Text),
            ("page", false, Shape::Text),
            ("bio", false, Shape::Text),
        ]),
    ),
    ("caveats", false, TEXTS),
]);
const NODE: Shape = Shape::Record(&[("labels", false, LABELS), ("kernel", false, KERNEL)]);
const NAMESPACE: Shape = Shape::Record(&[("labels", false, LABELS), ("annotations", false, LABELS)]);
const CONTAINER: Shape =
    Shape::Record(&[("name", true, Shape::Text), ("id", false, Shape::Text), ("cgroup", false, Shape::Text)]);
const POD: Shape = Shape::Record(&[
    ("namespace", true, Shape::Text),
    ("name", true, Shape::Text),
    ("uid", true, Shape::Text),
    ("node", true, Shape::Text),
    ("labels", false, LABELS),
    ("annotations", false, LABELS),
    ("phase", true, Shape::Word(&["Pending", "Running", "Succeeded", "Failed", "Unknown"])),
    ("containers", true, Shape::List(&CONTAINER)),
]);
const INVENTORY: Shape = Shape::Record(&[
    ("observedAt", true, Shape::Instant),
    ("nodes", false, Shape::Map(&NODE)),
    ("namespaces", false, Shape::Map(&NAMESPACE)),
    ("pods", false, Shape::List(&POD)),
]);

/// A file with its places; `None` where it is too large to have them.
pub(super) struct Places<'t> {
    lines: Lines<'t>,
    documents: Vec<yaml::YamlDocument>,
    /// JSON takes no number for a text.
    strict: bool,
}

impl<'t> Places<'t> {
    pub(super) fn of(text: &'t str, strict: bool) -> Option<Self> {
        let documents = yaml::parse(text.as_bytes());
        let too_large = |document: &yaml::YamlDocument| {
            document.fatal.as_ref().is_some_and(|fatal| fatal.code == Code::LimitExceeded)
        };
        let known = !documents.iter().any(too_large);
        known.then(|| Self { lines: Lines::new(text.as_bytes()), documents, strict })
    }

    /// What is wrong at `at`.
    pub(super) fn problem(&self, at: &Trail, message: String) -> Problem {
        let root = self.documents.first().and_then(|document| document.root.as_ref());
        let place = root.map(|root| self.lines.line_col(at.offset(root)));
        Problem { place, subject: at.to_string(), message }
    }

    /// Everything that keeps the text from being an inventory, in its order.
    pub(super) fn misshapen(&self) -> Vec<Problem> {
        let mut walk = Walk { strict: self.strict, found: Vec::new() };
        for document in &self.documents {
            let findings = document.problems.iter().filter(|finding| finding.is_error());
            for finding in findings.chain(&document.fatal) {
                let help = finding.help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
                walk.wrong(finding.span, &Trail::default(), format!("{}{help}", finding.message));
            }
        }
        match self.documents.as_slice() {
            [] => {
                walk.wrong(
                    None,
                    &Trail::default(),
                    "there is nothing in it: an inventory has `observedAt` and `pods`",
                );
            }
            [only] => {
                if let Some(root) = only.root.as_ref().filter(|_| only.fatal.is_none()) {
                    walk.value(&INVENTORY, root, &Trail::default(), root.span);
                }
            }
            [_, second, ..] => {
                let place = second.root.as_ref().map_or(second.span, |root| root.span);
                walk.wrong(
                    place,
                    &Trail::default(),
                    "a second document begins here: an inventory is one document",
                );
            }
        }
        walk.found.sort_by_key(|(span, ..)| *span);
        let place = |span: Option<Span>| span.map(|span| self.lines.line_col(span.start));
        let problem = |(span, at, message): (_, Trail, _)| Problem {
            place: place(span),
            subject: at.to_string(),
            message,
        };
        walk.found.into_iter().map(problem).collect()
    }
}

struct Walk {
    strict: bool,
    found: Vec<(Option<Span>, Trail, String)>,
}

impl Walk {
    fn wrong(&mut self, span: impl Into<Option<Span>>, at: &Trail, message: impl Into<String>) {
        self.found.push((span.into(), at.clone(), message.into()));
    }

    /// `place` is that of the key, where the value has none of its own.
    fn value(&mut self, shape: &'static Shape, node: &Node, at: &Trail, place: Span) {
        if node.is_null() {
            return self.wrong(place, at, "it has no value: give it one, or remove the line");
        }
        match (shape, &node.value) {
            (Shape::Text, Value::Scalar(scalar)) if scalar.is_string() || !self.strict => {}
            (Shape::Instant, Value::Scalar(scalar)) if scalar.text.parse::<Timestamp>().is_ok() => {}
            (Shape::Word(words), Value::Scalar(scalar)) if words.contains(&&*scalar.text) => {}
            (Shape::Word(words), Value::Scalar(scalar)) => {
                self.wrong(node.span, at, format!("`{}` is none of {}", shown(&scalar.text), list(words)));
            }
            (Shape::Map(shape), Value::Mapping(entries)) => {
                for entry in entries {
                    self.value(shape, &entry.value, &at.field(&entry.key), entry.key_span);
                }
            }
            (Shape::List(shape), Value::Sequence(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(shape, item, &at.item(index), item.span);
                }
            }
            (Shape::Record(fields), Value::Mapping(entries)) => self.record(fields, entries, at, place),
            (Shape::Either(tag, words, records), Value::Mapping(entries)) => {
                self.either((*tag, *words, *records), entries, at, place);
            }
            _ => self.wrong(node.span, at, format!("it has to be {}", expected(shape))),
        }
    }

    fn record(&mut self, fields: &'static [Field], entries: &[Entry], at: &Trail, place: Span) {
        for entry in entries {
            match fields.iter().find(|(name, ..)| *name == &*entry.key) {
                Some((_, required, shape)) if *required || !entry.value.is_null() => {
                    self.value(shape, &entry.value, &at.field(&entry.key), entry.key_span);
                }
                Some(_) => {}
                None => {
                    let names: Vec<_> = fields.iter().map(|(name, ..)| *name).collect();
                    let message = format!("there is no such field, only {}", list(&names));
                    self.wrong(entry.key_span, &at.field(&shown(&entry.key)), message);
                }
            }
        }
        for (name, required, shape) in fields {
            if *required && entries.iter().all(|entry| &*entry.key != *name) {
                self.wrong(place, at, format!("the field `{name}` is missing: it is {}", expected(shape)));
            }
        }
    }

    fn either(
        &mut self,
        (tag, words, records): (&'static str, &'static [&'static str], &'static [&'static [Field]]),
        entries: &[Entry],
        at: &Trail,
        place: Span,
    ) {
        let Some(entry) = entries.iter().find(|entry| &*entry.key == tag) else {
            return self.wrong(
                place,
                at,
                format!("the field `{tag}` is missing: it is one of {}", list(words)),
            );
        };
        let word = match &entry.value.value {
            Value::Scalar(scalar) => words.iter().position(|word| *word == &*scalar.text),
            _ => None,
        };
        match word.and_then(|index| records.get(index)) {
            Some(fields) => self.record(fields, entries, at, place),
            None => {
                self.wrong(entry.value.span, &at.field(tag), format!("it has to be one of {}", list(words)));
            }
        }
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text => "a text".to_owned(),
        Shape::Instant => "an instant, such as 2026-03-01T12:00:00Z".to_owned(),
        Shape::Word(words) => format!("one of {}", list(words)),
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(_) => "a mapping of names".to_owned(),
        Shape::Either(..) => "a mapping with `injectable`".to_owned(),
        Shape::Record(fields) => {
            let names: Vec<_> = fields.iter().map(|(name, ..)| *name).collect();
            format!("a mapping with {}", list(&names))
        }
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The text as it can be printed, cut short.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}
