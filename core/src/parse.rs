//! Stage 1: from the files of every source to what they declare.

mod cache;
mod claims;
mod file;
mod modules;
mod reading;
mod types;

use std::{collections::BTreeMap, sync::Arc};

use faultline_api::ExperimentId;

pub use cache::FileCache;
pub use modules::Obtained;
pub use types::{
    Binding, BoundGuardrail, Broken, Declared, FileFindings, Finding, Freshness, Module, Parsed,
    RefusedDocument, SourceState, Written,
};

use crate::{
    ledger::Ledger,
    tree::{Fetched, Tree},
};

/// Decodes every file of every tree. One broken file stops only itself. Where an experiment is declared
/// twice, the place that `ledger` knows keeps it. `cache` only saves time: it never changes the result.
#[must_use]
pub fn parse(fetched: &[Fetched], ledger: &Ledger, cache: &mut FileCache) -> Parsed {
    let mut parsed = Parsed::default();
    let mut candidates: BTreeMap<ExperimentId, Vec<Declared>> = BTreeMap::new();
    for fetched in fetched {
        let (name, state, tree) = state(fetched);
        parsed.sources.insert(name.to_owned(), state);
        if let Some(tree) = tree {
            file::read_tree(tree, cache, &mut parsed, &mut candidates);
        }
    }
    cache.forget_unused();
    parsed.guardrails.sort_by(|a, b| (&a.name, &a.place).cmp(&(&b.name, &b.place)));
    for (id, candidates) in candidates {
        claims::settle(&id, candidates, ledger, &mut parsed);
    }
    parsed
}

/// What a fetch means for its source.
fn state(fetched: &Fetched) -> (&str, SourceState, Option<&Arc<Tree>>) {
    let of = |tree: &Tree, freshness, error: Option<&String>| SourceState {
        role: tree.source.role,
        revision: Some(tree.source.revision.clone()),
        freshness,
        error: error.cloned(),
    };
    match fetched {
        Fetched::Fresh(tree) => (&tree.source.name, of(tree, Freshness::Fresh, None), Some(tree)),
        Fetched::Stale { tree, error, expired } => {
            let freshness = if *expired { Freshness::Expired } else { Freshness::Stale };
            (&tree.source.name, of(tree, freshness, Some(error)), Some(tree))
        }
        Fetched::Missing { name, role, error } => {
            let error = Some(error.clone());
            (name, SourceState { role: *role, revision: None, freshness: Freshness::Missing, error }, None)
        }
    }
}
