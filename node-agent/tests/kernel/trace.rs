//! The kernel's own tracing, beside the engine: what threads enter and leave, as probes of the kernel tell it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};
use rustix::process::Pid;

/// Where the kernel lets itself be traced.
const TRACING: &str = "/sys/kernel/tracing";

/// What a thread did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Entered(String),
    Left(String),
    Reached,
}

/// A recording that is under way.
pub(crate) struct Recording(PathBuf);

impl Recording {
    /// Records the entries and exits of functions by these threads, and when they reach the target.
    pub(crate) fn start(functions: &[&str], target: &str, threads: &[Pid]) -> Self {
        if !Path::new(TRACING).join("kprobe_events").exists() {
            mount("tracefs", TRACING, "tracefs", MountFlags::empty(), None).unwrap();
        }
        let recording = Self(TRACING.into());
        recording.clear();
        let mut probes = format!("p:faultline/reached {target}\n");
        for name in functions {
            probes += &format!("p:faultline/in_{name} {name}\nr:faultline/out_{name} {name}\n");
        }
        recording.write("kprobe_events", &probes);
        let threads: Vec<String> =
            threads.iter().map(|thread| format!("common_pid == {}", thread.as_raw_nonzero())).collect();
        recording.write("events/faultline/filter", &threads.join(" || "));
        recording.write("trace", "");
        recording.write("events/faultline/enable", "1");
        recording
    }

    /// What the threads did, each in its order; interrupts are none of their doing.
    pub(crate) fn stop(self) -> Vec<(String, Event)> {
        self.write("events/faultline/enable", "0");
        let trace = fs::read_to_string(self.0.join("trace")).unwrap();
        assert!(!trace.contains("LOST"), "events were lost");
        trace.lines().filter(|line| !line.starts_with('#')).filter_map(event).collect()
    }

    fn clear(&self) {
        let _ = fs::write(self.0.join("events/faultline/enable"), "0");
        self.write("kprobe_events", "");
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text).unwrap();
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Reads `follower-142   [000] d..1.   12.345678: in_path_mount: (path_mount+0x0/0x9c0)`.
fn event(line: &str) -> Option<(String, Event)> {
    let (thread, rest) = line.split_once(" [")?;
    let mut words = rest.split_whitespace().skip(1);
    let (flags, _time, name) = (words.next()?, words.next()?, words.next()?.trim_end_matches(':'));
    if flags.chars().nth(2).is_some_and(|context| "hHsZz".contains(context)) {
        return None;
    }
    let event = match name.split_once('_') {
        Some(("in", name)) => Event::Entered(name.to_owned()),
        Some(("out", name)) => Event::Left(name.to_owned()),
        _ => Event::Reached,
    };
    Some((thread.rsplit_once('-')?.1.to_owned(), event))
}
