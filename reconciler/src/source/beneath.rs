//! Opening files beneath a root and nowhere else: the kernel resolves every symlink inside the root or refuses it.

use std::{fs::File, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2},
    io::Errno,
};

use crate::bounded::read_at_most;

/// How often a path is resolved anew. The kernel gives up on a `..` within a root whenever anything is renamed meanwhile,
/// anywhere on the machine; one attempt takes microseconds.
const ATTEMPTS: usize = 64;

/// An open root directory.
pub(super) struct Root(OwnedFd);

/// Which file it is and when it last changed: equal before and after a read means that the read was of one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Device and inode.
    pub(super) identity: (u64, u64),
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

/// What a path leads to.
pub(super) struct Found {
    pub(super) kind: FileType,
    pub(super) fingerprint: Fingerprint,
}

/// One name in a directory.
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) is_symlink: bool,
}

/// Why a path was not followed or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the symlink leads out of the source")]
    Escapes,
    #[error("the symlink leads nowhere")]
    Dangling,
    #[error("the symlinks form a loop")]
    Loop,
    /// Nothing is wrong with the path itself: it is to be tried again later.
    #[error("something was being renamed during each of {ATTEMPTS} attempts to follow it")]
    Unsettled,
    #[error("it is {0} and not a regular file")]
    Special(&'static str),
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl Root {
    /// Opens the root itself, which may be a symlink: git-sync and its like swap one.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty())?))
    }

    /// What `path` leads to, without opening it: to open a device can already do something.
    pub(super) fn look(&self, path: &str) -> Result<Found, Refusal> {
        let stat = fstat(self.resolve(path, OFlags::PATH)?).map_err(io::Error::from)?;
        Ok(Found { kind: FileType::from_raw_mode(stat.st_mode), fingerprint: fingerprint(&stat) })
    }

    /// The names in a directory, sorted by their bytes, at most `limit`; `None` if there are more.
    pub(super) fn list(&self, path: &str, limit: usize) -> Result<Option<Vec<Entry>>, Refusal> {
        let directory = self.resolve(path, OFlags::DIRECTORY | OFlags::RDONLY)?;
        let mut entries = Vec::new();
        for entry in Dir::new(directory).map_err(io::Error::from)? {
            let entry = entry.map_err(io::Error::from)?;
            let name = entry.file_name().to_bytes().to_vec();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() == limit {
                return Ok(None);
            }
            entries.push(Entry { name, is_symlink: entry.file_type() == FileType::Symlink });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(entries))
    }

    /// The content of the regular file at `path`, at most `max_bytes`, and which content it was.
    pub(super) fn read(&self, path: &str, max_bytes: u64) -> Result<(Vec<u8>, Fingerprint), Refusal> {
        // NONBLOCK, because between the look and the open the file may have become a fifo.
        let file = File::from(self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let stat = fstat(&file).map_err(io::Error::from)?;
        regular(FileType::from_raw_mode(stat.st_mode))?;
        let content = read_at_most(file, max_bytes)?.ok_or(Refusal::TooLarge(max_bytes))?;
        Ok((content, fingerprint(&stat)))
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        settled(|| openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), beneath))
    }
}

/// What `open` comes to once nothing comes between.
fn settled<T>(open: impl Fn() -> rustix::io::Result<T>) -> Result<T, Refusal> {
    for _ in 0..ATTEMPTS {
        return match open() {
            Err(Errno::AGAIN | Errno::INTR) => continue,
            Err(Errno::XDEV) => Err(Refusal::Escapes),
            Err(Errno::NOENT) => Err(Refusal::Dangling),
            Err(Errno::LOOP) => Err(Refusal::Loop),
            opened => opened.map_err(|errno| Refusal::Io(errno.into())),
        };
    }
    Err(Refusal::Unsettled)
}

/// Refuses everything but a regular file.
pub(super) fn regular(kind: FileType) -> Result<(), Refusal> {
    Err(Refusal::Special(match kind {
        FileType::RegularFile => return Ok(()),
        FileType::Fifo => "a fifo",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symlink",
        FileType::Unknown => "of an unknown type",
    }))
}

fn fingerprint(stat: &Stat) -> Fingerprint {
    Fingerprint {
        identity: (stat.st_dev, stat.st_ino),
        size: stat.st_size,
        modified: (stat.st_mtime, stat.st_mtime_nsec),
        changed: (stat.st_ctime, stat.st_ctime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Resolves a path during whose first resolutions something is renamed.
    fn resolved(disturbed: usize) -> (Result<(), Refusal>, usize) {
        let attempts = Cell::new(0);
        let resolved = settled(|| {
            attempts.set(attempts.get() + 1);
            if attempts.get() > disturbed { Ok(()) } else { Err(Errno::AGAIN) }
        });
        (resolved, attempts.get())
    }

    #[test]
    fn a_path_is_resolved_anew_while_something_is_renamed_and_is_otherwise_unsettled() {
        assert!(matches!(resolved(ATTEMPTS - 1), (Ok(()), ATTEMPTS)));
        assert!(matches!(resolved(usize::MAX), (Err(Refusal::Unsettled), ATTEMPTS)));
        assert!(matches!(settled::<()>(|| Err(Errno::NOENT)), Err(Refusal::Dangling)));
    }
}
