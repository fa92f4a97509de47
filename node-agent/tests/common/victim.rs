//! A process in a cgroup that does as it is told and keeps its own tally.
//!
//! It is this test binary once more, running the one test below, which does nothing without its orders.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use faultline_node_agent::kernel::Ring;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open, stat};
use rustix::io::{Errno, pread, pwrite};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::time::{ClockId, clock_gettime};

#[path = "known.rs"]
pub(crate) mod known;

/// Where the victim finds its cgroup.
const CGROUP: &str = "FAULTLINE_VICTIM_CGROUP";

/// Where the sample disk holds no file's data.
const PAST_THE_FILES: u64 = 48 << 20;

/// What came of an order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    /// Of the last failure.
    pub(crate) errno: i32,
    /// When the last failing operation began, by the boot clock.
    pub(crate) last_failure: u64,
    /// Where the memory is that a call with known arguments was about.
    pub(crate) place: u64,
}

/// The near side.
pub(crate) struct Victim {
    pub(crate) child: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

/// An order that is being followed.
pub(crate) struct Going<'a>(&'a mut Victim);

impl Victim {
    pub(crate) fn start(cgroup: &Path) -> Self {
        Self::with(Self::spawn(cgroup))
    }

    /// The process alone.
    pub(crate) fn spawn(cgroup: &Path) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim::follows_its_orders", "--nocapture"])
            .env(CGROUP, cgroup)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The process, ready to follow orders.
    pub(crate) fn with(mut child: Child) -> Self {
        let (orders, replies) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut victim = Self { child, orders, replies };
        assert_eq!(victim.ask("mount 1 1").ok, 1, "a victim mounts before anything is attached for it");
        victim
    }

    /// Sends an order without waiting for what comes of it.
    pub(crate) fn order(&mut self, order: &str) -> Going<'_> {
        writeln!(self.orders, "{order}").unwrap();
        Going(self)
    }

    /// Sends an order and waits until it was followed.
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
            if let Some(tally) = Tally::read(&line) {
                return tally;
            }
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
    std::fs::write(PathBuf::from(cgroup).join("cgroup.procs"), "0").unwrap();
    let mut reply = String::with_capacity(128);
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let words: Vec<&str> = order.split_whitespace().collect();
        let tally = follow(&words);
        reply.clear();
        let Tally { ok, failed, errno, last_failure, place } = tally;
        writeln!(reply, "tally {ok} {failed} {errno} {last_failure} {place}").unwrap();
        // Not println: a victim whose allocations fail has as few of its own as can be.
        rustix::io::write(std::io::stdout(), reply.as_bytes()).unwrap();
    }
}

fn follow(words: &[&str]) -> Tally {
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    match words[0] {
        "mount" => threads(number(2), move |thread| {
            let target = directory(thread);
            repeat(number(1), || mount_and_unmount("tmpfs", &target))
        }),
        "mount-for" => {
            let target = directory(0);
            repeat_for(number(1), || mount_and_unmount("tmpfs", &target))
        }
        "mount-misc" => {
            let target = directory(0);
            repeat(number(1), || mount_and_unmount("binfmt_misc", &target))
        }
        "mount-disk" => {
            let target = directory(0);
            repeat(number(1), || {
                mount("/dev/vda", &target, "ext4", MountFlags::RDONLY, None)?;
                unmount(&target, UnmountFlags::empty())
            })
        }
        "try" => repeat(number(1), mount_none_such),
        "try-for" => threads(number(2), move |_| repeat_for(number(1), mount_none_such)),
        "pwrite" => {
            let file = scratch_file();
            let mut offset = 0;
            repeat(number(1), || {
                offset += 4096;
                pwrite(&file, &[1; 16], offset).map(drop)
            })
        }
        "direct-read" => {
            let disk = open("/dev/vda", OFlags::RDONLY | OFlags::DIRECT, Mode::empty()).unwrap();
            let mut room = vec![0; 3 * 4096];
            let start = room.as_ptr().align_offset(4096);
            repeat(number(1), || pread(&disk, &mut room[start..start + 4096], 0).map(drop))
        }
        "buffered-write" => {
            let disk = open("/dev/vda", OFlags::WRONLY, Mode::empty()).unwrap();
            let mut offset = PAST_THE_FILES;
            repeat(number(1), || {
                offset += 4096;
                pwrite(&disk, &[0; 512], offset).map(drop)
            })
        }
        "look" => {
            let path = format!("/tmp/{}", words[1]);
            repeat(number(2), || look_for_none(&path))
        }
        "touch" => repeat(number(1), || {
            let mut pages = vec![0u8; 1 << 20];
            pages.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
            std::hint::black_box(&pages);
            Ok(())
        }),
        "open" => repeat(number(2), || open(words[1], OFlags::RDONLY, Mode::empty()).map(drop)),
        "open-elsewhere" => {
            let (path, mut ring) = (CString::new(words[1]).unwrap(), Ring::new().unwrap());
            repeat(number(2), || ring.open_elsewhere(&path).map(drop))
        }
        "read-proc" => repeat(number(1), || {
            let file = open("/proc/self/stat", OFlags::RDONLY, Mode::empty())?;
            rustix::io::read(file, &mut [0; 64]).map(drop)
        }),
        "child" => child(&words[1..].join(" ")),
        "hog" => {
            let mut pages = vec![0u8; usize::try_from(number(1)).unwrap() << 20];
            pages.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
            std::hint::black_box(&pages);
            Tally::default()
        }
        "reclaim" => {
            // That nothing could be reclaimed is no matter.
            let _ = std::fs::write(words[1], "1M");
            Tally::default()
        }
        "connect" => {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            repeat(number(1), || match std::net::TcpStream::connect(address).and(listener.accept()) {
                Ok(_) => Ok(()),
                Err(error) => Err(Errno::from_io_error(&error).unwrap()),
            })
        }
        "poll" => {
            // Its own orders, as often as one call may name them.
            let stdin = std::io::stdin();
            let mut list = vec![PollFd::new(&stdin, PollFlags::IN); 1000];
            repeat(number(1), || poll(&mut list, Some(&Timespec::default())).map(drop))
        }
        "read-random" => {
            let source = open("/dev/urandom", OFlags::RDONLY, Mode::empty()).unwrap();
            let mut room = vec![0; 1 << 20];
            repeat(number(1), || rustix::io::read(&source, &mut room).map(drop))
        }
        "dirty" => {
            // Not truncated first: ext4 writes such a file at once when it is closed.
            let file = open(words[1], OFlags::WRONLY, Mode::empty()).unwrap();
            repeat(1, || pwrite(&file, &vec![7; 1 << 20], 0).map(drop))
        }
        "known" => Tally { place: known::call(number(1)), ..Tally::default() },
        "known-inside" => Tally { place: known::call_inside(number(1), &directory(0)), ..Tally::default() },
        "call-yourself" => {
            std::fs::write("/proc/self/comm", words[1]).unwrap();
            Tally::default()
        }
        "move" => {
            std::fs::write(PathBuf::from(words[1]).join("cgroup.procs"), "0").unwrap();
            Tally::default()
        }
        other => panic!("unknown order {other}"),
    }
}

/// Has a child follow an order.
fn child(order: &str) -> Tally {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim::follows_its_orders", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{order}").unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().find_map(Tally::read).unwrap()
}

impl Tally {
    /// Finds it in a line.
    fn read(line: &str) -> Option<Self> {
        let (_, numbers) = line.split_once("tally ")?;
        let numbers: Vec<u64> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let errno = i32::try_from(numbers[2]).unwrap();
        Some(Self { ok: numbers[0], failed: numbers[1], errno, last_failure: numbers[3], place: numbers[4] })
    }

    fn add(&mut self, mut operation: impl FnMut() -> Result<(), Errno>) {
        let began = boot_ns();
        match operation() {
            Ok(()) => self.ok += 1,
            Err(error) => {
                self.failed += 1;
                self.errno = error.raw_os_error();
                self.last_failure = began;
            }
        }
    }
}

fn repeat(times: u64, mut operation: impl FnMut() -> Result<(), Errno>) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..times {
        tally.add(&mut operation);
    }
    tally
}

fn repeat_for(milliseconds: u64, mut operation: impl FnMut() -> Result<(), Errno>) -> Tally {
    let end = boot_ns() + milliseconds * 1_000_000;
    let mut tally = Tally::default();
    while boot_ns() < end {
        tally.add(&mut operation);
    }
    tally
}

fn threads(count: u64, work: impl Fn(u64) -> Tally + Send + Copy) -> Tally {
    if count == 1 {
        return work(0);
    }
    thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|thread| scope.spawn(move || work(thread))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).fold(Tally::default(), |sum, one| Tally {
            ok: sum.ok + one.ok,
            failed: sum.failed + one.failed,
            errno: sum.errno.max(one.errno),
            last_failure: sum.last_failure.max(one.last_failure),
            place: sum.place.max(one.place),
        })
    })
}

fn mount_and_unmount(kind: &str, target: &Path) -> Result<(), Errno> {
    mount("none", target, kind, MountFlags::empty(), None)?;
    insist(|| unmount(target, UnmountFlags::empty()));
    Ok(())
}

/// A mount of a kind of file system that there is not, which fails in any case: with ENODEV where there was memory.
/// Cheap, and one allocation of slab memory on its way decides.
fn mount_none_such() -> Result<(), Errno> {
    match mount("none", "/tmp", "none-such", MountFlags::empty(), None) {
        Err(Errno::NODEV) => Ok(()),
        other => other,
    }
}

/// Looks for a file that there is not; the kernel makes an entry for the name each time.
fn look_for_none(path: &str) -> Result<(), Errno> {
    match stat(path) {
        Err(Errno::NOENT) => Ok(()),
        Err(other) => Err(other),
        Ok(_) => panic!("{path} is there"),
    }
}

fn directory(thread: u64) -> PathBuf {
    let path = PathBuf::from(format!("/tmp/victim-{}-{thread}", std::process::id()));
    insist(|| std::fs::create_dir_all(&path));
    path
}

/// What a victim needs done around its operations may fail too, where a probe has no frames.
fn insist<T, E: std::fmt::Debug>(mut work: impl FnMut() -> Result<T, E>) -> T {
    (0..100).find_map(|_| work().ok()).unwrap_or_else(|| work().unwrap())
}

fn scratch_file() -> OwnedFd {
    let path = format!("/dev/shm/victim-{}", std::process::id());
    insist(|| open(path.as_str(), OFlags::CREATE | OFlags::TRUNC | OFlags::RDWR, Mode::RUSR | Mode::WUSR))
}

/// The boot clock, in nanoseconds.
pub(crate) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}
