//! Builds every guest for WebAssembly and writes it as a component: `build-guests [DIRECTORY]`.
//!
//! The bytes depend on the sources, the lock file and the compiler's version, and on nothing else: paths of this
//! machine are mapped away. Without a directory the guests go to where the repository keeps them.

mod reproducible;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use reproducible::Build;
use wit_component::ComponentEncoder;

/// Crates that are guests.
const GUESTS: [&str; 7] = [
    "blast_radius",
    "call_chain",
    "cap_limits",
    "deny_all",
    "expiry",
    "protected_namespaces",
    "required_fields",
];

/// Nothing can be imported from there: it has no operating system.
const TARGET: &str = "wasm32-unknown-unknown";

fn main() -> Result<(), Box<dyn Error>> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let out = env::args_os().nth(1).map_or_else(|| guests.join("../modules"), PathBuf::from);
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| guests.join("target"), PathBuf::from).join("guests");
    // The whole stack in one 64 KiB page: a fresh instance costs as many pages as it touches.
    let build = Build {
        workspace: &guests,
        target: &target,
        platform: TARGET,
        flags: &["-Clink-arg=-zstack-size=65536"],
    };
    build.compile(&GUESTS)?;
    write_components(&target, &out)
}

/// Wraps each core module into a component and writes it to `out`.
fn write_components(target: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    for guest in GUESTS {
        let module = fs::read(target.join(TARGET).join("release").join(format!("{guest}.wasm")))?;
        let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
        let path = out.join(format!("{guest}.wasm"));
        println!("{}: {} bytes", path.display(), component.len());
        fs::write(path, component)?;
    }
    Ok(())
}
