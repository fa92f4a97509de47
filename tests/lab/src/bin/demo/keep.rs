//! `--keep`: a working copy of the experiment that a person edits, mirrored to where the demo takes place.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    ground::Ground,
    show::{FILE, working_copy},
};

/// How often the working copy is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The working copy.
pub(crate) struct Repository(PathBuf);

impl Repository {
    /// Copies `experiment` into a working copy.
    pub(crate) fn new(experiment: &Path) -> io::Result<Self> {
        let folder = working_copy();
        fs::create_dir_all(&folder)?;
        fs::copy(experiment, folder.join(FILE))?;
        Ok(Self(folder))
    }

    /// The experiment's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    /// Takes every edit there, and in between lets `watch` show what is printed, until the file is deleted or the demo is
    /// ended by Ctrl-C.
    pub(crate) fn keep(&self, ground: &dyn Ground, mut watch: impl FnMut()) -> io::Result<()> {
        say(&format!("\n── it goes on: edit {}; delete it, and the demo ends", self.file().display()));
        let mut there = fs::read(self.file())?;
        loop {
            watch();
            match fs::read(self.file()) {
                Ok(text) if text != there => {
                    ground.put(&self.file(), &format!("/demo/experiments/{FILE}"))?;
                    say("   -- the edit is there --");
                    there = text;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.file().exists() => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

pub(crate) fn say(line: &str) {
    // Nobody reading is no reason to stop.
    let _ = writeln!(io::stdout(), "{line}");
}
