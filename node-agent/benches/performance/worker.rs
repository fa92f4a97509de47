//! A process in a cgroup whose own instructions are counted: this program once more.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

/// Where the worker finds its cgroup.
const CGROUP: &str = "FAULTLINE_BENCH_CGROUP";

/// Rounds in a sample: so few that most fit between two ticks of the timer, 4 M instructions apart.
const ROUNDS: u64 = 500;

/// Samples of which the least counts: the kernel frees detached programs on its own time, in the middle of any.
const SAMPLES: u32 = 32;

/// What is done in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Asks after a file, which takes a buffer for its name from a slab and gives it back at once: one allocation. (What
    /// is freed later, as open files are, makes the next allocations cheaper or dearer.)
    Look,
    /// A call that allocates nothing.
    Idle,
}

impl Work {
    /// The system call's function.
    pub(crate) const fn function(self) -> &'static str {
        match self {
            Self::Look => "__x64_sys_statx",
            Self::Idle => "__x64_sys_getpgid",
        }
    }
}

/// Where a worker that was told to wait is: in the middle of opening a pipe, with allocations behind it.
pub(crate) const WAITS_IN: &str = "__x64_sys_openat";

/// What a round came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    /// Instructions of one, the least of several averages.
    pub(crate) instructions: f64,
    /// Rounds of all, and how many of them failed.
    pub(crate) rounds: u64,
    pub(crate) failed: u64,
}

pub(crate) struct Worker {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Worker {
    pub(crate) fn start(cgroup: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(CGROUP, cgroup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, replies) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut worker = Self { child, orders, replies };
        // It answers only from within its cgroup.
        worker.count(Work::Idle);
        worker
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn count(&mut self, work: Work) -> Count {
        self.order(if work == Work::Look { "look" } else { "idle" });
        let reply = self.reply();
        let numbers: Vec<f64> = reply.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let rounds = ROUNDS * u64::from(SAMPLES);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a whole number")]
        let failed = numbers[1] as u64;
        Count { instructions: numbers[0], rounds, failed }
    }

    /// Mounts what cannot be mounted: whether it failed for want of memory.
    pub(crate) fn lacks_memory_for_a_mount(&mut self) -> bool {
        self.order("mount");
        self.reply().trim() == Errno::NOMEM.raw_os_error().to_string()
    }

    /// Blocks from now on, until it is dropped.
    pub(crate) fn wait_in_a_call(&mut self, pipe: &Path) {
        self.order(&format!("wait {}", pipe.display()));
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn reply(&mut self) -> String {
        let mut reply = String::new();
        assert_ne!(self.replies.read_line(&mut reply).unwrap(), 0, "the worker died");
        reply
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The far side.
pub(crate) fn is_one() -> bool {
    std::env::var_os(CGROUP).is_some()
}

pub(crate) fn follow_orders() {
    let cgroup = PathBuf::from(std::env::var_os(CGROUP).unwrap());
    fs::write(cgroup.join("cgroup.procs"), "0").unwrap();
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let reply = match order.split_once(' ') {
            Some(("wait", pipe)) => fs::File::open(pipe).map(|_| String::new()).unwrap(),
            _ if order == "mount" => mount_none_such().raw_os_error().to_string(),
            _ if order == "look" => sample(|| look().is_err()),
            _ => sample(|| {
                let _ = rustix::process::getpgid(None);
                false
            }),
        };
        // Not println: a worker whose allocations fail has as few of its own as can be.
        rustix::io::write(std::io::stdout(), format!("{reply}\n").as_bytes()).unwrap();
    }
}

fn sample(round: impl Fn() -> bool) -> String {
    let (mut least, mut failed) = (u64::MAX, 0);
    for _ in 0..SAMPLES {
        let began = now();
        failed += (0..ROUNDS).filter(|_| round()).count();
        least = least.min(now() - began);
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let each = least as f64 / ROUNDS as f64;
    format!("{each} {failed}")
}

fn look() -> Result<(), Errno> {
    statx(CWD, "/", AtFlags::empty(), StatxFlags::BASIC_STATS).map(drop)
}

fn mount_none_such() -> Errno {
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("none", "/tmp", "none-such", flags, None).unwrap_err()
}

fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}
