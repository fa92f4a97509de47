//! Builds the guardrail and writes it as a component to the root of this project: `cargo run --package component`.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wit_component::ComponentEncoder;

/// Nothing can be imported from there: it has no operating system.
const TARGET: &str = "wasm32-unknown-unknown";
/// The whole stack in one 64 KiB page: a fresh instance costs as many pages as it touches.
const FLAGS: &str = "-Clink-arg=-zstack-size=65536";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let target = target.join("guests");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&root).args(["build", "--quiet", "--release", "--package", "@NAME@"]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(&target);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS).env_remove("RUSTFLAGS");
    if !cargo.status()?.success() {
        return Err("the guardrail does not build".into());
    }
    let module = fs::read(target.join(TARGET).join("release/@CRATE@.wasm"))?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    fs::write(root.join("@CRATE@.wasm"), &component)?;
    println!("@CRATE@.wasm: {} bytes", component.len());
    Ok(())
}
