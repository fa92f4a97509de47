//! From byte offsets to lines and columns.

use serde::Serialize;

/// A place in a text. Both count from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LineColumn {
    /// Which line.
    pub line: u32,
    /// Which character of it.
    pub column: u32,
}

/// Where the lines of a text begin, for looking up many places. `\n`, `\r\n` and a lone `\r` end a line, as in YAML.
#[derive(Clone, Debug)]
pub struct Lines<'s> {
    source: &'s [u8],
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    /// Finds the lines of `source`.
    #[must_use]
    pub fn new(source: &'s [u8]) -> Self {
        let behind_breaks = (0..source.len()).filter(|&at| ends_line(source, at)).map(|at| at + 1);
        Self { source, starts: std::iter::once(0).chain(behind_breaks).collect() }
    }

    /// Line of the byte at `offset`, from 1. An offset behind the end is taken as the end.
    #[must_use]
    pub fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.index(offset) + 1).unwrap_or(u32::MAX)
    }

    /// Line and column of the byte at `offset`, likewise. A byte inside a character is where that character begins.
    /// Bytes that are not UTF-8 count as one character each.
    #[must_use]
    pub fn line_col(&self, offset: usize) -> LineColumn {
        let offset = offset.min(self.source.len());
        let start = self.starts[self.index(offset)];
        // Three more bytes show whole a character that `offset` is inside of.
        let upto = offset.saturating_add(3).min(self.source.len());
        let characters = self.source[start..upto]
            .utf8_chunks()
            .flat_map(|chunk| {
                chunk.valid().chars().map(char::len_utf8).chain(chunk.invalid().iter().map(|_| 1))
            })
            .scan(start, |end, length| {
                *end += length;
                Some(*end)
            })
            .take_while(|end| *end <= offset)
            .count();
        LineColumn { line: self.line(offset), column: u32::try_from(characters + 1).unwrap_or(u32::MAX) }
    }

    /// Which of the starts is the last that is not behind `offset`.
    fn index(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }
}

/// Line and column of one byte; see [`Lines::line_col`].
#[must_use]
pub fn line_col(source: &[u8], offset: usize) -> LineColumn {
    Lines::new(source).line_col(offset)
}

/// Whether the byte at `at` is the last of a line.
fn ends_line(source: &[u8], at: usize) -> bool {
    match source[at] {
        b'\n' => true,
        b'\r' => source.get(at + 1) != Some(&b'\n'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_count_characters_and_every_kind_of_line_break_counts_once() {
        let text = "ab\r\nä€x\rlast\n";
        let at = |offset| {
            let LineColumn { line, column } = line_col(text.as_bytes(), offset);
            (line, column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(4), (2, 1));
        assert_eq!(at(text.find('x').unwrap()), (2, 3));
        assert_eq!(at(text.find("last").unwrap()), (3, 1));
        assert_eq!(at(text.len()), (4, 1));
        assert_eq!(at(usize::MAX), (4, 1));
    }

    #[test]
    fn every_byte_of_a_character_is_where_it_begins() {
        let text = "a\u{800}😀b".as_bytes();
        let columns: Vec<u32> = (0..text.len()).map(|offset| line_col(text, offset).column).collect();
        assert_eq!(columns, [1, 2, 2, 2, 3, 3, 3, 3, 4]);
        // The first two bytes of a character whose third is missing are not UTF-8.
        assert_eq!(line_col(b"\xe0\xa0b", 2).column, 3);
    }

    proptest! {
        #[test]
        fn a_later_offset_is_never_at_an_earlier_place(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\xe0\xa0\x80\xf0\x9f\r\na"[..])], 0..64),
        ) {
            let lines = Lines::new(&bytes);
            let places: Vec<LineColumn> = (0..=bytes.len()).map(|offset| lines.line_col(offset)).collect();
            prop_assert!(places.is_sorted(), "{places:?}");
        }
    }
}
