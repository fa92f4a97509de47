//! From a scalar's text back to the file: quotes, escapes, folded lines and indentation stand between the two.
//!
//! What is written and what it comes to are walked side by side, whatever the style. Where they do not line up, every
//! place is the whole scalar: less precise, and never wrong.

use super::node::{Scalar, Style};
use crate::Span;

/// Where each part of a scalar's text is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextMap {
    whole: Span,
    /// In order and without gaps in the text; none where the two do not line up.
    pieces: Vec<Piece>,
}

/// Text and what it is written as: byte for byte where both are equally long, else one for the other as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    text: Span,
    file: Span,
}

impl TextMap {
    /// `span` is where `scalar` is written in `source`.
    #[must_use]
    pub fn new(source: &[u8], span: Span, scalar: &Scalar) -> Self {
        let behind_properties = span.start + properties(source.get(span.start..span.end).unwrap_or_default());
        let starts = match scalar.style {
            Style::Block => vec![first_line(source, span.start), next_line(source, behind_properties)],
            Style::Plain | Style::Quoted => vec![behind_properties],
        };
        let pieces = starts.into_iter().find_map(|start| {
            let written = str::from_utf8(source.get(start..span.end)?).ok()?;
            pieces(written, start, scalar)
        });
        Self { whole: span, pieces: pieces.unwrap_or_default() }
    }

    /// Where a range of the text is written. One that is empty is a place between two characters.
    #[must_use]
    pub fn span(&self, of: Span) -> Span {
        let (Some(first), Some(last)) = (self.pieces.first(), self.pieces.last()) else { return self.whole };
        let piece_at = |byte: usize| {
            let after = self.pieces.partition_point(|piece| piece.text.end <= byte);
            self.pieces.get(after)
        };
        let start = piece_at(of.start).map_or(last.file.end, |piece| piece.start_of(of.start));
        if of.is_empty() {
            // Behind what precedes it: a line break may be between that and what follows.
            let place = match of.start.checked_sub(1) {
                Some(before) => piece_at(before).map_or(last.file.end, |piece| piece.end_of(before)),
                None => first.file.start,
            };
            return Span { start: place, end: place };
        }
        let end = piece_at(of.end - 1).map_or(last.file.end, |piece| piece.end_of(of.end - 1));
        Span { start, end: end.max(start) }
    }
}

impl Piece {
    fn is_verbatim(self) -> bool {
        self.text.end - self.text.start == self.file.end - self.file.start
    }

    /// Where the byte of the text begins.
    fn start_of(self, byte: usize) -> usize {
        if self.is_verbatim() { self.file.start + (byte - self.text.start) } else { self.file.start }
    }

    /// Where it ends.
    fn end_of(self, byte: usize) -> usize {
        if self.is_verbatim() { self.file.start + (byte - self.text.start) + 1 } else { self.file.end }
    }
}

/// Bytes of an anchor and a tag: with those, a scalar's place begins at them. No plain scalar begins as they do.
pub(super) fn properties(written: &[u8]) -> usize {
    let mut at = 0;
    while let Some(b'&' | b'!') = written.get(at) {
        let rest = &written[at..];
        let name = rest.iter().position(|byte| is_blank(*byte)).unwrap_or(rest.len());
        at += name + rest[name..].iter().take_while(|byte| is_blank(**byte)).count();
    }
    at
}

/// The line behind a block's indicator: without properties, its place begins behind the first line's indentation.
fn first_line(source: &[u8], content: usize) -> usize {
    let before = source.get(..content).unwrap_or_default();
    let blank = before.iter().rev().take_while(|byte| is_blank(**byte)).count();
    next_line(before, content - blank)
}

fn next_line(source: &[u8], from: usize) -> usize {
    let rest = source.get(from..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'\n').map_or(source.len(), |end| from + end + 1)
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn pieces(written: &str, base: usize, scalar: &Scalar) -> Option<Vec<Piece>> {
    let mut walk = Walk { written, at: 0, text: &scalar.text, done: 0, base, pieces: Vec::new() };
    match (scalar.style, written.chars().next()) {
        (Style::Quoted, Some(quote)) => {
            let written = written.trim_end_matches(BLANK);
            walk.written = written.strip_suffix(quote).filter(|_| written.len() > 1)?;
            walk.stands_for(1, "")?;
            walk.flow(Some(quote))?;
        }
        (Style::Plain, _) => {
            walk.written = written.trim_end_matches(BLANK);
            walk.flow(None)?;
        }
        (Style::Block, _) => walk.block()?,
        (Style::Quoted, None) => return None,
    }
    (walk.done == walk.text.len()).then_some(walk.pieces)
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

struct Walk<'a> {
    written: &'a str,
    at: usize,
    text: &'a str,
    done: usize,
    /// Where `written` begins in the file.
    base: usize,
    pieces: Vec<Piece>,
}

impl<'a> Walk<'a> {
    fn rest(&self) -> &'a str {
        &self.written[self.at..]
    }

    /// What is written next is the text's own.
    fn same(&mut self, length: usize) -> Option<()> {
        self.stands_for(length, self.rest().get(..length)?)
    }

    /// The next `length` bytes stand for `text`, which must be what comes next.
    fn stands_for(&mut self, length: usize, text: &str) -> Option<()> {
        if !self.text[self.done..].starts_with(text) {
            return None;
        }
        let piece = Piece {
            text: Span { start: self.done, end: self.done + text.len() },
            file: Span { start: self.base + self.at, end: self.base + self.at + length },
        };
        (self.at, self.done) = (self.at + length, self.done + text.len());
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.is_verbatim() && piece.is_verbatim() && last.file.end == piece.file.start => {
                (last.text.end, last.file.end) = (piece.text.end, piece.file.end);
            }
            _ => self.pieces.push(piece),
        }
        Some(())
    }

    /// Plain or quoted: lines are folded, and what escapes depends on the quote.
    fn flow(&mut self, quote: Option<char>) -> Option<()> {
        while let Some(c) = self.rest().chars().next() {
            match (c, quote) {
                (c, _) if BLANK.contains(&c) => self.blank(0)?,
                ('\\', Some('"')) => self.escape()?,
                ('\'', Some('\'')) => self.stands_for(2, "'")?,
                (c, _) => self.same(c.len_utf8())?,
            }
        }
        Some(())
    }

    /// White space behind `skipped` bytes that stand for nothing: one line break is a space, and each further one a
    /// break. Behind a backslash the first is nothing.
    fn blank(&mut self, skipped: usize) -> Option<()> {
        let rest = &self.rest()[skipped..];
        let length = rest.len() - rest.trim_start_matches(BLANK).len();
        let run = &rest[..length];
        // `\r\n` is one break, and so is either alone.
        let breaks = run.matches(['\r', '\n']).count() - run.matches("\r\n").count();
        match (breaks, skipped) {
            (0, 0) => self.same(length),
            (1, 0) => self.stands_for(length, " "),
            _ => self.stands_for(skipped + length, &"\n".repeat(breaks.checked_sub(1)?)),
        }
    }

    /// A backslash and what belongs to it: one character, or a line break that is not there.
    fn escape(&mut self) -> Option<()> {
        let coded = match self.rest()[1..].chars().next()? {
            '\r' | '\n' => return self.blank(1),
            'x' => 3,
            'u' => 5,
            'U' => 9,
            c => c.len_utf8(),
        };
        let stood_for = self.text[self.done..].chars().next()?;
        self.rest().get(..1 + coded)?;
        self.stands_for(1 + coded, stood_for.encode_utf8(&mut [0; 4]))
    }

    /// Literal or folded: lines behind a common indentation, each ended by a break, a space or nothing.
    fn block(&mut self) -> Option<()> {
        let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let is_filled = |line: &&str| !line.trim().is_empty();
        let (Some(line), Some(first)) =
            (self.rest().lines().find(is_filled), self.text.lines().find(is_filled))
        else {
            // Nothing but line breaks, and nobody points at those.
            return None;
        };
        let indentation = spaces(line).checked_sub(spaces(first))?;
        for line in self.rest().split_inclusive('\n') {
            let content = line.trim_end_matches(['\r', '\n']);
            let indented = indentation.min(spaces(content));
            self.stands_for(indented, "")?;
            if self.done < self.text.len() || indented == content.len() {
                self.same(content.len() - indented)?;
            }
            let ended_by = self.text[self.done..].get(..1).filter(|end| matches!(*end, "\n" | " "));
            self.stands_for(line.len() - content.len(), ended_by.unwrap_or_default())?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::{Node, Value, parse};

    /// The scalar behind `k:`, and where its text is.
    fn mapped(source: &str) -> (Node, String, TextMap) {
        let documents = parse(source.as_bytes());
        let node = documents[0].root.as_ref().unwrap().get("k").unwrap().clone();
        let Value::Scalar(scalar) = &node.value else { panic!("{source}") };
        let map = TextMap::new(source.as_bytes(), node.span, scalar);
        (node.clone(), scalar.text.to_string(), map)
    }

    /// What is written for `part` of the text of `k`.
    fn written(source: &str, part: &str) -> String {
        let (_, text, map) = mapped(source);
        let start = text.find(part).unwrap_or_else(|| panic!("{text:?} has no {part:?}"));
        let span = map.span(Span { start, end: start + part.len() });
        source[span.start..span.end].to_owned()
    }

    #[test]
    fn each_style_leads_back_to_what_is_written() {
        for (source, part, expected) in [
            ("k: a->b == 1\n", "b ==", "b =="),
            ("k: a\n   &&\n\n   b == 1\n", "b ==", "b =="),
            ("k: a\n   &&\n   b == 1\n", "a && b", "a\n   &&\n   b"),
            ("k: 'x == ''y'' && z'\n", "'y'", "''y''"),
            ("k: 'x == ''y'' && z'\n", "z", "z"),
            ("k: 'x ==\n    y'\n", "y", "y"),
            ("k: \"a == \\\"b\\\" && c\"\n", "c", "c"),
            ("k: \"a == b\" # why \"\n", "b", "b"),
            ("k: 'x''s && b'  # it's why\n", "b", "b"),
            ("k: \"a == \\\"b\\\" && c\"\n", "\"b\"", "\\\"b\\\""),
            ("k: \"\\u00e9 \\x41 \\U0001f600 z\"\n", "z", "z"),
            ("k: \"\\u00e9 \\x41 \\U0001f600 z\"\n", "A", "\\x41"),
            ("k: \"a \\\n    b\\n c\"\n", "c", "c"),
            ("k: \"a \\\n    b\\n c\"\n", "b", "b"),
            ("k: |\n  a &&\n    b ||\n  c\n", "b ||", "b ||"),
            ("k: |\n  a &&\n    b ||\n  c\n", "c", "c"),
            ("k: |2-\n    a &&\n   b\n", "b", "b"),
            ("k: >-\n  a &&\n  b ||\n\n\n  c\n\n", "b ||", "b ||"),
            ("k: >-\n  a &&\n  b ||\n\n\n  c\n\n", "c", "c"),
            ("k: >\n  a &&\n    b\n  c\n", "b", "b"),
            ("k: > # why\n\n  a\r\n  b\r\n", "b", "b"),
            ("é: &x [1]\nk: &y\n  !!str |+\n  a\n  b\n\n", "b", "b"),
            ("k: |\n\n\n  || a\n  b\n", "|| a", "|| a"),
            ("k: |\n\n\n  || a\n  b\n", "b", "b"),
            ("k: !!str a\n  b\n", "b", "b"),
            ("k: |-\n  !x\n  b\n", "!x", "!x"),
            ("{ \"k\": \"a \\/\\t b\" }", "b", "b"),
        ] {
            assert_eq!(written(source, part), expected, "{source:?}");
        }
    }

    #[test]
    fn a_place_between_two_characters_is_behind_the_one_before_it() {
        let source = "k: >\n  a ==\n  \n";
        let (_, _, map) = mapped(source);
        let end = source.find("==").unwrap() + 2;
        assert_eq!(map.span(Span { start: 4, end: 4 }), Span { start: end, end });
        assert_eq!(map.span(Span { start: 0, end: 0 }), Span { start: 7, end: 7 });
    }

    #[test]
    fn what_does_not_line_up_is_the_whole_scalar() {
        let (node, _, _) = mapped("k: abc\n");
        let Value::Scalar(scalar) = &node.value else { unreachable!() };
        for other in ["k: abd\n", "k: ab", "k: abcd"] {
            let span = Span { start: 3, end: other.trim_end().len() };
            let map = TextMap::new(other.as_bytes(), span, scalar);
            assert_eq!(map.span(Span { start: 1, end: 2 }), span, "{other}");
        }
    }

    /// Words of a predicate, and what may stand between two of them.
    fn words() -> impl Strategy<Value = Vec<(&'static str, usize)>> {
        let word =
            prop::sample::select(&["a->b", "==", "&&", "\"x\"", "'y'", "é", "!c", "|| d", "\\n", "#"][..]);
        prop::collection::vec((word, 0..4_usize), 1..12)
    }

    /// `words` as a value of the key `k`, with `quote` around them and `escaped` for what it escapes.
    fn flow(words: &[(&str, usize)], quote: &str, escaped: [(&str, &str); 2]) -> String {
        let gap = |nth: &usize| [" ", "  ", "\n   ", " \n\n\n     "][*nth];
        let words: Vec<_> = words.iter().map(|(word, nth)| format!("{word}{}", gap(nth))).collect();
        let words = format!("z{}", words.concat().replace(" #", " a#"));
        let words = escaped.iter().fold(words, |words, (from, to)| words.replace(from, to));
        format!("k: {quote}{}{quote}\nl: 1\n", words.trim_end())
    }

    /// `words` as a block.
    fn block(words: &[(&str, usize)], indicator: &str) -> String {
        let gap = |nth: &usize| [" ", "\n  ", "\n    ", "\n\n\n  "][*nth];
        let words: Vec<_> = words.iter().map(|(word, nth)| format!("{word}{}", gap(nth))).collect();
        format!("k: {indicator}\n  {}\nl: 1\n", words.concat())
    }

    proptest! {
        #[test]
        fn every_character_is_found_where_it_is_written_whatever_the_style(
            words in words(),
            indicator in prop::sample::select(&["|", ">", "|-", ">+", "|2", "> # why"][..]),
            windows: bool,
        ) {
            let none = [("\0", ""); 2];
            for source in [
                flow(&words, "", none),
                flow(&words, "'", [("'", "''"), ("\0", "")]),
                flow(&words, "\"", [("\\", "\\\\"), ("\"", "\\\"")]),
                block(&words, indicator),
            ] {
                let source = if windows { source.replace('\n', "\r\n") } else { source };
                let (_, text, map) = mapped(&source);
                prop_assert!(!map.pieces.is_empty(), "{source:?} and {text:?} do not line up");
                let mut last = 0;
                for (at, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
                    let span = map.span(Span { start: at, end: at + c.len_utf8() });
                    let found = &source[span.start..span.end];
                    prop_assert!(found.ends_with(c) && found.chars().count() <= 2, "{c}: {found:?}");
                    prop_assert!(span.start >= last, "{source:?}");
                    last = span.end;
                }
            }
        }
    }
}
