//! Each file of `tests/cases` with everything that is said about it, as golden text.

use std::{fs, path::Path};

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
            insta::assert_snapshot!(name.as_str(), report(&name, &source, &decode(&source)).unwrap());
        }
    });
}

fn report(name: &str, source: &[u8], file: &FileDocuments) -> serde_json::Result<String> {
    let mut out = String::new();
    for document in &file.documents {
        let content = match &document.content {
            Content::Experiment(experiment) => serde_json::to_string_pretty(experiment)?,
            Content::Guardrail(guardrail) => serde_json::to_string_pretty(guardrail)?,
            Content::Skipped(skipped) => format!("{skipped:?}"),
            Content::Broken(broken) => format!("broken: {broken:?}"),
        };
        out += &format!("line {}: {content}\n", document.line);
    }
    Ok(format!("{out}\n{}", render(&file.diagnostics, name, source, false)))
}
