//! Builds every guest for WebAssembly and writes it as a component: `build-guests [DIRECTORY]`.
//!
//! The bytes depend on the sources, the lock file and the compiler's version, and on nothing else: paths of this
//! machine are mapped away. Without a directory the guests go to where the repository keeps them.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
    compile(&guests, &target)?;
    write_components(&target, &out)
}

/// Core modules of all guests, beneath `target`.
fn compile(guests: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(target)?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(guests).args(["build", "--locked", "--release", "--target", TARGET]);
    cargo.arg("--target-dir").arg(target);
    cargo.args(GUESTS.iter().flat_map(|guest| ["--package", guest]));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(guests, target)?).env_remove("RUSTFLAGS");
    // Wrappers and profiles from the environment would change the bytes.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PROFILE_")) {
        cargo.env_remove(name);
    }
    if cargo.status()?.success() { Ok(()) } else { Err("the guests do not build".into()) }
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
        // The whole stack in one 64 KiB page: a fresh instance costs as many pages as it touches.
        "-Clink-arg=-zstack-size=65536".to_owned(),
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
