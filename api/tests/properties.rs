//! What holds for every input, however hostile.

use std::ops::ControlFlow;

use faultline_api::{
    Broken, Code, Content, FileDocuments, Span, decode, line_col, render,
    yaml::{self, MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES, Node, Style, Value},
};
use proptest::prelude::*;

/// Everything that a caller relies on, whatever the bytes are.
fn check(source: &[u8]) -> FileDocuments {
    let file = decode(source);
    assert_eq!(file, decode(source), "decoding is not deterministic");
    for document in &file.documents {
        check_span(document.span, source);
        let broken = matches!(document.content, Content::Broken(_));
        assert!(!broken || file.has_errors(), "a document is broken and nothing says why");
    }
    for diagnostic in &file.diagnostics {
        for span in diagnostic.span.into_iter().chain(diagnostic.related.iter().map(|(span, _)| *span)) {
            check_span(span, source);
        }
        let rendered = render(std::slice::from_ref(diagnostic), "file.yaml", source, false);
        assert!(rendered.contains(diagnostic.code.as_str()), "{rendered}");
        if let Some(span) = diagnostic.span {
            let place = line_col(source, span.start);
            assert!(
                rendered.contains(&format!("file.yaml:{}:{}\n", place.line, place.column)),
                "{place:?}: {rendered}"
            );
        }
    }
    file
}

fn check_span(span: Span, source: &[u8]) {
    assert!(span.start <= span.end && span.end <= source.len(), "{span:?} of {} bytes", source.len());
}

/// Pieces that together reach most of the grammar.
const PIECES: &[&str] = &[
    "a",
    "b: ",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    " ",
    ":",
    ", ",
    "{",
    "}",
    "[",
    "]",
    "&x ",
    "*x",
    "!!str ",
    "!t ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "# c\n",
    "\n---\n",
    "\n...\n",
    "<<: ",
    "? ",
    "\t",
    "é",
    "日本",
    "\r\n",
    "\u{feff}",
    "%YAML 1.2\n",
    "\\",
    "\u{85}",
    "kind: KernelChaos\n",
    "apiVersion: chaos-mesh.org/v1alpha1\n",
    "metadata: {name: n}\n",
    "spec:\n",
    "apiVersion: faultline.dev/v1alpha1\n",
    "kind: Guardrail\n",
    "  mode: one\n",
    "  selector: {}\n",
    "  failKernRequest: {failtype: 0}\n",
    "  failKernRequest:\n    failtype: 0\n    callchain:\n",
    "      - funcname: f\n        predicate: ",
    "        parameters: int a, ",
    "a->b == 'c' &&",
    "  module: {path: a.wasm}\n",
    "  match: ",
    "\0",
    "\u{1f600}",
];

const GOOD: &str = "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: { name: NAME }\nspec:\n  mode: one\n  selector: {}\n  failKernRequest: { failtype: 0 }\n";

fn good(name: &str) -> String {
    GOOD.replace("NAME", name)
}

fn pieces() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..40).prop_map(|pieces| pieces.concat())
}

fn is_experiment(content: &Content, name: &str) -> bool {
    matches!(content, Content::Experiment(experiment) if experiment.id.name == name)
}

/// Visits every node.
fn walk<B>(node: &Node, visit: &mut impl FnMut(&Node) -> ControlFlow<B>) -> ControlFlow<B> {
    visit(node)?;
    match &node.value {
        Value::Scalar(_) => ControlFlow::Continue(()),
        Value::Sequence(items) => items.iter().try_for_each(|item| walk(item, visit)),
        Value::Mapping(entries) => entries.iter().try_for_each(|entry| walk(&entry.value, visit)),
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_and_their_diagnostics_shown(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes);
    }

    #[test]
    fn anything_that_resembles_yaml_is_decoded_and_its_diagnostics_shown(text in pieces()) {
        check(text.as_bytes());
    }

    #[test]
    fn a_manifest_with_changed_bytes_is_decoded_and_its_diagnostics_shown(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = include_bytes!("cases/every-field.yaml").to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes);
        check(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn whatever_a_predicate_says_and_however_it_is_written_its_problems_have_places(
        text in "[ -~é\\n]{1,40}",
        words in prop::collection::vec(prop::sample::select(&["a", "(", "&&", "->", "'", "\"", "08", "@", "\n"][..]), 1..12),
    ) {
        for text in [text, words.join(" ")] {
            let block = format!("|2\n          {}", text.replace('\n', "\n          "));
            let single = format!("'{}'", text.replace('\'', "''").replace('\n', "\n\n          "));
            for written in [serde_json::to_string(&text).unwrap(), block, single] {
                let frame = format!("\n    failtype: 0\n    callchain:\n      - funcname: f\n        predicate: {written}\n");
                let source = good("a").replace(" { failtype: 0 }", &frame);
                let file = check(source.as_bytes());
                let start = source.find("predicate:").unwrap() + "predicate:".len();
                for diagnostic in file.diagnostics.iter().filter(|found| found.code == Code::InvalidPredicate) {
                    prop_assert!(diagnostic.span.unwrap().start > start, "{diagnostic:?}");
                }
            }
        }
    }

    #[test]
    fn a_broken_document_leaves_those_before_and_behind_it_alone(text in pieces()) {
        // A directive belongs to the document behind it, and may spoil that one.
        let middle = format!("---\n{}\n", text.replace("---", "").replace('%', ""));
        let file = check(format!("{}{middle}---\n{}", good("before"), good("behind")).as_bytes());
        prop_assert!(is_experiment(&file.documents[0].content, "before"));
        prop_assert!(is_experiment(&file.documents[file.documents.len() - 1].content, "behind"));
    }

    #[test]
    fn a_plain_or_quoted_value_is_where_its_span_says(
        before in "[a-z é日\u{1f600}]{0,8}",
        value in "[a-z][a-zé日\u{1f600} ]{0,10}[a-z]",
        newline in prop::sample::select(&["\n", "\r\n"][..]),
    ) {
        let text = format!("\u{feff}# {before}{newline}k: {value}{newline}q: '{value}'{newline}f: [é, {value}]{newline}");
        let documents = yaml::parse(text.as_bytes());
        let root = documents[0].root.as_ref().unwrap();
        let mut seen = 0;
        let _ = walk(root, &mut |node| {
            let written = &text[node.span.start..node.span.end];
            match &node.value {
                Value::Scalar(scalar) if scalar.style == Style::Plain => assert_eq!(written, &*scalar.text),
                Value::Scalar(scalar) => assert_eq!(written, format!("'{}'", scalar.text)),
                Value::Sequence(_) => assert_eq!(written, format!("[é, {value}]")),
                Value::Mapping(_) => assert_eq!(written.trim_end(), text.split_once("k:").map(|(_, rest)| format!("k:{rest}")).unwrap().trim_end()),
            }
            seen += 1;
            ControlFlow::<()>::Continue(())
        });
        prop_assert_eq!(seen, 6);
    }

    #[test]
    fn no_tree_is_larger_or_deeper_than_the_limits(
        widths in prop::collection::vec(1..30_usize, 1..8),
        depth in 1..100_usize,
    ) {
        let mut text = String::from("a0: &a0 x\n");
        for (level, width) in widths.iter().enumerate() {
            text += &format!("a{}: &a{} [{}]\n", level + 1, level + 1, vec![format!("*a{level}"); *width].join(", "));
        }
        text += &format!("deep: {}{}\n", "[".repeat(depth), "]".repeat(depth));
        for document in yaml::parse(text.as_bytes()) {
            let mut nodes = 0;
            let Some(root) = &document.root else { continue };
            let _ = walk(root, &mut |_| { nodes += 1; ControlFlow::<()>::Continue(()) });
            prop_assert!(nodes <= MAX_NODES);
            prop_assert!(document.fatal.is_some() || depth < MAX_DEPTH);
        }
    }
}

#[test]
fn a_file_over_the_limit_is_one_broken_document_with_one_diagnostic() {
    let file = check(&vec![b'a'; MAX_FILE_BYTES + 1]);
    assert!(matches!(file.documents[0].content, Content::Broken(Broken::Unrecognised { .. })));
    assert_eq!((file.documents.len(), file.diagnostics.len()), (1, 1));
}

#[test]
fn a_line_of_a_megabyte_is_shown_in_part() {
    let long = "x".repeat(MAX_FILE_BYTES - 400);
    for text in [format!("{}# {long}", good("a").replace("one", "on")), good("a").replace("one", &long)] {
        let file = check(text.as_bytes());
        let rendered = render(&file.diagnostics, "long.yaml", &text, true);
        assert!(rendered.len() < 10_000, "{} bytes", rendered.len());
    }
}

#[test]
fn an_empty_file_has_no_documents_and_nothing_wrong_with_it() {
    for text in ["", "\n", "---\n---\n", "# only a comment\n", "\u{feff}", "...\n"] {
        assert_eq!(decode(text), FileDocuments::default(), "{text:?}");
    }
}
