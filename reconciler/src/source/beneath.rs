//! Opening files beneath a root and nowhere else: the kernel resolves every symlink inside the root or refuses it.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat2},
    io::Errno,
};

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
        let mut content = Vec::new();
        (&file).take(max_bytes.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > max_bytes {
            return Err(Refusal::TooLarge(max_bytes));
        }
        Ok((content, fingerprint(&stat)))
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), beneath).map_err(|errno| match errno {
            Errno::XDEV => Refusal::Escapes,
            Errno::NOENT => Refusal::Dangling,
            Errno::LOOP => Refusal::Loop,
            errno => Refusal::Io(errno.into()),
        })
    }
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
