//! A process in a cgroup that mounts as it is told, and keeps its own tally.
//!
//! It is this test binary once more, running the one test below, which does nothing without its orders.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use rustix::{
    io::Errno,
    mount::{MountFlags, mount},
};

use crate::stage::boot_ns;

/// Where the victim finds its cgroup.
const CGROUP: &str = "FAULTLINE_SESSION_CGROUP";

/// What came of an order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tried: u64,
    /// With ENOMEM.
    pub(crate) failed: u64,
    /// When the last of those began, by the boot clock.
    pub(crate) last_failure: u64,
}

/// The near side.
pub(crate) struct Victim {
    child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

/// An order that is being followed.
pub(crate) struct Going<'a>(&'a mut Victim);

impl Victim {
    pub(crate) fn start(cgroup: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim::follows_its_orders", "--nocapture"])
            .env(CGROUP, cgroup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, replies) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut victim = Self { child, orders, replies };
        assert_eq!(victim.ask("hits 1").failed, 0, "nothing fails before anything is attached");
        victim
    }

    /// `hits COUNT`, or `for MILLISECONDS THREADS`.
    pub(crate) fn order(&mut self, order: &str) -> Going<'_> {
        writeln!(self.orders, "{order}").unwrap();
        Going(self)
    }

    /// Whether mounts come to fail within half a minute.
    pub(crate) fn fails_again(&mut self) -> bool {
        (0..60).any(|_| self.ask("for 500 1").failed > 0)
    }

    pub(crate) fn ask(&mut self, order: &str) -> Tally {
        self.order(order).tally()
    }
}

impl Going<'_> {
    /// Waits until it was followed.
    pub(crate) fn tally(self) -> Tally {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.0.replies.read_line(&mut line).unwrap(), 0, "the victim died");
            let Some((_, numbers)) = line.split_once("tally ") else { continue };
            let numbers: Vec<u64> =
                numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
            return Tally { tried: numbers[0], failed: numbers[1], last_failure: numbers[2] };
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The far side.
#[test]
fn follows_its_orders() {
    let Some(cgroup) = std::env::var_os(CGROUP) else { return };
    fs::write(PathBuf::from(cgroup).join("cgroup.procs"), "0").unwrap();
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let tally = match words[0] {
            "hits" => {
                let mut tally = Tally::default();
                (0..number(1)).for_each(|_| tally.hit());
                tally
            }
            "for" => hammer(boot_ns() + number(1) * 1_000_000, number(2)),
            other => panic!("{other}"),
        };
        println!("tally {} {} {}", tally.tried, tally.failed, tally.last_failure);
    }
}

fn hammer(until: u64, threads: u64) -> Tally {
    let one = move || {
        let mut tally = Tally::default();
        while boot_ns() < until {
            tally.hit();
        }
        tally
    };
    let threads: Vec<_> = (0..threads).map(|_| thread::spawn(one)).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).fold(Tally::default(), |sum, one| Tally {
        tried: sum.tried + one.tried,
        failed: sum.failed + one.failed,
        last_failure: sum.last_failure.max(one.last_failure),
    })
}

impl Tally {
    /// A mount of a kind of file system that there is not: with memory it fails with ENODEV.
    fn hit(&mut self) {
        let began = boot_ns();
        self.tried += 1;
        match mount("none", "/tmp", "none-such", MountFlags::empty(), None) {
            Err(Errno::NOMEM) => {
                self.failed += 1;
                self.last_failure = began;
            }
            Err(Errno::NODEV) => {}
            other => panic!("{other:?}"),
        }
    }
}
