//! How many instructions the verifier walks to accept each program.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use faultline_api::{CallChain, Content, Fault, Predicate, decode};
use faultline_node_agent::kernel::{FaultKind, Kernel as _, ProbeSpec};

use crate::ground::{Ground, spec};
use crate::table;

/// Prints a table.
pub(crate) fn list(ground: &Ground) {
    let containers = ground.containers(64);
    let mount = "__x64_sys_mount";
    let plain = |id, fault| ProbeSpec { fault, ..spec(id, &[mount], &containers[0]) };
    let gates: Vec<ProbeSpec> = (0..).zip(FaultKind::ALL).map(|(id, fault)| plain(id, fault)).collect();
    let many: Vec<ProbeSpec> =
        containers.iter().zip(0..).map(|(scope, id)| spec(id, &[mount], scope)).collect();
    let mut rows = Vec::new();
    let mut add = |name: &str, specs: &[ProbeSpec]| {
        let programs = ground.arm(specs).programs();
        let counts: BTreeMap<String, u32> =
            programs.into_iter().map(|program| (program.name, program.verified)).collect();
        rows.extend(
            counts
                .into_iter()
                .map(|(program, count)| vec![name.to_owned(), format!("`{program}`"), count.to_string()]),
        );
    };
    add("a chain of one, all failtypes", &gates);
    add("64 experiments with a chain of one", &many);
    let target = ProbeSpec {
        call_chain: CallChain { target: Some(flagged()), ..CallChain::default() },
        ..plain(0, FaultKind::Slab)
    };
    add("a predicate of the target", &[target]);
    for (name, example) in examples(&containers[0]) {
        add(&format!("`{name}`"), &[example]);
    }
    table::print("What the verifier walks", &["experiments", "program", "instructions"], &rows);
}

fn flagged() -> Predicate {
    Predicate { text: "gfpflags & 0x400 && s->object_size > 64".into(), parameters: None }
}

/// The experiments that are shipped.
fn examples(scope: &Path) -> Vec<(String, ProbeSpec)> {
    let folder = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../examples/experiments");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let documents = paths.iter().flat_map(|path| decode(fs::read(path).unwrap()).documents);
    let experiments = documents.filter_map(|document| match document.content {
        Content::Experiment(experiment) => Some(experiment),
        _ => None,
    });
    experiments
        .map(|experiment| {
            let fault = match experiment.fault {
                Fault::Slab => FaultKind::Slab,
                Fault::Page => FaultKind::Page,
                Fault::Bio => FaultKind::Bio,
            };
            let spec = ProbeSpec { fault, call_chain: experiment.call_chain, ..spec(0, &[], scope) };
            (experiment.id.name.to_string(), spec)
        })
        .collect()
}
