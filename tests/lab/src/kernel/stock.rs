//! Debian's own kernel image: downloaded and unpacked, never installed. Nearly everything is a module
//! in it, so init loads what a machine of the lab needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use super::recipe;
use super::store::{self, Meta};
use super::{Kernel, KernelId};
use crate::apt::{Apt, AptError};
use crate::cache::{Cache, Lock};
use crate::packages;
use crate::progress::Progress;

const PREFIX: &str = "linux-image-6.1.0-";
const SUFFIX: &str = "-amd64";

/// What a machine of the lab needs and Debian builds as modules. ext4 asks for crc32c by name at run
/// time, so no dependency leads to it.
const MODULES: [&str; 10] = [
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "virtio_net",
    "9pnet_virtio",
    "9p",
    "crc32c_generic",
    "ext4",
    "overlay",
    "veth",
];

/// Why Debian's image is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum StockError {
    /// apt cannot get it.
    #[error("Debian's kernel image is not to be had here")]
    Apt(#[from] AptError),
    /// It lacks a module.
    #[error("Debian's kernel image has no module {0}")]
    NoModule(String),
    /// A file could not be read or written, or depmod is missing.
    #[error("cannot unpack Debian's kernel image")]
    Io(#[from] io::Error),
}

/// Downloads the newest 6.1 image and keeps it with its modules. `held` is the lock of that kernel.
pub(crate) fn download(cache: &Cache, held: &Lock, progress: &Progress) -> Result<Kernel, StockError> {
    let step = progress.step("stock", "downloading Debian's Linux 6.1 image");
    let work = cache.work("stock", held)?;
    let apt = Apt::update(cache, progress)?;
    let package =
        newest(&apt.names(PREFIX)?).ok_or_else(|| AptError::NoPackage(format!("{PREFIX}*{SUFFIX}")))?;
    let source = apt.version(&package)?;
    apt.unpack(&package, work.path())?;
    let release = package.trim_start_matches("linux-image-").to_owned();
    let finished = gather(work.path(), &release)?;
    let digest = recipe::of(&KernelId::Stock).map_or(String::new(), |recipe| recipe.digest);
    let seconds = step.done().as_secs();
    let meta = Meta { kernel: "stock".into(), release, source: source.clone(), recipe: digest, seconds };
    let entry = store::adopt(cache, &finished, &format!("stock-{source}"), meta)?;
    Ok(store::open(&KernelId::Stock, &entry)?)
}

/// The package with the highest ABI number; `-rt-` and unsigned ones are others.
fn newest(names: &[String]) -> Option<String> {
    let abi = |name: &String| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u32>().ok();
    names.iter().filter_map(|name| Some((abi(name)?, name))).max().map(|(_, name)| name.clone())
}

fn gather(root: &Path, release: &str) -> Result<PathBuf, StockError> {
    let finished = root.join("finished");
    let modules = finished.join(store::MODULES);
    fs::create_dir_all(&modules)?;
    fs::copy(root.join(format!("boot/vmlinuz-{release}")), finished.join(store::IMAGE))?;
    fs::copy(root.join(format!("boot/config-{release}")), finished.join(store::CONFIG))?;
    let depmod =
        packages::command("depmod").ok_or_else(|| io::Error::other("depmod (package kmod) is missing"))?;
    let status = Command::new(depmod).arg("-b").arg(root).arg(release).status()?;
    if !status.success() {
        return Err(io::Error::other("depmod failed").into());
    }
    let folder = root.join("lib/modules").join(release);
    let dependencies = fs::read_to_string(folder.join("modules.dep"))?;
    let builtin = fs::read_to_string(folder.join("modules.builtin"))?;
    for (index, module) in load_order(&dependencies, &builtin, &MODULES)?.iter().enumerate() {
        let name = Path::new(module).file_name().unwrap_or_default().to_string_lossy();
        fs::copy(folder.join(module), modules.join(format!("{index:03}-{name}")))?;
    }
    Ok(finished)
}

/// Paths of modules such that each comes after those it depends on.
fn load_order(dependencies: &str, builtin: &str, wanted: &[&str]) -> Result<Vec<String>, StockError> {
    let builtin: BTreeSet<String> = builtin.lines().map(name).collect();
    let lines = dependencies.lines().filter_map(|line| line.split_once(':'));
    let by_name: BTreeMap<String, (&str, &str)> =
        lines.map(|(path, needs)| (name(path), (path, needs))).collect();
    let mut order: Vec<String> = Vec::new();
    for module in wanted.iter().filter(|module| !builtin.contains(**module)) {
        let (path, needs) = by_name.get(*module).ok_or_else(|| StockError::NoModule((*module).into()))?;
        // depmod lists what is needed last first.
        let needs = needs.split_whitespace().rev();
        for path in needs.chain([*path]) {
            if !order.iter().any(|known| known == path) {
                order.push(path.into());
            }
        }
    }
    Ok(order)
}

/// A module's name: its file's, with underscores for dashes.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/fs/mbcache.ko:
kernel/lib/crc16.ko:
kernel/fs/jbd2/jbd2.ko:
kernel/net/dev-ice.ko: kernel/lib/crc16.ko
";

    #[test]
    fn modules_come_after_what_they_need_and_once() {
        let order = load_order(DEPENDENCIES, "", &["ext4", "dev_ice"]).unwrap();
        let expected = ["fs/jbd2/jbd2", "fs/mbcache", "lib/crc16", "fs/ext4/ext4", "net/dev-ice"];
        assert_eq!(order, expected.map(|path| format!("kernel/{path}.ko")));
    }

    #[test]
    fn a_builtin_needs_no_loading_and_one_that_is_nowhere_is_named() {
        assert!(load_order(DEPENDENCIES, "kernel/fs/overlay.ko\n", &["overlay"]).unwrap().is_empty());
        let error = load_order(DEPENDENCIES, "", &["overlay"]).unwrap_err();
        assert_eq!(error.to_string(), "Debian's kernel image has no module overlay");
    }

    #[test]
    fn the_newest_plain_image_is_taken() {
        let names = ["6.1.0-9-amd64", "6.1.0-37-amd64", "6.1.0-40-rt-amd64", "6.1.0-41-amd64-unsigned"];
        let names = names.map(|name| format!("linux-image-{name}"));
        assert_eq!(newest(&names).as_deref(), Some("linux-image-6.1.0-37-amd64"));
    }
}
