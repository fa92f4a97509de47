//! Where the documents of a file begin.
//!
//! YAML allows `---` at the start of a line nowhere but between documents: not in quotes, not in a block scalar. So a
//! file can be cut there before it is parsed, and a document that is broken cannot take the next one with it.

use std::ops::Range;

/// The byte ranges of `bytes` from one `---` to the next. Directives, comments and empty lines in front of the first
/// belong to it. What is in front of the first and is more than that is a range of its own.
pub(super) fn split(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = line_starts(bytes).filter(|&at| is_marker(&bytes[at..])).collect();
    match starts.first_mut() {
        Some(first) if line_starts(&bytes[..*first]).all(|at| is_prologue(&bytes[at..*first])) => *first = 0,
        Some(_) | None => starts.insert(0, 0),
    }
    let ends = starts.iter().copied().skip(1).chain([bytes.len()]).collect::<Vec<_>>();
    starts.into_iter().zip(ends).map(|(start, end)| start..end).collect()
}

fn line_starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let behind_breaks = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b'\r'));
    [0].into_iter().chain(behind_breaks.map(|(at, _)| at + 1)).filter(|&at| at < bytes.len())
}

fn is_marker(line: &[u8]) -> bool {
    line.strip_prefix(b"---")
        .is_some_and(|behind| behind.first().is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')))
}

/// Whether a line is empty, a comment or a directive.
fn is_prologue(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    line.first() == Some(&b'%')
        || text.first().is_none_or(|byte| *byte == b'#')
        || line.iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')).all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        split(text.as_bytes()).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn a_file_is_cut_at_its_document_markers() {
        assert_eq!(pieces("a: 1\n---\nb: 2\n--- # c\nc: 3\n"), ["a: 1\n", "---\nb: 2\n", "--- # c\nc: 3\n"]);
        assert_eq!(pieces("a\r---\rb"), ["a\r", "---\rb"]);
        assert_eq!(pieces("---"), ["---"]);
        assert_eq!(pieces(""), [""]);
    }

    #[test]
    fn comments_and_directives_belong_to_the_document_behind_them() {
        assert_eq!(pieces("# c\n\n%YAML 1.2\n---\na"), ["# c\n\n%YAML 1.2\n---\na"]);
    }

    #[test]
    fn three_dashes_elsewhere_are_text() {
        assert_eq!(pieces("a: ---\n ---\n----\n---a"), ["a: ---\n ---\n----\n---a"]);
    }
}
