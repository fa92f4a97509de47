//! Predicates and declarations as people write them: read or refused with a place, and compiled to what they mean.

use faultline_api::{
    Predicate,
    predicate::{Problem, parse, parse_parameters},
};
use faultline_ebpf::predicate::{Problems, read};

use crate::kernel::{FUNCTIONS, Kernel};

/// Words that mean something to predicates about the imagined kernel.
pub const WORDS: &[&str] = &[
    "node",
    "outer",
    "n",
    "c",
    "b",
    "pair",
    "last",
    "s",
    "gfpflags",
    "->",
    ".",
    "inner",
    "all",
    "[1]",
    "[n]",
    "left",
    "right",
    "name",
    "bits",
    ".low",
    ".high",
    ".end",
    "->text",
    "->next",
    "->list",
    "->own",
    "->raw",
    "->size",
    "(",
    ")",
    "*",
    "&",
    " && ",
    " || ",
    "!",
    "~",
    "-",
    "+",
    "/",
    "%",
    "<<",
    ">>",
    "==",
    "!=",
    "<",
    ">=",
    " ? ",
    " : ",
    ",",
    "0",
    "1",
    "7",
    "64",
    "-1",
    "0x80000000",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "1UL",
    "ZONE_HIGH",
    "ZONE_BELOW",
    "\"x\"",
    "'y'",
    "'\\xff'",
    "STRCMP(",
    "STRNCMP(",
    "MKDEV(1,2)",
    "MAJOR(",
    "MINOR(",
    "IS_ERR(",
    "sizeof",
    "sizeof(struct node)",
    "(struct node *)",
    "(struct bits)",
    "struct",
    "enum zone",
    "unsigned",
    "long",
    "char",
    "(char)",
    "(u8)",
    "(s16)",
    "(bool)",
    "(unsigned long)",
    "(void *)",
    "(gfp_t)",
    "current",
    "current->tgid",
    "void",
    "NULL",
    "true",
    "GFP_KERNEL",
    "__GFP_NOFAIL",
    "/*",
    "*/",
    "//",
    "\n",
    "({",
    "})",
    ";",
    "\u{e9}",
    "\u{202e}",
    "\0",
];

/// The first line declares parameters where there is another, which is the predicate.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (parameters, text) = match text.split_once('\n') {
        Some((parameters, text)) => (Some(parameters), text),
        None => (None, text),
    };
    if let Err(problems) = parse(text) {
        have_places(&problems, text);
    }
    if let Some(Err(problems)) = parameters.map(parse_parameters) {
        have_places(&problems, parameters.unwrap_or_default());
    }
    let kernel = Kernel::imagined();
    for function in FUNCTIONS {
        let function = kernel.function(function).expect("the fixture has it");
        let predicate = Predicate { text: text.to_owned(), parameters: parameters.map(str::to_owned) };
        match read(function, &predicate) {
            Ok(condition) => kernel.agrees(&condition),
            Err(Problems::Predicate(problems)) => have_places(&problems, text),
            Err(Problems::Parameters(problems)) => have_places(&problems, parameters.unwrap_or_default()),
        }
    }
}

/// Something is wrong, and each problem says where.
fn have_places(problems: &[Problem], text: &str) {
    assert!(!problems.is_empty(), "refused, and nobody says why: {text:?}");
    for problem in problems {
        assert!(text.get(problem.span.start..problem.span.end).is_some(), "{problem:?} in {text:?}");
    }
}
