//! Diagnostics as people read them: place, underlined text, help.

use std::ops::Range;

use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
    renderer::DecorStyle,
};

use super::{Diagnostic, LineColumn, Lines, Severity, Span};
use crate::yaml::visible;

/// Longest excerpt that is shown of a line on either side of a finding, in bytes: a file may be a single line of a
/// megabyte, and what is shown is laid out again for every finding.
const LONGEST_EXCERPT: usize = 400;

/// Each diagnostic with its place in `file_name`, the text underlined, related places and help, and an empty line
/// after each. Invalid bytes of `source` are shown as `?`. `color` adds ANSI escapes.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], file_name: &str, source: impl AsRef<[u8]>, color: bool) -> String {
    let text = text_of(source.as_ref());
    let name = visible(file_name);
    let file = File { name: &name, text: &text, lines: Lines::new(text.as_bytes()) };
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&[file.group(diagnostic)]));
        out.push_str("\n\n");
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

/// What diagnostics point into.
struct File<'a> {
    name: &'a str,
    text: &'a str,
    lines: Lines<'a>,
}

type Place<'a> = (Span, AnnotationKind, Option<&'a str>);

impl<'a> File<'a> {
    fn group(&self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(visible(&diagnostic.message)).id(diagnostic.code.as_str());
        let mut group = Group::with_title(title);
        match diagnostic.span {
            Some(span) => {
                let related = diagnostic.related.iter();
                let related =
                    related.map(|(span, what)| (*span, AnnotationKind::Context, Some(what.as_str())));
                let places: Vec<_> =
                    std::iter::once((span, AnnotationKind::Primary, None)).chain(related).collect();
                group = self.with_places(group, &places);
            }
            None => group = group.element(Origin::path(self.name)),
        }
        match &diagnostic.help {
            Some(help) => group.element(Level::HELP.message(normalize_untrusted_str(help))),
            None => group,
        }
    }

    /// One snippet for all places where they are near each other on lines of ordinary length, else one for each.
    fn with_places(&self, group: Group<'a>, places: &[Place<'a>]) -> Group<'a> {
        let windows: Vec<_> = places.iter().map(|(span, ..)| window(*span, self.text)).collect();
        let (start, end) = windows.iter().fold((usize::MAX, 0), |(start, end), window| {
            (start.min(window.excerpt.start), end.max(window.excerpt.end))
        });
        if windows.iter().all(|window| window.from_line_start) && end - start <= 4 * LONGEST_EXCERPT {
            let annotations =
                places.iter().zip(&windows).map(|(place, window)| annotation(place, window, start));
            return group.element(self.snippet(start..end).path(self.name).annotations(annotations));
        }
        places.iter().zip(&windows).fold(group, |group, (place, window)| {
            let LineColumn { line, column } = self.lines.line_col(window.marked.start);
            let origin = Origin::path(self.name).line(line as usize).char_column(column as usize);
            let mark = annotation(place, window, window.excerpt.start);
            group.element(origin).element(self.snippet(window.excerpt.clone()).annotation(mark))
        })
    }

    fn snippet(&self, excerpt: Range<usize>) -> Snippet<'a, Annotation<'a>> {
        let line = self.lines.line(excerpt.start);
        Snippet::source(&self.text[excerpt]).line_start(line as usize)
    }
}

fn annotation<'a>((_, kind, what): &Place<'a>, window: &Window, start: usize) -> Annotation<'a> {
    let annotation = kind.span(window.marked.start - start..window.marked.end - start);
    match what {
        Some(what) => annotation.label(normalize_untrusted_str(what)),
        None => annotation,
    }
}

/// What is shown of a text for one span, and what is underlined of it.
struct Window {
    excerpt: Range<usize>,
    marked: Range<usize>,
    from_line_start: bool,
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
        from_line_start: shown_start == line_start,
    }
}
