//! Diagnostics as people read them: place, underlined text, help.

use std::{fmt::Write as _, ops::Range};

use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str,
    renderer::DecorStyle,
};

use super::{Diagnostic, Severity, Span, line_col};

/// Longest excerpt that is shown of a line on either side of a finding, in bytes: a file may be a single line of a
/// megabyte, and what is shown is laid out again for every finding.
const LONGEST_EXCERPT: usize = 400;

/// Each diagnostic with its place in `file_name`, the text underlined, related places and help, and an empty line
/// after each. Invalid bytes of `source` are shown as `?`. `color` adds ANSI escapes.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], file_name: &str, source: impl AsRef<[u8]>, color: bool) -> String {
    let bytes = source.as_ref();
    let text = text_of(bytes);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let group = group(diagnostic, file_name, &text);
        let _infallible = writeln!(out, "{}\n", renderer.render(&[group]));
    }
    out
}

/// The bytes as text of the same length, so that offsets stay what they are.
fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, file_name: &'a str, text: &'a str) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let mut group = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str())
        .elements(Vec::<Snippet<'a, Annotation<'a>>>::new());
    match diagnostic.span {
        Some(span) => {
            let mut places = vec![(span, AnnotationKind::Primary, None)];
            places.extend(
                diagnostic.related.iter().map(|(span, what)| (*span, AnnotationKind::Context, Some(what))),
            );
            group = group.elements(snippets(&places, file_name, text));
        }
        None => group = group.element(annotate_snippets::Origin::path(file_name)),
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(normalize_untrusted_str(help)));
    }
    group
}

type PlaceIn<'a> = (Span, AnnotationKind, Option<&'a String>);

/// One snippet for all places where they are near each other on lines of ordinary length, else one for each.
fn snippets<'a>(
    places: &[PlaceIn<'a>],
    file_name: &'a str,
    text: &'a str,
) -> Vec<Snippet<'a, Annotation<'a>>> {
    let windows: Vec<_> = places.iter().map(|(span, ..)| window(*span, text)).collect();
    let (start, end) = windows.iter().fold((usize::MAX, 0), |(start, end), window| {
        (start.min(window.excerpt.start), end.max(window.excerpt.end))
    });
    if windows.iter().all(|window| window.whole_lines) && end - start <= 4 * LONGEST_EXCERPT {
        let annotations = places
            .iter()
            .zip(&windows)
            .map(|((_, kind, what), window)| annotation(*kind, *what, &window.marked, start));
        return vec![snippet(start..end, file_name, text).annotations(annotations)];
    }
    let each = places.iter().zip(windows);
    each.map(|((_, kind, what), window)| {
        let mark = annotation(*kind, *what, &window.marked, window.excerpt.start);
        snippet(window.excerpt, file_name, text).annotation(mark)
    })
    .collect()
}

fn annotation<'a>(
    kind: AnnotationKind,
    what: Option<&String>,
    marked: &Range<usize>,
    start: usize,
) -> Annotation<'a> {
    let annotation = kind.span(marked.start - start..marked.end - start);
    match what {
        Some(what) => annotation.label(normalize_untrusted_str(what)),
        None => annotation,
    }
}

fn snippet<'a>(excerpt: Range<usize>, file_name: &'a str, text: &'a str) -> Snippet<'a, Annotation<'a>> {
    let line = line_col(text.as_bytes(), excerpt.start).line;
    Snippet::source(&text[excerpt]).line_start(line as usize).path(file_name)
}

/// What is shown of a text for one span, and what is underlined of it.
struct Window {
    excerpt: Range<usize>,
    marked: Range<usize>,
    whole_lines: bool,
}

/// The lines that the span is on, cut where they are long. A span over several lines is underlined on its first.
fn window(span: Span, text: &str) -> Window {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let line_start = text[..start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
    let end = text.ceil_char_boundary(span.end.clamp(start, line_end));
    let shown_start = text.ceil_char_boundary(line_start.max(start.saturating_sub(LONGEST_EXCERPT)));
    let shown_end = text.floor_char_boundary(line_end.min(start + LONGEST_EXCERPT));
    Window {
        excerpt: shown_start..shown_end,
        marked: start..end.min(shown_end),
        whole_lines: shown_start == line_start && shown_end == line_end,
    }
}
