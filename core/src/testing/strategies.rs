//! Generated documents, inventories, and the things that happen to them.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{Document, node, pod};
use crate::inventory::Inventory;

/// A document with any mode, budget, probability and duration, named `e0` to `e5`.
pub fn documents() -> impl Strategy<Value = Document> {
    let mode = prop_oneof![
        Just(("one", None)),
        Just(("all", None)),
        (1..6_u32).prop_map(|count| ("fixed", Some(count))),
        (0..=100_u32).prop_map(|percent| ("fixed-percent", Some(percent))),
        (0..=100_u32).prop_map(|percent| ("random-max-percent", Some(percent))),
    ];
    let duration = option::of((1..600_u32).prop_map(|seconds| format!("{seconds}s")));
    let rerun = option::weighted(0.1, "[a-c]");
    (0..6_u8, mode, duration, 0..3_u8, option::of(0..=100_u8), option::of(0..12_u64), rerun).prop_map(
        |(number, (mode, value), duration, failtype, probability, times, rerun)| Document {
            duration,
            failtype,
            probability,
            times,
            rerun,
            ..Document::named(&format!("e{number}")).mode(mode, value)
        },
    )
}

/// Up to eight pods in two namespaces on nodes of which the last cannot inject.
pub fn inventory() -> impl Strategy<Value = Inventory> {
    let pods = vec((select(vec!["app", "other", "kube-system"]), 0..3_u8), 0..8);
    pods.prop_map(|pods| Inventory {
        observed_at: super::at(0),
        nodes: (0..3_u8).map(|number| (format!("n{number}"), node(number < 2))).collect(),
        namespaces: Default::default(),
        pods: pods
            .into_iter()
            .enumerate()
            .map(|(number, (namespace, node))| pod(namespace, &format!("p{number}"), &format!("n{node}")))
            .collect(),
    })
}

/// Something that happens between two passes.
#[derive(Clone, Debug)]
pub enum Change {
    /// A file is written, or written again.
    Write(Document),
    /// The file of an experiment is deleted.
    Delete(u8),
    /// The file of an experiment is broken.
    Break(u8),
    /// The file of an experiment spells out what holds anyway.
    SpellOut(u8),
    /// A pod appears on a node.
    AddPod(u8),
    /// One of the pods goes away.
    RemovePod(prop::sample::Index),
    /// A node's agent loses its connection, or gets it back.
    Toggle(u8),
    /// Reports of a node are late from now on, or on time again.
    Delay(u8),
    /// Seconds pass.
    Wait(u16),
    /// Every attached probe injects up to this often.
    Inject(u8),
    /// The only guardrail becomes this script.
    Guard(&'static str),
}

/// Up to thirty changes.
pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    let scripts = vec![
        "allow",
        "deny",
        "trap",
        "times 3",
        "probability 10",
        "targets 1",
        "late duration 60",
        "fleet 2",
        "echo operation",
        "echo raw",
        "echo revision",
    ];
    vec(
        prop_oneof![
            4 => documents().prop_map(Change::Write),
            2 => (0..6_u8).prop_map(Change::Delete),
            1 => (0..6_u8).prop_map(Change::Break),
            1 => (0..6_u8).prop_map(Change::SpellOut),
            4 => (0..3_u8).prop_map(Change::AddPod),
            3 => any::<prop::sample::Index>().prop_map(Change::RemovePod),
            2 => (0..3_u8).prop_map(Change::Toggle),
            2 => (0..3_u8).prop_map(Change::Delay),
            2 => (0..200_u16).prop_map(Change::Wait),
            4 => (1..9_u8).prop_map(Change::Inject),
            1 => select(scripts).prop_map(Change::Guard),
        ],
        1..30,
    )
}
