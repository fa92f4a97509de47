//! The modules in `modules/` are what the sources in `guests/` build to, byte for byte.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The compiler whose bytes are shipped: another one would build others.
const COMPILER: &str = "rustc 1.95.0 ";

/// Why the comparison cannot be made here.
fn obstacle() -> Option<String> {
    let rustc = |arguments: &[&str]| {
        let output = Command::new("rustc").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let version = rustc(&["--version"]);
    if !version.starts_with(COMPILER) {
        return Some(format!("the modules are built by {COMPILER}and this is {}", version.trim()));
    }
    let library = rustc(&["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]);
    let missing = !Path::new(library.trim()).is_dir();
    missing.then(|| "no standard library: rustup target add wasm32-unknown-unknown".to_owned())
}

#[test]
fn the_shipped_modules_are_built_from_their_sources() {
    if let Some(obstacle) = obstacle() {
        assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "{obstacle}");
        eprintln!("SKIPPED: the shipped modules are not rebuilt and compared: {obstacle}");
        return;
    }
    let policies = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--package", "build-guests", "--"])
        .arg(folder.path())
        .current_dir(policies.join("guests"))
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for shipped in wasm_files(&policies.join("modules")) {
        let rebuilt = folder.path().join(shipped.file_name().unwrap());
        let same = fs::read(&shipped).unwrap() == fs::read(&rebuilt).unwrap();
        assert!(same, "{} is not what its source builds to: see policies/README.md", shipped.display());
    }
    assert_eq!(wasm_files(&policies.join("modules")).len(), wasm_files(folder.path()).len());
}

fn wasm_files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).collect()
}
