//! A victim's own account of what happened to it: one line per attempt, appended as it happens.
//!
//! The file outlives the victim, whatever ends it, and says when each attempt began and ended, so that a test can
//! ask for what happened between two instants without a word from the code under test.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use rustix::time::{ClockId, clock_gettime};

/// `ENOENT`, which a mount on a missing mount point ends with where nothing is injected.
pub const ENOENT: i32 = 2;
/// `ENOMEM`, which an injected allocation failure reaches user space as.
pub const ENOMEM: i32 = 12;

/// Nanoseconds since boot, suspended time included: the clock that deadlines are kept in.
#[must_use]
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// One attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began, in nanoseconds since boot.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// 0 for a success, otherwise the errno.
    pub errno: i32,
}

/// Appends attempts. A line goes out in one write, so threads may share a file.
#[derive(Debug)]
pub struct Recorder(File);

impl Recorder {
    /// Appends to `path`, which is made where it is missing.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().append(true).create(true).open(path)?))
    }

    /// Appends one attempt.
    ///
    /// # Errors
    /// The line cannot be written.
    pub fn record(&self, attempt: Attempt) -> io::Result<()> {
        let Attempt { began, ended, errno } = attempt;
        (&self.0).write_all(format!("{began} {ended} {errno}\n").as_bytes())
    }
}

/// Reads what a [`Recorder`] wrote; a last line that is still being written is left out.
///
/// # Errors
/// The file cannot be read, or a whole line of it is not an attempt.
pub fn read(path: &Path) -> io::Result<Vec<Attempt>> {
    read_from(path, 0).map(|(attempts, _)| attempts)
}

/// Reads on from `offset`, in bytes, and returns the offset behind the last whole line.
///
/// # Errors
/// As [`read`].
pub fn read_from(path: &Path, offset: u64) -> io::Result<(Vec<Attempt>, u64)> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let attempts = whole
        .lines()
        .map(|line| parse(line).ok_or_else(|| io::Error::other(format!("not an attempt: {line:?}"))));
    Ok((attempts.collect::<io::Result<_>>()?, offset + whole.len() as u64))
}

/// How many attempts ended with `errno`.
#[must_use]
pub fn count(attempts: &[Attempt], errno: i32) -> usize {
    attempts.iter().filter(|attempt| attempt.errno == errno).count()
}

fn parse(line: &str) -> Option<Attempt> {
    let mut fields = line.split(' ');
    let attempt = Attempt {
        began: fields.next()?.parse().ok()?,
        ended: fields.next()?.parse().ok()?,
        errno: fields.next()?.parse().ok()?,
    };
    fields.next().is_none().then_some(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_back_and_a_torn_line_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        let recorder = Recorder::open(&path).unwrap();
        let attempt = Attempt { began: 1, ended: 2, errno: ENOMEM };
        recorder.record(attempt).unwrap();
        (&recorder.0).write_all(b"3 4").unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read, [attempt]);
        let (_, behind) = read_from(&path, 0).unwrap();
        assert_eq!(read_from(&path, behind).unwrap(), (vec![], behind));
        assert_eq!(count(&read, ENOMEM), 1);
    }

    #[test]
    fn a_line_that_is_not_an_attempt_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally");
        std::fs::write(&path, "1 2\n").unwrap();
        assert!(read(&path).is_err());
    }
}
