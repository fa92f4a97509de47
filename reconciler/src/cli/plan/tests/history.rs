//! Generated histories: what is written, what pods there are, how time passes and what agents say.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use faultline_api::Fault;
use faultline_core::inventory::{Injectability, KernelReport};
use proptest::{bool::weighted, collection::vec, option, prelude::*};

/// The nodes. The last cannot inject into block devices.
pub(super) const NODES: [&str; 3] = ["n0", "n1", "n2"];

/// A guest that caps probability, times and duration.
const CAPS: &[u8] = include_bytes!("../../../../../policies/modules/cap_limits.wasm");
/// A guest that denies everything.
const DENY: &[u8] = include_bytes!("../../../../../policies/modules/deny_all.wasm");

/// One tree and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct History {
    caps: Option<(u64, u64)>,
    denied_namespace: Option<u8>,
    /// Events between passes.
    pub(super) steps: Vec<Vec<Event>>,
}

/// Something that happens between two passes.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Write { file: String, text: String },
    Remove { file: String },
    Inventory(String),
    Wait(u64),
    Report { failing: bool, spent: u64 },
}

impl History {
    pub(super) fn write_guardrails(&self, root: &Path) {
        let write = |name: &str, spec: &str| {
            let head = "apiVersion: faultline.dev/v1alpha1\nkind: Guardrail\n";
            let text = format!("{head}metadata: {{ name: {name} }}\nspec: {spec}\n");
            fs::write(root.join(format!("{name}.yaml")), text).unwrap();
        };
        fs::write(root.join("caps.wasm"), CAPS).unwrap();
        fs::write(root.join("deny.wasm"), DENY).unwrap();
        if let Some((times, minutes)) = self.caps {
            let settings = format!("{{ times: {{ max: {times} }}, duration: {{ max: {minutes}m }} }}");
            write("caps", &format!("{{ module: {{ path: caps.wasm }}, settings: {settings} }}"));
        }
        if let Some(namespace) = self.denied_namespace {
            let matches = format!("{{ namespaces: [ns{namespace}] }}");
            write("deny", &format!("{{ module: {{ path: deny.wasm }}, match: {matches} }}"));
        }
    }
}

/// A few files with pods to hit and agents that attach, then more of everything.
pub(super) fn histories() -> impl Strategy<Value = History> {
    let first = (vec(write(), 1..5), inventory());
    let later = vec(vec(event(), 1..4), 1..3);
    let guardrails = (option::weighted(0.2, (1..50_u64, 1..60_u64)), option::weighted(0.1, 0..3_u8));
    (guardrails, first, later).prop_map(|((caps, denied_namespace), (mut writes, inventory), later)| {
        writes.push(inventory);
        writes.push(Event::Report { failing: false, spent: 0 });
        let steps = std::iter::once(writes).chain(later).collect();
        History { caps, denied_namespace, steps }
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => write(),
        1 => file().prop_map(|file| Event::Remove { file }),
        1 => inventory(),
        2 => (1..4_000_u64).prop_map(Event::Wait),
        2 => (weighted(0.2), 0..60_u64).prop_map(|(failing, spent)| Event::Report { failing, spent }),
    ]
}

fn file() -> impl Strategy<Value = String> {
    (0..4_u8).prop_map(|file| format!("f{file}.yaml"))
}

fn write() -> impl Strategy<Value = Event> {
    (file(), vec(document(), 1..3))
        .prop_map(|(file, documents)| Event::Write { file, text: documents.join("---\n") })
}

fn document() -> impl Strategy<Value = String> {
    let fixed = |text: &str| Just(text.to_owned());
    prop_oneof![
        12 => experiment(),
        1 => fixed("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other }\n"),
        1 => fixed("apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nspec: [\n"),
        1 => experiment().prop_map(|text| text.replace("  selector:", "  selectors:")),
        1 => fixed("apiVersion: chaos-mesh.org/v1alpha1\nkind: Schedule\nmetadata: { name: s }\n"),
    ]
}

fn mode() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("one".to_owned()),
        Just("all".to_owned()),
        (0..5_u8).prop_map(|value| format!("fixed\n  value: '{value}'")),
        (0..=100_u8).prop_map(|value| format!("fixed-percent\n  value: '{value}'")),
        (0..=100_u8).prop_map(|value| format!("random-max-percent\n  value: '{value}'")),
    ]
}

fn experiment() -> impl Strategy<Value = String> {
    let place = (0..3_u8, 0..4_u8, 0..3_u8, option::weighted(0.2, 0..3_u8));
    let fault = (0..3_u8, option::of(0..=100_u8), option::of(0..40_u64), option::of(1..3_000_u64));
    (place, mode(), fault).prop_map(|(place, mode, (failtype, probability, times, duration))| {
        let (namespace, name, target, rerun) = place;
        let optional = |value: Option<u64>, line: &str| {
            value.map_or_else(String::new, |value| line.replace('#', &value.to_string()))
        };
        let metadata = format!("{{ name: x{name}, namespace: ns{namespace}, annotations: {{ {} }} }}",
            optional(rerun.map(u64::from), "faultline.dev/rerun: '#'"));
        format!(
            "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: {metadata}\nspec:\n  mode: {mode}\n  \
             selector:\n    namespaces: [ns{target}]\n{}  failKernRequest:\n    failtype: {failtype}\n    \
             callchain: [{{ funcname: __x64_sys_mount }}]\n{}{}",
            optional(duration, "  duration: #s\n"),
            optional(probability.map(u64::from), "    probability: #\n"),
            optional(times, "    times: #\n"),
        )
    })
}

fn inventory() -> impl Strategy<Value = Event> {
    let pod = (0..3_u8, 0..6_u8, 0..3_u8, 0..3_usize, 0..5_u8);
    vec(pod, 1..12).prop_map(|pods| {
        let mut text = "observedAt: 2026-03-01T11:59:00Z\nnodes: { n0: {}, n1: {}, n2: {} }\n\
            namespaces: { ns0: {}, ns1: {} }\npods:\n"
            .to_owned();
        let mut seen = BTreeSet::new();
        for (namespace, name, incarnation, node, phase) in pods {
            if seen.insert((namespace, name)) {
                let phase = if phase == 0 { "Succeeded" } else { "Running" };
                let (uid, node) = (format!("{namespace}-{name}-{incarnation}"), NODES[node]);
                writeln!(
                    text,
                    "- {{ namespace: ns{namespace}, name: p{name}, uid: u-{uid}, node: {node}, phase: {phase}, \
                     containers: [{{ name: main, cgroup: pods/{uid} }}, {{ name: side, cgroup: pods/{uid}-s }}] }}"
                )
                .unwrap();
            }
        }
        Event::Inventory(text)
    })
}

/// What a node's agent says of its kernel.
pub(super) fn kernel(node: &str) -> KernelReport {
    let can = |fault| {
        if node == "n2" && fault == Fault::Bio {
            Injectability::No { reason: "should_fail_bio is a clone".to_owned() }
        } else {
            Injectability::Yes { mechanism: "fmod_ret".to_owned() }
        }
    };
    let faults = Fault::ALL.into_iter().map(|fault| (fault, can(fault))).collect();
    KernelReport {
        release: "6.1.0".to_owned(),
        machine: "x86_64".to_owned(),
        faults,
        ..KernelReport::default()
    }
}
