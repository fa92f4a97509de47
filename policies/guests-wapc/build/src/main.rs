//! Builds every Kubewarden policy for WebAssembly: `build-guests [DIRECTORY]`.
//!
//! The bytes depend on the sources, the lock file and the compilers' versions, and on nothing else: paths of this
//! machine are mapped away. Without a directory the modules go to where the repository keeps them.

#[path = "../../../guests/build/src/reproducible.rs"]
mod reproducible;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use reproducible::Build;

/// The crate that is a policy.
const RUST: &str = "cap_limits";
/// The file that is one, without its ending.
const C: &str = "forbid_failtype";
/// What Kubewarden's own policies in Rust are built for.
const TARGET: &str = "wasm32-wasip1";

/// Just the code: no library, no start, and a stack in one page of 64 KiB.
const CLANG: [&str; 12] = [
    "--target=wasm32",
    "-std=c11",
    "-Oz",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-nostdlib",
    "-ffreestanding",
    "-Wl,--no-entry",
    "-Wl,--export=__guest_call",
    "-Wl,-zstack-size=16384",
    "-Wl,--strip-all",
];

fn main() -> Result<(), Box<dyn Error>> {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let out = env::args_os().nth(1).map_or_else(|| guests.join("../modules-wapc"), PathBuf::from);
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| guests.join("target"), PathBuf::from).join("guests");
    fs::create_dir_all(&out)?;
    compile_c(&guests, &out)?;
    Build { workspace: &guests, target: &target, platform: TARGET, flags: &[] }.compile(&[RUST])?;
    fs::copy(
        target.join(TARGET).join("release").join(format!("{RUST}.wasm")),
        out.join(format!("{RUST}.wasm")),
    )?;
    for module in [RUST, C] {
        let path = out.join(format!("{module}.wasm"));
        println!("{}: {} bytes", path.display(), fs::metadata(&path)?.len());
    }
    Ok(())
}

fn compile_c(guests: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut clang = Command::new("clang");
    clang.current_dir(guests.join(C)).args(CLANG).arg(format!("{C}.c"));
    clang.arg("-o").arg(out.join(format!("{C}.wasm")));
    if clang.status()?.success() { Ok(()) } else { Err("clang fails".into()) }
}
