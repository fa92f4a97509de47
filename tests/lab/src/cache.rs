//! What the lab keeps between calls: kernels, disks, logs, times. Outside the checkout, so that a
//! fresh clone finds it and `cargo clean` does not cost a kernel.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::clock;

/// Serial logs to keep: enough to look at yesterday's failure, a few megabytes in all.
const LOGS_KEPT: usize = 60;

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// A lock that this process holds until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file releases the lock")] File);

impl Cache {
    /// `faultline` below `$FAULTLINE_CACHE`, else `$XDG_CACHE_HOME`, else `~/.cache`.
    #[must_use]
    pub fn from_env() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("FAULTLINE_CACHE")
            .or_else(|| set("XDG_CACHE_HOME"))
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(|| PathBuf::from("/var/tmp"));
        Self { root: base.join("faultline") }
    }

    /// A cache in another folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A folder in the cache, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.root.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Takes the lock of this name; calls `waiting` first when another process holds it.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn lock(&self, name: &str, waiting: impl FnOnce()) -> io::Result<Lock> {
        let file = File::create(self.folder("locks")?.join(name))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            waiting();
            flock(&file, FlockOperation::LockExclusive)?;
        }
        Ok(Lock(file))
    }

    /// A new folder for work under the lock `_held`, gone when it is dropped. What is left of work of the same name that
    /// was interrupted goes first: where the lock is held, nobody is at it.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn work(&self, name: &str, _held: &Lock) -> io::Result<TempDir> {
        let (folder, prefix) = (self.folder("work")?, format!("{name}-"));
        for left in fs::read_dir(&folder)?.flatten() {
            if left.file_name().to_string_lossy().starts_with(&prefix) {
                // A compiler that outlived its build may still be writing; the next time gets the rest.
                let _ = fs::remove_dir_all(left.path());
            }
        }
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&folder)
    }

    /// A new name for a log, after removing the oldest of too many.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new_log(&self, kind: &str) -> io::Result<PathBuf> {
        let folder = self.folder("logs")?;
        let mut logs: Vec<PathBuf> = fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
        // Names begin with the time, so the oldest sort first.
        logs.sort();
        for old in logs.iter().take((logs.len() + 1).saturating_sub(LOGS_KEPT)) {
            // Another process may have removed it in the meantime.
            let _ = fs::remove_file(old);
        }
        let unique = tempfile::Builder::new()
            .prefix(&format!("{}-{kind}-", clock::unix_seconds()))
            .suffix(".log")
            .tempfile_in(&folder)?;
        let (_, path) = unique.keep().map_err(|error| error.error)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_dropped_and_says_when_it_waits() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let held = cache.lock("k", || panic!("nobody holds it")).unwrap();
        let (told, hears) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn(move || cache.lock("k", || told.send(()).unwrap()).map(drop));
        hears.recv().unwrap();
        assert!(!waiter.is_finished());
        drop(held);
        waiter.join().unwrap().unwrap();
    }

    #[test]
    fn what_interrupted_work_left_goes_before_the_next_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let work = cache.folder("work").unwrap();
        for left in ["6.1-left/tree", "6.12-other/tree"] {
            fs::create_dir_all(work.join(left)).unwrap();
        }
        let held = cache.lock("kernel-6.1", || {}).unwrap();
        let made = cache.work("6.1", &held).unwrap();
        assert!(made.path().is_dir());
        assert!(!work.join("6.1-left").exists());
        assert!(work.join("6.12-other/tree").exists());
    }

    #[test]
    fn only_the_newest_logs_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let logs = cache.folder("logs").unwrap();
        for age in 0..2 * LOGS_KEPT {
            fs::write(logs.join(format!("1{age:04}-old.log")), "").unwrap();
        }
        let new = cache.new_log("serial").unwrap();
        assert_eq!(fs::read_dir(&logs).unwrap().count(), LOGS_KEPT);
        assert!(new.exists());
        assert!(!logs.join("10000-old.log").exists());
    }
}
