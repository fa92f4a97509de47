//! Files of documents: decoded or refused with places, and what is said of them can be shown.

use faultline_api::{
    decode::{Content, decode},
    render,
};

/// What documents are made of.
pub const WORDS: &[&str] = &[
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    ": ",
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
    "\r\n",
    "\u{feff}",
    "%YAML 1.2\n",
    "\\",
    "\u{85}",
    "\u{e9}",
    "\u{1f600}",
    "\u{202e}",
    "\u{1b}",
    "apiVersion: ",
    "kind: ",
    "KernelChaos",
    "Guardrail",
    "metadata:",
    "name: ",
    "spec:",
    "mode: ",
    "selector:",
    "failKernRequest:",
    "failtype: ",
    "callchain:",
    "funcname: ",
    "predicate: ",
    "parameters: ",
    "probability: ",
    "times: ",
    "duration: ",
    "0",
    "1",
    "-1",
    "1e9",
    "30s",
    "null",
    "~",
    "!x",
    "a ? b : c",
    "*p == 1",
];

/// Everything that a reader of a file relies on.
pub fn run(input: &[u8]) {
    let file = decode(input);
    let is_within = |span: faultline_api::Span| span.start <= span.end && span.end <= input.len();
    for document in &file.documents {
        assert!(is_within(document.span), "{:?} of {} bytes", document.span, input.len());
        let is_broken = matches!(document.content, Content::Broken(_));
        assert!(!is_broken || file.has_errors(), "a document is broken and nothing says why");
    }
    for diagnostic in &file.diagnostics {
        let related = diagnostic.related.iter().map(|(span, _)| *span);
        assert!(diagnostic.span.into_iter().chain(related).all(is_within), "{diagnostic:?}");
    }
    let shown = render(&file.diagnostics, "file.yaml", input, false);
    assert!(file.diagnostics.iter().all(|found| shown.contains(found.code.as_str())), "{shown}");
}
