//! Disk images with an empty file system, made once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::cache::Cache;
use crate::packages::{self, PackageError, Purpose};
use crate::progress::Progress;

/// The size of the sample's disk, in MiB.
pub const SAMPLE_MIB: u64 = 64;

/// Why there is no disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// mkfs.ext4 is missing.
    #[error(transparent)]
    Packages(#[from] PackageError),
    /// The image could not be made.
    #[error("cannot make a disk image")]
    Io(#[from] io::Error),
    /// mkfs.ext4 failed.
    #[error("mkfs.ext4 failed:\n{0}")]
    Mkfs(String),
}

/// An image of this size with an empty ext4, from the cache. Attach it without `persistent`, so that it stays empty.
///
/// # Errors
/// When it has to be made and cannot be.
pub fn ext4(cache: &Cache, mib: u64, progress: &Progress) -> Result<PathBuf, DiskError> {
    let image = cache.folder("disks")?.join(format!("ext4-{mib}.img"));
    let _lock = cache.lock("disks", || {})?;
    if image.exists() {
        return Ok(image);
    }
    make(&image, mib, None, progress)?;
    Ok(image)
}

/// Makes an image of this size with an ext4 that holds what a folder does, under root's name.
pub(crate) fn make(
    image: &Path,
    mib: u64,
    content: Option<&Path>,
    progress: &Progress,
) -> Result<(), DiskError> {
    packages::ensure(&[Purpose::Disk], progress)?;
    let beside = image.parent().unwrap_or(Path::new("."));
    let unfinished = tempfile::NamedTempFile::new_in(beside)?;
    unfinished.as_file().set_len(mib * 1024 * 1024)?;
    let mkfs = packages::command("mkfs.ext4").unwrap_or_else(|| "mkfs.ext4".into());
    let mut mkfs = Command::new(mkfs);
    mkfs.args(["-q", "-F", "-E", "root_owner=0:0"]);
    if let Some(content) = content {
        mkfs.arg("-d").arg(content);
    }
    let output = mkfs.arg(unfinished.path()).output()?;
    if !output.status.success() {
        return Err(DiskError::Mkfs(packages::tail(&output.stderr, 5)));
    }
    fs::rename(unfinished.into_temp_path().keep().map_err(|error| error.error)?, image)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_made_once_and_holds_an_ext4() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let image = ext4(&cache, 16, &Progress::silent()).unwrap();
        let bytes = fs::read(&image).unwrap();
        assert_eq!(bytes.len(), 16 * 1024 * 1024);
        assert_eq!(bytes[1024 + 0x38..][..2], [0x53, 0xef], "the magic number of ext2 to ext4");
        let made = fs::metadata(&image).unwrap().modified().unwrap();
        assert_eq!(ext4(&cache, 16, &Progress::silent()).unwrap(), image);
        assert_eq!(fs::metadata(&image).unwrap().modified().unwrap(), made);
    }
}
