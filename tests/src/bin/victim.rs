//! A program to inject faults into. It does what the sample program of the KernelChaos documentation does: mounts a
//! device as ext4, read-only, unmounts it, and prints the text of each error. With `--threads` and `--every-ms 0` it
//! hammers instead.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::Parser;
use faultline_tests::tally::{Attempt, Recorder, boot_ns};
use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

/// Mounts and unmounts a file system again and again, and says what came of it.
#[derive(Clone, Debug, Parser)]
struct Victim {
    /// Cgroup directory to move into first; it is made where it is missing.
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// Device to mount.
    #[arg(long, default_value = "/dev/sdc")]
    device: PathBuf,
    /// Where to mount it; it is made where it is missing.
    #[arg(long, default_value = "/mnt")]
    at: PathBuf,
    /// Do not make the mount point. A mount is cheap then: it fails with ENOENT, behind allocations each of whose
    /// failures is the whole call's.
    #[arg(long)]
    missing: bool,
    /// File system type.
    #[arg(long, default_value = "ext4")]
    fstype: String,
    /// Pause between two rounds, in milliseconds.
    #[arg(long, default_value_t = 1000)]
    every_ms: u64,
    /// Rounds per thread; endless where it is not given.
    #[arg(long)]
    rounds: Option<u64>,
    /// Begin no further round once this file is gone. A signal may end a mount half way, which nobody records.
    #[arg(long, value_name = "FILE")]
    leave: Option<PathBuf>,
    /// Threads that do this at once.
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// File that every attempt to mount is appended to: begin and end in nanoseconds since boot, and the errno.
    #[arg(long)]
    tally: Option<PathBuf>,
    /// Record only attempts that ended with this errno.
    #[arg(long)]
    only: Option<i32>,
    /// Print nothing.
    #[arg(long)]
    quiet: bool,
    /// Put before each line that is printed.
    #[arg(long, default_value = "")]
    prefix: String,
}

fn main() -> ExitCode {
    let victim = Victim::parse();
    match victim.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "victim: {error}");
            ExitCode::from(2)
        }
    }
}

impl Victim {
    fn run(&self) -> io::Result<()> {
        if let Some(cgroup) = &self.cgroup {
            enter(cgroup)?;
        }
        if !self.missing {
            fs::create_dir_all(&self.at)?;
        }
        let threads: Vec<_> = (0..self.threads)
            .map(|_| {
                let victim = self.clone();
                thread::spawn(move || victim.rounds())
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| io::Error::other("a thread panicked"))?)
    }

    fn rounds(&self) -> io::Result<()> {
        let tally = self.tally.as_deref().map(Recorder::open).transpose()?;
        let mut left = self.rounds.unwrap_or(u64::MAX);
        while left > 0 && self.leave.as_ref().is_none_or(|file| file.exists()) {
            left -= 1;
            let attempt = self.attempt();
            if let Some(tally) =
                tally.as_ref().filter(|_| self.only.is_none_or(|errno| errno == attempt.errno))
            {
                tally.record(attempt)?;
            }
            self.say(attempt.errno);
            thread::sleep(Duration::from_millis(self.every_ms));
            // As the sample does: unmount whether or not the mount went well, and print what that says too.
            self.say(unmount(&self.at, UnmountFlags::empty()).err().map_or(0, Errno::raw_os_error));
        }
        Ok(())
    }

    fn attempt(&self) -> Attempt {
        let flags = MountFlags::RDONLY | MountFlags::NOSUID;
        let began = boot_ns();
        let result = mount(&self.device, &self.at, self.fstype.as_str(), flags, None);
        Attempt { began, ended: boot_ns(), errno: result.err().map_or(0, Errno::raw_os_error) }
    }

    fn say(&self, errno: i32) {
        if errno != 0 && !self.quiet {
            let text = io::Error::from_raw_os_error(errno).to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            // Nobody reading is no reason to stop.
            let _ = writeln!(io::stderr(), "{}{text}", self.prefix);
        }
    }
}

/// Moves this process into the cgroup.
fn enter(cgroup: &Path) -> io::Result<()> {
    fs::create_dir_all(cgroup)?;
    fs::write(cgroup.join("cgroup.procs"), "0")
}
