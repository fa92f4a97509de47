//! Stage 1: from the files of every source to what they declare.

use std::{collections::BTreeMap, sync::Arc};

use faultline_api::{Diagnostic, Experiment, ExperimentId, Guardrail, Place, Reason, guardrail::Match};
use serde::Serialize;

use crate::{
    ledger::Ledger,
    review::SourceFacts,
    tree::{Fetched, Role},
};

/// Everything that the sources declare, and everything that is wrong with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// Every configured source, by name.
    pub sources: BTreeMap<String, SourceState>,
    /// The experiments that hold their name.
    pub experiments: BTreeMap<ExperimentId, Declared>,
    /// Every guardrail, also those that cannot be used: they leave what they match undecided.
    pub guardrails: Vec<BoundGuardrail>,
    /// Documents and files that declare something that cannot be read.
    pub broken: Vec<Broken>,
    /// Documents that are fine in themselves and have no effect here.
    pub refused: Vec<RefusedDocument>,
    /// Every file with findings.
    pub files: Vec<FileFindings>,
    /// Documents of other kinds, counted by `apiVersion kind`.
    pub skipped: BTreeMap<String, u32>,
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
    /// The document as it was written, as JSON.
    pub raw: serde_json::Value,
    /// Where.
    pub place: Place,
    /// Of the source.
    pub source: SourceFacts,
}

/// A guardrail with its module.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundGuardrail {
    /// `metadata.name`, or the file's path where it cannot be read.
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
    /// The document has errors; `matches` is `None` where even that is unreadable, and it matches everything.
    Broken {
        /// What it matches.
        matches: Option<Match>,
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

/// Something that declares an experiment and cannot be read.
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
    /// Ordered by position.
    pub diagnostics: Vec<Diagnostic>,
}

/// Decodes every file of every tree. One broken file stops only itself. Where an experiment is declared twice, the
/// place that `ledger` knows keeps it.
#[must_use]
pub fn parse(fetched: &[Fetched], ledger: &Ledger) -> Parsed {
    let _ = (fetched, ledger);
    todo!("lands next")
}
