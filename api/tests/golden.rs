//! Each file of `tests/cases` with everything that is said about it, as golden text.

use std::{fmt::Write as _, fs, path::Path};

use faultline_api::{Content, FileDocuments, decode, render};

#[test]
fn every_case_decodes_and_reads_as_recorded() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.ends_with(".yaml") || name.ends_with(".json"));
    names.sort();
    assert!(names.len() >= 10, "the cases are gone: {names:?}");
    insta::with_settings!({ snapshot_path => "cases", prepend_module_to_snapshot => false, omit_expression => true }, {
        for name in names {
            let source = fs::read(directory.join(&name)).unwrap();
            insta::assert_snapshot!(name.as_str(), report(&name, &source, &decode(&source)));
        }
    });
}

fn report(name: &str, source: &[u8], file: &FileDocuments) -> String {
    let mut out = String::new();
    for document in &file.documents {
        write!(out, "line {}: ", document.line).unwrap();
        match &document.content {
            Content::Experiment(experiment) => {
                writeln!(out, "{}", serde_json::to_string_pretty(experiment).unwrap()).unwrap();
            }
            Content::Guardrail(guardrail) => {
                writeln!(out, "{}", serde_json::to_string_pretty(guardrail).unwrap()).unwrap();
            }
            Content::Skipped(skipped) => writeln!(out, "{skipped:?}").unwrap(),
            Content::Broken(broken) => writeln!(out, "broken: {broken:?}").unwrap(),
        }
    }
    format!("{out}\n{}", render(&file.diagnostics, name, source, false))
}
