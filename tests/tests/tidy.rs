//! Properties of the repository: which crate may depend on which, where `unsafe` may stand, how long a file may be.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The whole dependency rule: folder, and the folders it may depend on. Tests and benches may use more.
const MAY_DEPEND_ON: [(&str, &[&str]); 9] = [
    ("api", &[]),
    ("schedules", &["api"]),
    ("core", &["api", "schedules"]),
    ("ebpf", &["api"]),
    ("wire", &["core", "api"]),
    ("telemetry", &[]),
    ("policies", &["core", "api"]),
    ("node-agent", &["wire", "telemetry", "ebpf", "core", "api"]),
    ("reconciler", &["api", "schedules", "core", "ebpf", "wire", "telemetry", "policies", "node-agent"]),
];

/// Crates in which every stage is a function of its inputs.
const PURE: [&str; 4] = ["api", "schedules", "core", "ebpf"];

/// Crates that would bring IO, time, randomness or logging into a pure crate.
const IMPURE: [&str; 9] =
    ["tokio", "rustix", "libc", "rand", "getrandom", "tracing", "log", "notify", "reqwest"];

/// A file that is longer holds more than one idea.
const MOST_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

/// Folder of each of our crates, and the folders and crates that it names as ordinary dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let folder = |name: &str| name.strip_prefix("faultline-").unwrap_or(name).to_owned();
    metadata
        .packages
        .iter()
        .map(|package| {
            let named =
                package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
            (folder(&package.name), named.map(|dependency| folder(&dependency.name)).collect())
        })
        .collect()
}

/// Rust files that are ours, with their text; generated and guest build output are not in the checkout.
fn rust_files() -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of the checkout").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root(), &mut paths);
    assert!(paths.len() > 50, "the walk found the checkout");
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("source is UTF-8");
            (path.strip_prefix(root()).expect("beneath the root").to_string_lossy().into_owned(), text)
        })
        .collect()
}

#[test]
fn crates_depend_only_on_those_that_the_table_allows() {
    let found = dependencies();
    for (folder, allowed) in MAY_DEPEND_ON {
        let ours: BTreeSet<_> = MAY_DEPEND_ON
            .iter()
            .map(|(folder, _)| *folder)
            .chain(["tests", "lab", "lab-init", "fuzz"])
            .collect();
        let named = found.get(folder).unwrap_or_else(|| panic!("{folder} is a crate of the workspace"));
        for dependency in named.iter().filter(|name| ours.contains(name.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{folder} may not depend on {dependency}");
        }
    }
    let known: BTreeSet<_> = MAY_DEPEND_ON
        .iter()
        .map(|(folder, _)| (*folder).to_owned())
        .chain(["tests", "lab", "lab-init", "fuzz"].map(str::to_owned))
        .collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), known, "every crate has a line in the table");
}

#[test]
fn pure_crates_name_nothing_that_does_io() {
    let found = dependencies();
    for folder in PURE {
        for impure in IMPURE {
            assert!(!found[folder].contains(impure), "{folder} is pure and names {impure}");
        }
    }
}

#[test]
fn every_crate_but_the_agent_forbids_unsafe_code() {
    for (folder, _) in MAY_DEPEND_ON.into_iter().filter(|(folder, _)| *folder != "node-agent") {
        let text = fs::read_to_string(root().join(folder).join("src/lib.rs")).expect("a library");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{folder}/src/lib.rs forbids unsafe code");
    }
    for (path, text) in rust_files() {
        let code = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
        let mut uses = code.filter(|line| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl")
        });
        let may = path.starts_with("node-agent/src/kernel/")
            || path.starts_with("policies/guests/")
            || path == "tests/tests/tidy.rs";
        assert!(may || uses.next().is_none(), "{path} has unsafe code outside the agent's kernel module");
    }
}

#[test]
fn files_hold_one_idea() {
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{path} has {lines} lines, more than {MOST_LINES}: split it by concept");
    }
}

#[test]
fn suppressed_lints_have_a_reason() {
    for (path, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let suppresses = line.starts_with("#[allow(")
                || line.starts_with("#![allow(")
                || line.starts_with("#[expect(");
            let block: String = text.lines().skip(number).take(4).collect();
            assert!(
                !suppresses || block.contains("reason"),
                "{path}:{}: a suppressed lint without a reason",
                number + 1
            );
        }
    }
}

#[test]
fn nothing_is_left_for_later_by_its_own_word() {
    for (path, text) in rust_files().into_iter().filter(|(path, _)| path != "tests/tests/tidy.rs") {
        for word in ["todo!(", "unimplemented!(", "#[ignore", "FIXME", "TODO"] {
            assert!(!text.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn the_examples_ship_the_modules_that_are_built_here() {
    let folder = root().join("examples/guardrails/modules");
    let modules: Vec<_> = fs::read_dir(folder).expect("the examples' modules").flatten().collect();
    assert!(!modules.is_empty(), "the examples have modules");
    for module in modules {
        let name = module.file_name();
        let built =
            fs::read(root().join("policies/modules").join(&name)).expect("the module that is built here");
        let shipped = fs::read(module.path()).expect("the example's module");
        assert!(shipped == built, "copy policies/modules/{} to examples/guardrails/modules/", name.display());
    }
}
