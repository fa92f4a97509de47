//! The acts of the demo.

use std::{
    fs, io,
    path::PathBuf,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use faultline_lab::artifacts;

use crate::{
    ground::Ground,
    keep::{Repository, say},
};

/// What the sample prints when an allocation on the way through mount(2) fails.
const INJECTED: &str = "Cannot allocate memory";
/// The experiment's file.
pub(crate) const FILE: &str = "mount-enomem.yaml";
/// How long the reconciler and its node may take to be ready, and a change to take effect, on a slow machine.
const PATIENCE_S: u64 = 60;

/// One showing.
pub(crate) struct Show<'a> {
    pub(crate) ground: &'a dyn Ground,
    /// Folder of the programs there.
    pub(crate) programs: &'a str,
    /// The device to mount.
    pub(crate) device: &'a str,
    /// Seconds per act.
    pub(crate) seconds: u64,
    /// Whether to go on until Ctrl-C.
    pub(crate) keep: bool,
}

/// What the two containers have printed, in order.
struct Seen(Vec<String>);

impl Seen {
    fn of(&self, container: &str, text: &str) -> usize {
        self.0.iter().filter(|line| line.starts_with(container) && line.ends_with(text)).count()
    }
}

impl Show<'_> {
    /// Plays it, and says whether what was seen is what is promised.
    pub(crate) fn run(&self) -> io::Result<bool> {
        let (send, receive) = channel();
        let mut seen = Seen(Vec::new());
        let repository = Repository::new(&artifacts::workspace().join("examples/experiments").join(FILE))?;
        say(
            "\n── two containers run the sample of the KernelChaos documentation: mount, umount, once a second",
        );
        self.set_the_stage(&send)?;
        self.watch(&receive, &mut seen, self.seconds);
        let before = seen.of("target", INJECTED);
        say(&format!("   nothing fails: {before} mounts with \"{INJECTED}\" so far"));

        say(&format!("\n── commit: examples/experiments/{FILE} names the container \"target\""));
        for line in fs::read_to_string(repository.file())?.lines().filter(|line| !line.starts_with('#')) {
            say(&format!("   {line}"));
        }
        self.ground.put(&repository.file(), &format!("/demo/experiments/{FILE}"))?;
        self.watch_until(&receive, &mut seen, |seen| seen.of("target", INJECTED) > 0);
        self.watch(&receive, &mut seen, self.seconds);
        self.counters()?;

        if self.keep {
            repository.keep(self.ground, || self.drain(&receive, &mut seen))?;
        }

        say(&format!("\n── remove {FILE}"));
        self.ground.sh(&format!("rm /demo/experiments/{FILE}"))?;
        let stopped = self.recovered()?;
        // What was printed before the removal may still be on its way.
        self.watch(&receive, &mut seen, 1);
        let during = seen.of("target", INJECTED) - before;
        self.watch(&receive, &mut seen, self.seconds);
        let after = seen.of("target", INJECTED) - during - before;
        self.counters()?;
        let counted = self.counted()?;

        let neighbour = seen.of("neighbour", INJECTED) + seen.of("neighbour", "Invalid argument");
        let held = stopped && before == 0 && during > 0 && after == 0 && counted == during && neighbour == 0;
        say(&format!(
            "\n── target: {before} failed mounts before, {during} while the file was there, {after} after; the kernel counted {counted}; neighbour: {neighbour}"
        ));
        say(if held { "   as promised" } else { "   NOT as promised" });
        Ok(held)
    }

    fn set_the_stage(&self, lines: &Sender<String>) -> io::Result<()> {
        let Self { programs, device, .. } = self;
        let pods = "/sys/fs/cgroup/pods/chaos-mount";
        self.ground.sh(&format!("mkdir -p /demo/experiments /demo/state {pods}/target {pods}/neighbour"))?;
        let up = "up --source experiments=/demo/experiments --platform guardrails=/demo/guardrails \
                  --cgroups /sys/fs/cgroup/pods --state-dir /demo/state --admin-listen 127.0.0.1:9464";
        self.ground.start(&format!("{programs}/faultline {up} >/demo/faultline.log"), "", lines.clone())?;
        for (container, prefix) in [("target", "target    | "), ("neighbour", "neighbour | ")] {
            let victim = format!(
                "{programs}/victim --cgroup {pods}/{container} --at /demo/mnt-{container} --device {device}"
            );
            self.ground.start(&victim, prefix, lines.clone())?;
        }
        for _ in 0..PATIENCE_S {
            if self.ground.sh(&format!("{programs}/faultline get nodes --admin 127.0.0.1:9464")).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_secs(1));
        }
        let log = self.ground.sh("tail -n 20 /demo/faultline.log").unwrap_or_default();
        Err(io::Error::other(format!(
            "faultline up is not ready after {PATIENCE_S} s; the end of its log:\n{log}"
        )))
    }

    /// Shows what the containers print for so many seconds.
    fn watch(&self, lines: &Receiver<String>, seen: &mut Seen, seconds: u64) {
        for _ in 0..seconds * 10 {
            thread::sleep(Duration::from_millis(100));
            self.drain(lines, seen);
        }
    }

    fn watch_until(&self, lines: &Receiver<String>, seen: &mut Seen, holds: impl Fn(&Seen) -> bool) {
        for _ in 0..PATIENCE_S {
            if holds(seen) {
                return;
            }
            self.watch(lines, seen, 1);
        }
    }

    fn drain(&self, lines: &Receiver<String>, seen: &mut Seen) {
        for line in lines.try_iter() {
            say(&format!("   {line}"));
            seen.0.push(line);
        }
    }

    /// Waits until the run is stopped: from then on nothing is injected.
    fn recovered(&self) -> io::Result<bool> {
        for _ in 0..PATIENCE_S {
            if self.runs()?.contains("\"Stopped\"") {
                return Ok(true);
            }
            thread::sleep(Duration::from_secs(1));
        }
        Ok(false)
    }

    /// Injections as the kernel counted them: what is spent, because nothing reboots here that would forfeit any.
    fn counted(&self) -> io::Result<usize> {
        let runs: serde_json::Value = serde_json::from_str(&self.runs()?)?;
        let spent = |run: &serde_json::Value| run.get("spent").and_then(serde_json::Value::as_u64);
        let counted: u64 = runs.as_array().into_iter().flatten().filter_map(spent).sum();
        usize::try_from(counted).map_err(io::Error::other)
    }

    fn runs(&self) -> io::Result<String> {
        self.ground.sh(&format!("{}/faultline get runs --admin 127.0.0.1:9464 -o json", self.programs))
    }

    fn counters(&self) -> io::Result<()> {
        say("   what the kernel counted:");
        let table =
            self.ground.sh(&format!("{}/faultline get runs --admin 127.0.0.1:9464", self.programs))?;
        table.lines().for_each(|line| say(&format!("   {line}")));
        Ok(())
    }
}

/// Where the demo's working copy of the experiment is.
pub(crate) fn working_copy() -> PathBuf {
    std::env::temp_dir().join("faultline-demo")
}
