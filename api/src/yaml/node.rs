//! The nodes of a document, each with its place.

use std::sync::Arc;

use super::scalar::Resolved;
use crate::Span;

/// One value with the bytes it came from. What an alias stands for is where the alias is, and what is
/// inside of that where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it is written.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in the order of the text; of duplicate keys, the first.
    Mapping(Vec<Entry>),
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Text of the key, whatever its type would be.
    pub key: Arc<str>,
    /// Where the key is written.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// A single value as it was written; [`Scalar::resolve`] says what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Its text, unquoted and unfolded.
    pub text: Arc<str>,
    /// How it is written.
    pub style: Style,
    /// The type that a tag of the core schema gives it.
    pub tag: Option<CoreTag>,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bare: its type follows from its text.
    Plain,
    /// In single or double quotes: a string.
    Quoted,
    /// Literal or folded: a string.
    Block,
}

/// The scalar tags of YAML's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreTag {
    /// `!!str`, and the non-specific `!`.
    Str,
    /// `!!int`, `!!float`, `!!bool` or `!!null`: read as if it were plain.
    Plain,
}

impl Node {
    /// The value of a key, where this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }

    /// Whether it is a mapping.
    #[must_use]
    pub fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Mapping(_))
    }

    /// Whether it is `null` or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.resolve() == Resolved::Null)
    }

    /// The text, where this is a scalar that means a string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_string() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Levels of nesting; 0 for a scalar.
    pub(super) fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 0,
            Value::Sequence(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Mapping(entries) => 1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }

    /// Nodes, keys among them, and bytes of text.
    pub(super) fn size(&self) -> (usize, usize) {
        let sum = |(nodes, bytes), (more_nodes, more_bytes)| (nodes + more_nodes, bytes + more_bytes);
        match &self.value {
            Value::Scalar(scalar) => (1, scalar.text.len()),
            Value::Sequence(items) => items.iter().map(Node::size).fold((1, 0), sum),
            Value::Mapping(entries) => {
                let sizes = entries.iter().map(|entry| sum((1, entry.key.len()), entry.value.size()));
                sizes.fold((1, 0), sum)
            }
        }
    }

    /// Whether a document of this root is nothing but its marker.
    pub(super) fn is_empty_document(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.text.is_empty() && scalar.style == Style::Plain)
    }
}
