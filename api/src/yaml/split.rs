//! Where the documents of a file begin and end.
//!
//! YAML allows `---` and `...` at the start of a line nowhere but between documents: not in quotes, not in a block
//! scalar. So a file can be cut there before it is parsed, and a document that is broken cannot take the next one
//! with it.

use std::ops::Range;

/// The byte ranges of the documents in `bytes`, from one `---` to the next or to the end of a `...`. Directives,
/// comments and empty lines in front of a document belong to it.
pub(super) fn split(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut only_prologue = true;
    for line in lines(bytes) {
        let text = &bytes[line.clone()];
        if is_marker(text, b"---") && !only_prologue {
            pieces.push(start..line.start);
            start = line.start;
        }
        only_prologue &= is_prologue(text);
        if is_marker(text, b"...") {
            pieces.push(start..line.end);
            start = line.end;
            only_prologue = true;
        }
    }
    if start < bytes.len() {
        pieces.push(start..bytes.len());
    }
    pieces
}

/// Each line with its break.
fn lines(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let length =
            rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(rest.len(), |at| at + 1);
        let line = start..start + length;
        start = line.end;
        Some(line)
    })
}

fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|behind| behind.first().is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')))
}

/// Whether a line is empty, a comment or a directive.
fn is_prologue(line: &[u8]) -> bool {
    line.first() == Some(&b'%') || line.trim_ascii_start().first().is_none_or(|byte| *byte == b'#')
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
        assert_eq!(pieces(""), Vec::<&str>::new());
        assert_eq!(pieces("a\n...\nb\n... # c\n---\nc"), ["a\n...\n", "b\n... # c\n", "---\nc"]);
    }

    #[test]
    fn comments_and_directives_belong_to_the_document_behind_them() {
        assert_eq!(pieces("# c\n\n%YAML 1.2\n---\na"), ["# c\n\n%YAML 1.2\n---\na"]);
        assert_eq!(pieces("a\n...\n%YAML 1.2\n---\nb"), ["a\n...\n", "%YAML 1.2\n---\nb"]);
        assert_eq!(pieces("---\n# c\n---\nb"), ["---\n# c\n", "---\nb"]);
    }

    #[test]
    fn markers_elsewhere_are_text() {
        assert_eq!(pieces("a: ---\n ---\n----\n---a\n ...\n"), ["a: ---\n ---\n----\n---a\n ...\n"]);
    }
}
