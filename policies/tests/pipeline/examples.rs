//! `examples/guardrails/`: copied whole or one file at a time, they work, let the example experiments pass, and stop
//! what they are for.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use faultline_api::{Content, ModuleRef, decode};
use faultline_core::judge::{Decision, Verdict};

use crate::{Files, NOW, examples, experiment, planned};

/// The documents in a folder of the examples, by name.
fn documents(folder: &str) -> Files {
    let entries = fs::read_dir(examples().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap().into())
        })
        .collect()
}

/// A guardrail's file and the module that it names, and nothing else.
fn one(name: &str, bytes: &Arc<[u8]>) -> Files {
    let file = decode(bytes);
    assert!(file.diagnostics.is_empty(), "{name}: {:?}", file.diagnostics);
    let [document] = &file.documents[..] else { panic!("{name} is one document") };
    let Content::Guardrail(guardrail) = &document.content else { panic!("{name} is a guardrail") };
    let ModuleRef::Path(path) = &guardrail.module else { panic!("{name} brings its module along") };
    let module = fs::read(examples().join("guardrails").join(path)).unwrap();
    [(name.to_owned(), Arc::clone(bytes)), (path.clone(), module.into())].into()
}

/// All of them with their modules.
fn all() -> Files {
    documents("guardrails").iter().flat_map(|(name, bytes)| one(name, bytes)).collect()
}

fn passes(guardrails: Files, count: usize) {
    let experiments = documents("experiments");
    assert!(experiments.len() >= 2);
    let (plan, verdicts) = planned(experiments, guardrails);
    assert!(plan.runs.iter().any(|run| run.key.experiment.name == "mount-enomem"), "{}", plan.to_text());
    for (experiment, verdicts) in verdicts {
        let names: std::collections::BTreeSet<_> =
            verdicts.iter().map(|verdict| &verdict.guardrail).collect();
        assert_eq!(names.len(), count, "{experiment}: {names:?}");
        for Verdict { guardrail, decision, .. } in verdicts {
            let good = matches!(decision, Decision::Allow | Decision::Mutate { .. });
            assert!(good, "{experiment}: {guardrail}: {decision:?}");
        }
    }
}

#[test]
fn the_example_experiments_pass_all_example_guardrails_together() {
    passes(all(), 6);
}

#[test]
fn each_example_guardrail_works_alone_beside_its_module() {
    let documents = documents("guardrails");
    assert_eq!(documents.len(), 6);
    for (name, bytes) in documents {
        passes(one(&name, &bytes), 1);
    }
}

const MOUNT: &str = "  failKernRequest: { failtype: 0, callchain: [{ funcname: __x64_sys_mount }] }\n";
const POD: &str = "  selector: { pods: { chaos-mount: [target] } }\n";

#[test]
fn each_example_guardrail_stops_what_it_is_for() {
    let with = |lines: &str| format!("spec:\n{lines}");
    for (guardrail, spec, said) in [
        ("blast-radius", with(&format!("  mode: all\n{POD}{MOUNT}")), "the mode all is not one of"),
        (
            "call-chain",
            with(&format!(
                "  mode: one\n{POD}  failKernRequest: {{ failtype: 0, callchain: [{{ funcname: oom_kill_process }}] }}\n"
            )),
            "oom_kill_process is denied by oom_*",
        ),
        (
            "cap-limits",
            with(&format!("  mode: one\n{POD}{MOUNT}  duration: 31m\n")),
            "31m0s is over the cap of 30m0s",
        ),
        (
            "expiry",
            format!(
                "  annotations: {{ faultline.dev/expires-at: \"{NOW}\" }}\n{}",
                with(&format!("  mode: one\n{POD}{MOUNT}  duration: 1m\n"))
            ),
            "it expired at 2026-03-01T12:00:00Z",
        ),
        (
            "protected-namespaces",
            with(&format!("  mode: one\n  selector: {{ namespaces: [istio-system] }}\n{MOUNT}")),
            "slab faults may reach namespaces that are protected from them: istio-system",
        ),
        ("required-fields", with(&format!("  mode: one\n{POD}{MOUNT}")), "a duration is required"),
    ] {
        let text = experiment("stopped", &spec);
        let file = decode(&text);
        assert!(!file.has_errors(), "{:?}", file.diagnostics);
        let files = [("x.yaml".to_owned(), Arc::from(text.into_bytes()))].into();
        let (plan, mut verdicts) = planned(files, all());
        let verdicts = verdicts.remove("stopped").unwrap();
        let by_it = verdicts.iter().filter(|verdict| verdict.guardrail == guardrail);
        let findings = by_it.flat_map(|verdict| match &verdict.decision {
            Decision::Deny { findings } | Decision::Mutate { findings, .. } => findings.as_slice(),
            Decision::Allow | Decision::Undecided { .. } => &[],
        });
        let heard = findings.map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; ");
        let told = plan.report.why_nots.iter().any(|why_not| why_not.message.contains(said));
        assert!(heard.contains(said) || told, "{guardrail}: {heard}\n{}", plan.to_text());
    }
}

#[test]
fn the_examples_ship_every_built_in_guardrail_and_nothing_else() {
    let names = |folder: PathBuf| -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let built = names(Path::new(env!("CARGO_MANIFEST_DIR")).join("modules"));
    let built: Vec<_> = built.into_iter().filter(|name| name != "deny_all.wasm").collect();
    assert_eq!(names(examples().join("guardrails/modules")), built);
    let expected: Vec<_> =
        built.iter().map(|name| name.replace('_', "-").replace(".wasm", ".yaml")).collect();
    assert_eq!(documents("guardrails").into_keys().collect::<Vec<_>>(), expected);
}
