//! The modules that are shipped are what their sources build to, byte for byte.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The compiler whose bytes are shipped: another one would build others.
const RUSTC: &str = "rustc 1.95.0 ";
/// Likewise, for the policy in C.
const CLANG: &str = "clang version 14.0.6";

/// Why the comparison cannot be made here, for modules of this `platform`.
fn obstacle(platform: &str) -> Option<String> {
    let version = output("rustc", &["--version"]);
    if !version.starts_with(RUSTC) {
        return Some(format!("the modules are built by {RUSTC}and this is {version}"));
    }
    let library = output("rustc", &["--print", "target-libdir", "--target", platform]);
    let missing = !Path::new(&library).is_dir();
    missing.then(|| format!("no standard library: rustup target add {platform}"))
}

/// Why there is no clang here that builds the same.
fn obstacle_of_clang() -> Option<String> {
    let version = output("clang", &["--version"]);
    let other = !version.contains(CLANG);
    other.then(|| format!("the policy in C is built by {CLANG}, and here is {version:?}"))
}

/// What `program` says in its first line; nothing where it is not there.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map_or_else(|_| String::new(), |output| String::from_utf8(output.stdout).unwrap());
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_shipped_modules_are_built_from_their_sources() {
    if let Some(obstacle) = obstacle("wasm32-unknown-unknown") {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{obstacle}");
        eprintln!("SKIPPED: the shipped modules are not rebuilt and compared: {obstacle}");
        return;
    }
    assert_rebuilt("guests", "modules");
}

#[test]
fn the_kubewarden_policies_of_the_tests_are_built_from_their_sources() {
    if let Some(obstacle) = obstacle("wasm32-wasip1").or_else(obstacle_of_clang) {
        eprintln!("SKIPPED: the Kubewarden policies are not rebuilt and compared: {obstacle}");
        return;
    }
    assert_rebuilt("guests-wapc", "modules-wapc");
}

/// Builds the `workspace` and compares what comes of it with what is in the folder `shipped`.
fn assert_rebuilt(workspace: &str, shipped: &str) {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--package", "build-guests", "--"])
        .arg(folder.path())
        .current_dir(policies.join(workspace))
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join(workspace))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let modules = wasm_files(&policies.join(shipped));
    for shipped in &modules {
        let rebuilt = folder.path().join(shipped.file_name().unwrap());
        let same = fs::read(shipped).unwrap() == fs::read(&rebuilt).unwrap();
        assert!(same, "{} is not what its source builds to: see policies/README.md", shipped.display());
    }
    assert_eq!(modules.len(), wasm_files(folder.path()).len());
}

fn wasm_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).collect()
}
