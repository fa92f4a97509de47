//! Whether a target function is really called: counted while this process does what has to call it.
//!
//! A symbol proves little. Compilers make callers call a specialised copy, or leave calls out whose answer they know.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::counter_of_process;

use super::calls::CallCounter;
use super::spec::FaultKind;

/// How often this process called the target of a fault, while it did what has to call it at least once.
///
/// # Errors
/// Why that could not be tried.
pub(super) fn calls(kind: FaultKind, btf: &Btf) -> Result<u64, String> {
    let btf_id = btf.functions(kind.function()).next().ok_or("it is not in BTF")?;
    let process = i32::try_from(std::process::id()).map_err(|error| error.to_string())?;
    let program = counter_of_process(kind.function(), btf_id, process).map_err(|error| error.to_string())?;
    let counter = CallCounter::attach(&program).map_err(|error| error.to_string())?;
    match kind {
        FaultKind::Slab | FaultKind::Page => allocate().map_err(|error| format!("no pipe: {error}"))?,
        FaultKind::Bio => read_a_disk()?,
    }
    Ok(counter.total())
}

/// Objects from the slab allocator for a pipe, and a page for what is written to it.
fn allocate() -> io::Result<()> {
    let (_reader, mut writer) = io::pipe()?;
    writer.write_all(&[0])
}

/// As many disks are tried: one that answers will do.
const DISKS: usize = 4;

/// How long a disk may take to answer. One that never does must not keep an agent from starting.
const PATIENCE: Duration = Duration::from_secs(2);

/// One block of a disk, past the page cache.
fn read_a_disk() -> Result<(), String> {
    let mut reasons = Vec::new();
    for disk in disks().map_err(|error| format!("/sys/block: {error}"))?.into_iter().take(DISKS) {
        match in_time(&disk) {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("{}: {error}", disk.display())),
        }
    }
    if reasons.is_empty() {
        Err("there is no block device to read".to_owned())
    } else {
        Err(reasons.join("; "))
    }
}

/// The devices of whole disks with something in them. Those with removable media may wait for one.
fn disks() -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let entry = entry?;
        let says = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if says("size").trim() != "0" && says("removable").trim() == "0" {
            // A slash in a name is an exclamation mark in sysfs.
            names.push(entry.file_name().to_string_lossy().replace('!', "/"));
        }
    }
    names.sort_unstable();
    Ok(names.iter().map(|name| PathBuf::from("/dev").join(name)).collect())
}

/// The read goes on by itself where it takes too long: nothing can end it.
fn in_time(disk: &Path) -> io::Result<()> {
    let (done, wait) = mpsc::channel();
    let disk = disk.to_path_buf();
    thread::Builder::new().spawn(move || done.send(read_block(&disk)))?;
    wait.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// What a direct read has to be aligned to: the largest logical block there is.
#[repr(align(4096))]
struct Block([u8; 4096]);

fn read_block(disk: &Path) -> io::Result<()> {
    let mut disk: File = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(disk)?;
    disk.read_exact(&mut Box::new(Block([0; 4096])).0)
}
