//! What a module is asked from the command line: as the reconciler would ask it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use faultline_api::{Code, Diagnostic, Span};
use faultline_core::{
    judge,
    ledger::Ledger,
    parse::{FileCache, Finding, Parsed, RefusedDocument, parse},
    review::{Moment, Operation, Review},
    tree::{Fetched, Role, SourceRef, Tree},
};
use faultline_policies::cases;
use serde_json::{Map, Value};

use super::{read_text, wrong::Wrong};
use crate::cli::CliError;

/// What source and revision are called where there is neither.
const NOWHERE: &str = "input";
/// What the file is called in the tree that holds nothing else: endings tell what files are.
const FILE: &str = "input.yaml";

/// Settings, and what is known at the second moment.
#[derive(Debug, Args)]
pub(super) struct QuestionArgs {
    /// Settings of the guardrail, YAML or JSON; `-` for standard input; otherwise none
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Ask at the second moment, with the selection in this file: the fields of `admission` in a case
    #[arg(long, value_name = "FILE")]
    admission: Option<PathBuf>,
}

/// The same question about one experiment or more.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) settings: Value,
    pub(super) reviews: Vec<Review>,
}

impl Question {
    /// Reads the files; `input` is what people call the experiments in `text`.
    pub(super) fn read(
        args: &QuestionArgs,
        input: &Path,
        text: &[u8],
    ) -> Result<Result<Self, Wrong>, CliError> {
        let QuestionArgs { settings, admission } = args;
        let settings = match settings.as_deref().map(read_text).transpose()? {
            Some((path, bytes)) => cases::settings(&path, &bytes),
            None => Ok(Value::Object(Map::new())),
        };
        let admission = admission.as_deref().map(read_text).transpose()?;
        let admission = admission.map(|(path, bytes)| cases::admission(&path, &bytes)).transpose();
        let (settings, admission, mut reviews) = match (settings, admission, reviews(input, text)) {
            (Err(broken), ..) | (_, Err(broken), _) => return Ok(Err(broken.into())),
            (.., Err(wrong)) => return Ok(Err(wrong)),
            (Ok(settings), Ok(admission), Ok(reviews)) => (settings, admission, reviews),
        };
        if reviews.is_empty() {
            return Err(CliError::NoExperiment(None));
        }
        reviews.iter_mut().for_each(|review| review.admission.clone_from(&admission));
        Ok(Ok(Self { settings, reviews }))
    }

    /// At which moment it is put.
    pub(super) fn moment(&self) -> Moment {
        if self.reviews.iter().any(|review| review.admission.is_some()) {
            Moment::Admit
        } else {
            Moment::Judge
        }
    }
}

/// A question about each experiment in `text`, as a pass makes it where there are no runs.
fn reviews(path: &Path, text: &[u8]) -> Result<Vec<Review>, Wrong> {
    let files = BTreeMap::from([(FILE.to_owned(), Arc::from(text))]);
    let source =
        SourceRef { name: NOWHERE.to_owned(), role: Role::Experiments, revision: NOWHERE.to_owned() };
    let tree = Arc::new(Tree { source, files, refused: BTreeMap::new() });
    let parsed = parse(&[Fetched::Fresh(tree)], &Ledger::default(), &mut FileCache::default());
    let wrong = wrong(&parsed, text);
    if wrong.is_empty() {
        Ok(parsed.experiments.values().map(|declared| judge::review(declared, Operation::Create)).collect())
    } else {
        Err(Wrong::new(path, text, wrong))
    }
}

/// What keeps a document of the one file from being used.
fn wrong(parsed: &Parsed, text: &[u8]) -> Vec<Finding> {
    let errors = parsed.files.iter().flat_map(|file| &file.findings);
    let errors = errors.filter(|finding| finding.diagnostic.is_error()).cloned();
    let refused = parsed.refused.iter().map(|RefusedDocument { place, subject, message, .. }| {
        let message = format!("{subject}: {message}");
        let diagnostic = Diagnostic::error(Code::RefusedFile, line(text, place.line), message);
        Finding { line: Some(place.line), column: Some(1), diagnostic }
    });
    errors.chain(refused).collect()
}

/// The line of that number, from 1.
fn line(text: &[u8], number: u32) -> Span {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let before = number.saturating_sub(1) as usize;
    let start = lines.by_ref().take(before).map(<[u8]>::len).sum();
    Span { start, end: start + lines.next().map_or(0, |line| line.trim_ascii_end().len()) }
}
