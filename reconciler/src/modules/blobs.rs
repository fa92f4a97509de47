//! What was fetched once, in files that are called by their digests.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use faultline_core::digest::sha256;

use crate::bounded::read_at_most;

/// Bytes that are kept; what was written first goes first. Sixty-four modules of the largest size.
const MAX_BYTES: u64 = 256 << 20;

/// Files by the digest of what they hold. A file that holds something else is as good as none, so whoever writes here
/// can keep modules from being found and cannot change one.
#[derive(Clone, Debug)]
pub struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Files in `folder`, which is made with the first of them.
    #[must_use]
    pub const fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What has this digest, if it is here, whole, and of at most `limit` bytes.
    #[must_use]
    pub fn read(&self, digest: &str, limit: usize) -> Option<Vec<u8>> {
        let path = self.path(digest)?;
        let content = read_at_most(File::open(&path).ok()?, limit as u64).ok()?;
        let content = content.filter(|content| sha256(content) == digest);
        if content.is_none() {
            tracing::warn!(path = %path.display(), "not what its name says: it is fetched anew");
        }
        content
    }

    /// Keeps `content` under its digest: whole or not at all, also where the machine goes down.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn write(&self, content: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let digest = sha256(content);
        let path = self.path(&digest).ok_or(io::ErrorKind::InvalidInput)?;
        // Others may be keeping the same at this moment, in this process or another.
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let count = WRITES.fetch_add(1, Ordering::Relaxed);
        let aside = path.with_extension(format!("{}-{count}", process::id()));
        let written = write_whole(&aside, content).and_then(|()| fs::rename(&aside, &path));
        if written.is_err() {
            // Nothing of it may be there.
            let _gone = fs::remove_file(&aside);
        }
        written?;
        self.prune(MAX_BYTES)
    }

    /// Removes the oldest files until the rest have at most `limit` bytes.
    fn prune(&self, limit: u64) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in files {
            if total <= limit {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }

    fn path(&self, digest: &str) -> Option<PathBuf> {
        Some(self.folder.join(digest.strip_prefix("sha256:")?))
    }
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(content: &[u8]) -> (tempfile::TempDir, Blobs, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path().join("modules"));
        blobs.write(content).unwrap();
        let path = blobs.path(&sha256(content)).unwrap();
        (folder, blobs, path)
    }

    #[test]
    fn what_is_kept_is_read_again_by_its_digest() {
        let (_folder, blobs, _) = kept(b"module");
        blobs.write(b"other").unwrap();
        blobs.write(b"other").unwrap();
        assert_eq!(blobs.read(&sha256(b"module"), 6).unwrap(), b"module");
        assert_eq!(blobs.read(&sha256(b"other"), 6).unwrap(), b"other");
        assert_eq!(blobs.read(&sha256(b"neither"), 6), None);
        assert_eq!(fs::read_dir(&blobs.folder).unwrap().count(), 2, "nothing is left of the writing");
    }

    #[test]
    fn a_file_that_holds_something_else_or_more_than_is_taken_is_none() {
        let (_folder, blobs, path) = kept(b"module");
        assert_eq!(blobs.read(&sha256(b"module"), 5), None);
        for damage in [&b"modulf"[..], b"modul", b""] {
            fs::write(&path, damage).unwrap();
            assert_eq!(blobs.read(&sha256(b"module"), 6), None);
        }
        blobs.write(b"module").unwrap();
        assert_eq!(blobs.read(&sha256(b"module"), 6).unwrap(), b"module");
    }

    #[test]
    fn no_digest_leads_out_of_the_folder() {
        let (_folder, blobs, path) = kept(b"module");
        fs::write(path.parent().unwrap().parent().unwrap().join("beside"), b"").unwrap();
        assert_eq!(blobs.read("sha256:../beside", 6), None);
        assert_eq!(blobs.read("../beside", 6), None);
    }

    #[test]
    fn what_was_written_first_goes_first_where_there_is_too_much() {
        let (_folder, blobs, first) = kept(b"first");
        File::options().write(true).open(&first).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        blobs.write(b"second").unwrap();
        blobs.prune(11).unwrap();
        assert!(blobs.read(&sha256(b"first"), 6).is_some());
        blobs.prune(10).unwrap();
        assert!(blobs.read(&sha256(b"first"), 6).is_none());
        assert!(blobs.read(&sha256(b"second"), 6).is_some());
    }
}
