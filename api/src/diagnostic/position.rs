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

/// Line and column of the byte at `offset`. An offset behind the end is taken as the end, and bytes that are not
/// UTF-8 count as one character each. `\n`, `\r\n` and a lone `\r` end a line, as in YAML.
#[must_use]
pub fn line_col(source: &[u8], offset: usize) -> LineColumn {
    let before = &source[..offset.min(source.len())];
    let line_start = (0..before.len()).rev().find(|&at| ends_line(source, at)).map_or(0, |at| at + 1);
    let breaks = (0..line_start).filter(|&at| ends_line(source, at)).count();
    let mut column = 0;
    for chunk in before[line_start..].utf8_chunks() {
        column += chunk.valid().chars().count() + chunk.invalid().len();
    }
    LineColumn { line: count(breaks), column: count(column) }
}

/// Whether the byte at `at` is the last of a line.
fn ends_line(source: &[u8], at: usize) -> bool {
    match source[at] {
        b'\n' => true,
        b'\r' => source.get(at + 1) != Some(&b'\n'),
        _ => false,
    }
}

/// From a zero-based count to a one-based number.
fn count(zero_based: usize) -> u32 {
    u32::try_from(zero_based + 1).unwrap_or(u32::MAX)
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

    proptest! {
        #[test]
        fn a_later_offset_is_never_at_an_earlier_place(bytes: Vec<u8>, a in 0..200_usize, b in 0..200_usize) {
            prop_assert!(line_col(&bytes, a.min(b)) <= line_col(&bytes, a.max(b)));
        }
    }
}
