//! Sequences and mappings that have begun and not ended.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::Arc,
};

use super::{
    node::{Entry, Node, Style, Value},
    quoted,
};
use crate::{Code, Diagnostic, Span};

/// A sequence or mapping that has begun.
pub(super) struct Open {
    pub(super) start: Span,
    /// Behind the last thing in it.
    pub(super) end: usize,
    pub(super) anchor: usize,
    pub(super) content: Content,
}

pub(super) enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: HashMap<Arc<str>, Span>, key: Key },
}

/// What came of the key of the mapping's next value.
pub(super) enum Key {
    /// It comes next.
    Awaited,
    /// This one.
    Is(Arc<str>, Span),
    /// It is unusable, and so is its value.
    Unusable,
}

impl Content {
    /// What it was, now that it is complete.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Sequence(items) => Value::Sequence(items),
            Self::Mapping { entries, .. } => Value::Mapping(entries),
        }
    }

    /// Puts a complete node, written at `place`, in it.
    pub(super) fn add(&mut self, node: Node, place: Span, problems: &mut Vec<Diagnostic>) {
        match self {
            Self::Sequence(items) => items.push(node),
            Self::Mapping { entries, seen, key } => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited => *key = read_key(&node, place, seen, problems),
                Key::Is(text, key_span) => entries.push(Entry { key: text, key_span, value: node }),
                Key::Unusable => {}
            },
        }
    }
}

/// What a key comes to, and what is wrong with it.
fn read_key(
    node: &Node,
    place: Span,
    seen: &mut HashMap<Arc<str>, Span>,
    problems: &mut Vec<Diagnostic>,
) -> Key {
    let Value::Scalar(scalar) = &node.value else {
        let message = "a key must be a single value";
        problems.push(Diagnostic::error(Code::UnsupportedYaml, node.span, message));
        return Key::Unusable;
    };
    if &*scalar.text == "<<" && scalar.style == Style::Plain {
        let message = "merge keys are not supported";
        let help = "write the fields out: what an experiment hits should stand where it is reviewed";
        problems.push(Diagnostic::error(Code::UnsupportedYaml, place, message).help(help));
        return Key::Unusable;
    }
    match seen.entry(scalar.text.clone()) {
        Slot::Occupied(first) => {
            let message = format!("the key {} is there twice", quoted(&scalar.text));
            let diagnostic =
                Diagnostic::error(Code::DuplicateKey, place, message).also(*first.get(), "first here");
            problems.push(diagnostic);
            Key::Unusable
        }
        Slot::Vacant(slot) => {
            slot.insert(place);
            Key::Is(scalar.text.clone(), place)
        }
    }
}
