//! One reconciler per state directory.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::Path,
};

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

/// Held until it is dropped, or until its process ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

impl Lock {
    /// Takes the lock of `directory` and writes down who has it.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("lock");
        let failed =
            |error: io::Error| StoreError::Io { path: path.display().to_string(), detail: error.to_string() };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            (&file).take(256).read_to_string(&mut holder).map_err(failed)?;
            let holder =
                if holder.is_empty() { "another process".to_owned() } else { holder.trim().to_owned() };
            return Err(StoreError::InUse { path: directory.display().to_string(), holder });
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "process {}", std::process::id()).map_err(failed)?;
        Ok(Self(file))
    }
}
