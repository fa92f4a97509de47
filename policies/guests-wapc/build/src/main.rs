//! Builds every Kubewarden policy for WebAssembly: `build-guests [DIRECTORY]`.
//!
//! The bytes depend on the sources, the lock file and the compilers' versions, and on nothing else: paths of this
//! machine are mapped away. Without a directory the modules go to where the repository keeps them.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
    fs::create_dir_all(&target)?;
    fs::create_dir_all(&out)?;
    compile_c(&guests, &out)?;
    compile_rust(&guests, &target)?;
    fs::copy(target.join(TARGET).join("release").join(format!("{RUST}.wasm")), out.join(format!("{RUST}.wasm")))?;
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

fn compile_rust(guests: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(guests).args(["build", "--locked", "--release", "--target", TARGET, "--package", RUST]);
    cargo.arg("--target-dir").arg(target);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(guests, target)?).env_remove("RUSTFLAGS");
    // Wrappers and profiles from the environment would change the bytes.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PROFILE_")) {
        cargo.env_remove(name);
    }
    if cargo.status()?.success() { Ok(()) } else { Err("the policies do not build".into()) }
}

/// Flags that make the bytes independent of where they are built, in Cargo's encoding.
fn rust_flags(guests: &Path, target: &Path) -> Result<String, Box<dyn Error>> {
    let repository = guests.join("../..").canonicalize()?;
    let sysroot = rustc(&["--print", "sysroot"])?;
    let commit = rustc(&["-vV"])?
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: ").map(str::to_owned))
        .ok_or("rustc does not say its commit")?;
    let flags = [
        format!("--remap-path-prefix={}=/faultline", repository.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()),
        format!("--remap-path-prefix={}=/target", target.canonicalize()?.display()),
        format!("--remap-path-prefix={}/lib/rustlib/src/rust=/rustc/{commit}", sysroot.trim()),
    ];
    Ok(flags.join("\u{1f}"))
}

fn rustc(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output =
        Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?)
}

fn cargo_home() -> Result<PathBuf, Box<dyn Error>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    home.ok_or_else(|| "neither CARGO_HOME nor a home directory".into())
}
