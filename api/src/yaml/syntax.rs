//! The parser's places and complaints in our terms.

use saphyr_parser::ScanError;

use super::QUOTE_IT;
use crate::{Code, Diagnostic, Span};

/// Byte offsets of characters: the parser counts characters.
pub(super) struct Offsets {
    base: usize,
    length: usize,
    /// Offset of each character; empty where every character is one byte.
    of_chars: Vec<usize>,
}

impl Offsets {
    pub(super) fn new(text: &str, base: usize) -> Self {
        let of_chars =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Self { base, length: text.len(), of_chars }
    }

    fn at(&self, char_index: usize) -> usize {
        let ascii = self.of_chars.is_empty().then_some(char_index.min(self.length));
        self.base + ascii.or_else(|| self.of_chars.get(char_index).copied()).unwrap_or(self.length)
    }

    pub(super) fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.at(span.start.index());
        Span { start, end: self.at(span.end.index()).max(start) }
    }
}

/// The parser's complaint, at one character, with what usually causes it.
pub(super) fn syntax_error(error: &ScanError, text: &str, offsets: &Offsets) -> Diagnostic {
    let start = offsets.at(error.marker().index());
    let within = start - offsets.base;
    let end = start + text[within..].chars().next().map_or(0, char::len_utf8);
    let line_start = text[..within].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let diagnostic =
        Diagnostic::error(Code::YamlSyntax, Span { start, end }, format!("not YAML: {}", error.info()));
    let line = text[line_start..].lines().next().unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    if indentation.contains('\t') {
        diagnostic.help("indent with spaces: YAML does not allow tabs there")
    } else if error.info().contains("quoted scalar") {
        diagnostic.help("is the quote closed before the document ends?")
    } else if line.contains("{{") {
        diagnostic.help("this looks like a template: render it first")
    } else {
        diagnostic
    }
}

/// Where a predicate is written on the line, it is most likely C that YAML took for its own.
pub(super) fn hint(found: &mut Diagnostic, text: &str, base: usize) {
    let Some(at) = found.span.and_then(|span| span.start.checked_sub(base)) else { return };
    let start = text.get(..at).and_then(|before| before.rfind(['\n', '\r'])).map_or(0, |at| at + 1);
    let line = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    let is_expression = ["predicate:", "parameters:"].iter().any(|key| line.contains(key));
    if is_expression && matches!(found.code, Code::YamlSyntax | Code::UnsupportedYaml) {
        found.help = Some(QUOTE_IT.to_owned());
    }
}
