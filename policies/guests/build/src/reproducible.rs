//! Compiling crates to the same bytes wherever they are built.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What is built where. The bytes depend on the sources, the lock file, the compiler's version and `flags`.
pub(crate) struct Build<'a> {
    /// Root of the Cargo workspace, two folders below the repository's.
    pub(crate) workspace: &'a Path,
    /// Cargo's target directory.
    pub(crate) target: &'a Path,
    /// The target triple.
    pub(crate) platform: &'a str,
    /// Further flags of rustc.
    pub(crate) flags: &'a [&'a str],
}

impl Build<'_> {
    /// Builds `packages` as a release.
    pub(crate) fn compile(&self, packages: &[&str]) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(self.target)?;
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(self.workspace).args(["build", "--locked", "--release", "--target", self.platform]);
        cargo.arg("--target-dir").arg(self.target);
        cargo.args(packages.iter().flat_map(|package| ["--package", package]));
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags()?).env_remove("RUSTFLAGS");
        // Wrappers and profiles from the environment would change the bytes.
        for (name, _) in
            env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PROFILE_"))
        {
            cargo.env_remove(name);
        }
        if cargo.status()?.success() { Ok(()) } else { Err("the guests do not build".into()) }
    }

    /// Flags that make the bytes independent of where they are built, in Cargo's encoding.
    fn rust_flags(&self) -> Result<String, Box<dyn Error>> {
        let repository = self.workspace.join("../..").canonicalize()?;
        let sysroot = rustc(&["--print", "sysroot"])?;
        let commit = rustc(&["-vV"])?
            .lines()
            .find_map(|line| line.strip_prefix("commit-hash: ").map(str::to_owned))
            .ok_or("rustc does not say its commit")?;
        let remapped = [
            format!("--remap-path-prefix={}=/faultline", repository.display()),
            format!("--remap-path-prefix={}=/cargo", cargo_home()?.display()),
            format!("--remap-path-prefix={}=/target", self.target.canonicalize()?.display()),
            format!("--remap-path-prefix={}/lib/rustlib/src/rust=/rustc/{commit}", sysroot.trim()),
        ];
        let flags = remapped.iter().map(String::as_str).chain(self.flags.iter().copied());
        Ok(flags.collect::<Vec<_>>().join("\u{1f}"))
    }
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
