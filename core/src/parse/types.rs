//! What parsing comes to.

use std::{collections::BTreeMap, sync::Arc};

use faultline_api::{Diagnostic, Experiment, ExperimentId, Guardrail, Place, Reason};
use jiff::Timestamp;
use serde::Serialize;

use crate::{digest::content, review::SourceFacts, tree::Role};

/// Everything that the sources declare, and everything that is wrong with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// Every configured source, by name.
    pub sources: BTreeMap<String, SourceState>,
    /// The experiments that hold their name.
    pub experiments: BTreeMap<ExperimentId, Declared>,
    /// Every guardrail, ordered by name and place; also those that cannot be used: they leave everything
    /// undecided.
    pub guardrails: Vec<BoundGuardrail>,
    /// Documents and files that cannot be read.
    pub broken: Vec<Broken>,
    /// Documents that are fine in themselves and have no effect here.
    pub refused: Vec<RefusedDocument>,
    /// Every file with findings.
    pub files: Vec<Arc<FileFindings>>,
    /// Documents of other kinds, counted by `apiVersion kind`.
    pub skipped: BTreeMap<String, u32>,
}

impl Parsed {
    /// The first instant after `now` at which an exception from a guardrail ends.
    pub(crate) fn next_exception_to_end(&self, now: Timestamp) -> Option<Timestamp> {
        let guardrails = self.guardrails.iter().filter_map(|bound| match &bound.binding {
            Binding::Bound { guardrail, .. } => Some(guardrail),
            Binding::Broken { .. } => None,
        });
        let ends =
            guardrails.flat_map(|guardrail| &guardrail.exceptions).map(|exception| exception.expires_at);
        ends.filter(|end| *end > now).min()
    }
}

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceState {
    /// What its documents may be used for.
    pub role: Role,
    /// The revision in force; `None`: there has never been a tree.
    pub revision: Option<String>,
    /// Whether the tree is the newest.
    pub freshness: Freshness,
    /// Why the newest fetch failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a source's tree is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// It is.
    Fresh,
    /// The last good one is in force for a bounded time.
    Stale,
    /// Stale for longer than is allowed: its runs are drained.
    Expired,
    /// There has never been one: it starts nothing and removes nothing.
    Missing,
}

/// One experiment as a source declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// With its effective values.
    pub experiment: Arc<Experiment>,
    /// As it stands in the file.
    pub written: Arc<Written>,
    /// Where.
    pub place: Place,
    /// Of the source.
    pub source: Arc<SourceFacts>,
}

/// A document as its author wrote it, and the digests by which verdicts on it are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// As JSON.
    pub raw: serde_json::Value,
    /// SHA-256 of that JSON.
    pub raw_digest: [u8; 32],
    /// SHA-256 of the experiment that it declares, with its effective values.
    pub experiment_digest: [u8; 32],
}

impl Written {
    /// `raw`, which declares `experiment`.
    pub(super) fn new(experiment: &Experiment, raw: serde_json::Value) -> Self {
        let (raw_digest, experiment_digest) = (content(&raw), content(experiment));
        Self { raw, raw_digest, experiment_digest }
    }
}

/// A guardrail with its module.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundGuardrail {
    /// `metadata.name`, or the file's path where that cannot be read.
    pub name: String,
    /// Where it is declared.
    pub place: Place,
    /// What can be known of it.
    pub binding: Binding,
}

/// What is known of a guardrail.
#[derive(Clone, Debug, PartialEq)]
pub enum Binding {
    /// Everything.
    Bound {
        /// The document.
        guardrail: Arc<Guardrail>,
        /// The bytes of its module, or why they are not there.
        module: Result<Module, String>,
    },
    /// It cannot be read, so it matches everything and decides nothing.
    Broken {
        /// What is wrong.
        error: String,
    },
}

/// Bytes of a module and their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// `sha256:<hex>`.
    pub digest: String,
    /// WebAssembly.
    pub bytes: Arc<[u8]>,
}

/// Something that may declare an experiment and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// Where; line 1 where the whole file is meant.
    pub place: Place,
    /// Which experiment, where that much can be read.
    pub experiment: Option<ExperimentId>,
    /// The first error.
    pub message: String,
}

impl Broken {
    /// Whether it is, or may be, the document of `experiment` that was last read at `place`.
    #[must_use]
    pub fn may_be(&self, experiment: &ExperimentId, place: &Place) -> bool {
        match &self.experiment {
            Some(own) => own == experiment,
            None => {
                let rest = place.path.strip_prefix(&self.place.path);
                self.place.source == place.source
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

/// A document that is fine in itself and has no effect here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedDocument {
    /// Where it is.
    pub place: Place,
    /// Its experiment or its name.
    pub subject: String,
    /// Why it has no effect.
    pub reason: Reason,
    /// In words; names the other place where there is one.
    pub message: String,
}

/// What was found in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileFindings {
    /// Name of the source.
    pub source: String,
    /// Path of the file.
    pub path: String,
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// The same for people, with the underlined text. No colours.
    #[serde(skip)]
    pub rendered: String,
}

/// One diagnostic with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// From 1; `None` where the file as a whole is meant.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
    /// What is wrong.
    #[serde(flatten)]
    pub diagnostic: Diagnostic,
}
