//! A disk with Debian's bcc: its tools, all that they need, and the headers of a lab kernel. Nothing of it is ours, and
//! nothing is run on the host.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::apt::{Apt, AptError};
use crate::cache::Cache;
use crate::disk::{self, DiskError};
use crate::kernel::{self, KernelError, KernelId};
use crate::progress::Progress;

/// The tools; python, clang and the rest come with them.
const PACKAGES: [&str; 1] = ["bpfcc-tools"];

/// Twice what they take.
const SIZE_MIB: u64 = 1024;

/// Why there is no disk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BccError {
    /// The kernel's headers.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The packages.
    #[error(transparent)]
    Apt(#[from] AptError),
    /// The image.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The cache.
    #[error("cannot use the cache")]
    Cache(#[from] io::Error),
}

/// The disk for a kernel, from the cache or made: about ten minutes, and 80 MB to download.
///
/// # Errors
/// When packages or source are not to be had.
pub(crate) fn disk(id: &KernelId, cache: &Cache, progress: &Progress) -> Result<PathBuf, BccError> {
    let kernel = kernel::kernel(id, progress)?;
    let build = kernel.image.parent().and_then(Path::file_name).unwrap_or_default();
    let image = cache.folder("disks")?.join(format!("bcc-{}.img", build.display()));
    let held = cache.lock(&format!("kernel-{id}"), || progress.note("waiting for another process"))?;
    if image.exists() {
        return Ok(image);
    }
    let root = cache.work(&format!("bcc-{id}"), &held)?;
    let step = progress.step("bcc", "downloading bcc and what it needs");
    Apt::update(cache, progress)?.unpack_all(&PACKAGES, root.path())?;
    step.done();
    kernel::headers(id, cache, &held, root.path(), progress)?;
    fs::create_dir_all(root.path().join("tmp"))?;
    disk::make(&image, SIZE_MIB, Some(root.path()), progress)?;
    Ok(image)
}
