//! The folder of PEM files.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{CertsError, Written};

/// A certificate and its key, as PEM, under one name.
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The folder.
pub(super) struct Store<'a> {
    dir: &'a Path,
}

impl<'a> Store<'a> {
    pub(super) fn new(dir: &'a Path) -> Self {
        Self { dir }
    }

    /// The authority's pair, if there is one; `name` is the path of its certificate, for messages.
    pub(super) fn authority(&self) -> Result<Option<Pair>, CertsError> {
        let (certificate, key) = self.paths("ca");
        let name = certificate.display().to_string();
        match (read(&certificate)?, read(&key)?) {
            (Some(certificate), Some(key)) => Ok(Some(Pair { name, certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(CertsError::HalfAuthority { present: certificate, absent: key }),
            (None, Some(_)) => Err(CertsError::HalfAuthority { present: key, absent: certificate }),
        }
    }

    /// Writes all pairs, or none where one is already there and `force` is not given.
    pub(super) fn write(&self, pairs: &[Pair], force: bool) -> Result<Vec<Written>, CertsError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.dir)
            .map_err(|source| CertsError::Io { path: self.dir.into(), source })?;
        let taken = pairs.iter().flat_map(|pair| <[_; 2]>::from(self.paths(&pair.name)));
        if let Some(path) = taken.filter(|_| !force).find(|path| path.exists()) {
            return Err(CertsError::AlreadyThere(path));
        }
        let mut written = Vec::new();
        for pair in pairs {
            let (certificate, key) = self.paths(&pair.name);
            replace(&key, &pair.key, 0o600)?;
            replace(&certificate, &pair.certificate, 0o644)?;
            written.push(Written { path: certificate, secret: false });
            written.push(Written { path: key, secret: true });
        }
        Ok(written)
    }

    fn paths(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.dir.join(format!("{name}.crt")), self.dir.join(format!("{name}.key")))
    }
}

fn read(path: &Path) -> Result<Option<String>, CertsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CertsError::Io { path: path.into(), source }),
    }
}

/// Through a new file with its final mode, so that a key is never readable by others, not even for a moment.
fn replace(path: &Path, text: &str, mode: u32) -> Result<(), CertsError> {
    let fresh = path.with_added_extension("new");
    let write = || {
        remove_if_there(&fresh)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        File::sync_all(&file)?;
        fs::rename(&fresh, path)
    };
    write().map_err(|source| CertsError::Io { path: path.into(), source })
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
