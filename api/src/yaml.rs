//! The text of a file as bounded trees of nodes with their places.
//!
//! [`parse`] never fails as a whole: documents are cut apart before they are parsed, and one that is broken is
//! returned as far as it could be read, with the reason.

mod build;
mod json;
mod node;
mod open;
mod scalar;
mod split;
mod syntax;
mod text_map;

use std::ops::Range;

use crate::{Code, Diagnostic, Span};

pub use node::{CoreTag, Entry, Node, Scalar, Style, Value};
pub use scalar::Resolved;
pub use text_map::TextMap;

/// Largest file, in bytes. Kubernetes' own limit for one object is 1.5 MiB, and nobody reviews a file this long.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// Deepest nesting. The deepest document of ours has 8 levels; guardrail settings are the user's own. Everything
/// that walks a tree recurses, so this also bounds the stack.
pub const MAX_DEPTH: usize = 64;

/// Most nodes per file, each use of an alias counted in full: it bounds memory whatever aliases multiply to.
pub const MAX_NODES: usize = 100_000;

/// Most bytes of text in the nodes of a file, each use of an alias counted in full, so that few nodes with long texts
/// cannot become gigabytes of JSON.
pub const MAX_TEXT_BYTES: usize = 4 << 20;

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct YamlDocument {
    /// Its text, without the marker in front of it.
    pub span: Span,
    /// Its root; `None` where nothing of it could be read. Where `fatal` is set, as much as was read before.
    pub root: Option<Node>,
    /// What ended the reading before the document's end.
    pub fatal: Option<Diagnostic>,
    /// What is accepted by YAML and not by us, such as duplicate keys.
    pub problems: Vec<Diagnostic>,
}

/// What to do where YAML does not leave an expression as it is.
pub(crate) const QUOTE_IT: &str =
    "put all of it in single quotes: `!`, `&`, `*`, `{`, `[`, `\"`, `: ` and ` #` mean something to YAML";

/// What may still be spent on a file.
struct Budget {
    nodes: usize,
    text_bytes: usize,
    exhausted: bool,
}

/// The documents of a file, in order. Empty documents are left out.
#[must_use]
pub fn parse(bytes: &[u8]) -> Vec<YamlDocument> {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes, and at most {MAX_FILE_BYTES} are read", bytes.len());
        let fatal = Diagnostic::error(Code::LimitExceeded, None, message).help("split it into several files");
        let span = Span { start: 0, end: bytes.len() };
        return vec![YamlDocument { span, root: None, fatal: Some(fatal), problems: Vec::new() }];
    }
    let mut budget = Budget { nodes: MAX_NODES, text_bytes: MAX_TEXT_BYTES, exhausted: false };
    let byte_order_mark = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let mut documents = Vec::new();
    for piece in split::split(&bytes[byte_order_mark..]) {
        let range = piece.start + byte_order_mark..piece.end + byte_order_mark;
        if budget.exhausted {
            documents.push(unread(range.start..bytes.len()));
            break;
        }
        documents.extend(parse_piece(bytes, range, &mut budget));
    }
    documents
}

/// What stands for the rest of a file whose budget is spent: there may be documents in it.
fn unread(range: Range<usize>) -> YamlDocument {
    let span = Span { start: range.start, end: range.end };
    let message = "the rest of the file is not read: what is in front of it is too large";
    let fatal = Diagnostic::error(Code::LimitExceeded, Span { end: span.start, ..span }, message);
    YamlDocument { span, root: None, fatal: Some(fatal), problems: Vec::new() }
}

/// The document of a piece between two markers, if it is not empty.
fn parse_piece(bytes: &[u8], range: Range<usize>, budget: &mut Budget) -> Vec<YamlDocument> {
    let (text, unreadable) = readable(&bytes[range.clone()], range.start);
    let mut documents = build::documents(text, range.start, budget);
    if let Some(fatal) = unreadable {
        // The text was cut short, so what seems to be the last document is not all of it.
        match documents.last_mut() {
            Some(last) => last.fatal = Some(fatal),
            None => documents.push(YamlDocument {
                span: Span { start: range.start, end: range.end },
                root: None,
                fatal: Some(fatal),
                problems: Vec::new(),
            }),
        }
    }
    documents
}

/// The text up to the line with the first byte or character that YAML does not allow, and what that is.
fn readable(bytes: &[u8], base: usize) -> (&str, Option<Diagnostic>) {
    let (valid, invalid) = match bytes.utf8_chunks().next() {
        Some(chunk) => (chunk.valid(), chunk.invalid()),
        None => ("", &[][..]),
    };
    let at = |offset: usize, length: usize| Span { start: base + offset, end: base + offset + length };
    let fatal = if let Some((offset, c)) = valid.char_indices().find(|(_, c)| !is_printable(*c)) {
        let message = format!("the control character U+{:04X} is not allowed in YAML", u32::from(c));
        Diagnostic::error(Code::ForbiddenCharacter, at(offset, c.len_utf8()), message)
            .help("remove it, or write it as an escape in double quotes")
    } else if let [first, ..] = invalid {
        let message = format!("the file is not UTF-8: byte 0x{first:02x} at offset {}", base + valid.len());
        Diagnostic::error(Code::InvalidUtf8, at(valid.len(), invalid.len()), message)
    } else {
        return (valid, None);
    };
    let offset = fatal.span.map_or(0, |span| span.start - base);
    let line_start = valid[..offset].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    (&valid[..line_start], Some(fatal))
}

/// YAML 1.2's `c-printable`.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// Longest text that a message quotes, in characters.
const LONGEST_QUOTE: usize = 60;

/// `text` for use in a message: in backquotes, cut short, with control characters escaped.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown = String::from("`");
    text.chars().take(LONGEST_QUOTE).for_each(|c| show(c, &mut shown));
    if text.chars().nth(LONGEST_QUOTE).is_some() {
        shown.push_str("...");
    }
    shown + "`"
}

/// `text` with everything escaped that a terminal would not show as it stands: control characters, and what changes the
/// direction of text or has no width.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| show(c, &mut shown));
    shown
}

fn show(c: char, shown: &mut String) {
    let hides = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    if c.is_control() || hides { shown.extend(c.escape_default()) } else { shown.push(c) }
}
