//! Threads that do operations, each of which makes one call that matters: for slab memory, for a page, or to a disk.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::fs::{MemfdFlags, Mode, OFlags, ftruncate, memfd_create, open, stat};
use rustix::io::{Errno, pread, pwrite};
use rustix::mount::{MountFlags, mount};
use rustix::thread::gettid;

use crate::machine::boot_ns;

/// Kinds of operations.
pub(crate) const KINDS: usize = 5;
/// A mount with a flag, which predicates can tell from one without.
pub(crate) const FLAGGED: usize = 0;
/// A mount without flags.
pub(crate) const PLAIN: usize = 1;
/// A look at a file, in none of the call chains.
pub(crate) const LOOK: usize = 2;
/// A write to a file in memory, which takes a page.
pub(crate) const WRITE: usize = 3;
/// A read of the disk, past the cache.
pub(crate) const READ: usize = 4;

/// Longer than a path may be.
const TOO_LONG: usize = 5000;

/// Failures that a thread has room for; then it waits to be stopped.
const ROOM: usize = 6000;

/// Between two rounds of those who rest.
const REST: Duration = Duration::from_millis(1);

/// What is read of the disk, and on which boundary.
const BLOCK: usize = 4096;

/// An operation that failed as if memory were short or the disk broken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) tid: u64,
    pub(crate) kind: usize,
    /// By the boot clock, in nanoseconds.
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// What one thread has done.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// By kind: how many went well, how many failed.
    pub(crate) counts: [(u64, u64); KINDS],
    pub(crate) failures: Vec<Failure>,
}

impl Tally {
    /// Its memory is in place, so that it never needs any while it counts.
    fn new(room: usize) -> Self {
        let none = Failure { tid: 1, kind: 1, began: 1, ended: 1 };
        let mut failures = vec![none; room];
        failures.clear();
        Self { counts: Default::default(), failures }
    }

    fn clear(&mut self) {
        self.counts = Default::default();
        self.failures.clear();
    }

    fn round(&mut self, tid: u64, tools: &mut Tools) {
        for kind in 0..KINDS {
            let began = boot_ns();
            let result = match kind {
                FLAGGED => tools.try_to_mount(MountFlags::RDONLY),
                PLAIN => tools.try_to_mount(MountFlags::empty()),
                LOOK => stat(c"/").map(drop),
                WRITE => tools.write(),
                _ => tools.read(),
            };
            match result {
                Ok(()) => self.counts[kind].0 += 1,
                Err(Errno::NOMEM | Errno::IO) => {
                    self.counts[kind].1 += 1;
                    self.failures.push(Failure { tid, kind, began, ended: boot_ns() });
                }
                Err(other) => panic!("an operation of kind {kind} failed with {other}"),
            }
        }
    }
}

/// What a thread works with.
struct Tools {
    name: CString,
    file: OwnedFd,
    disk: OwnedFd,
    room: Vec<u8>,
}

impl Tools {
    fn new() -> Self {
        Self {
            name: CString::new(vec![b'n'; TOO_LONG]).unwrap(),
            file: memfd_create(c"stress", MemfdFlags::empty()).unwrap(),
            disk: open("/dev/vda", OFlags::RDONLY | OFlags::DIRECT, Mode::empty()).unwrap(),
            room: vec![0; 2 * BLOCK],
        }
    }

    /// A mount that is refused for the length of a name, after the kernel has copied the name of the file system, and
    /// nothing else, into memory of its own.
    fn try_to_mount(&self, flags: MountFlags) -> Result<(), Errno> {
        match mount(&self.name, c"/", c"x", flags, None) {
            Err(Errno::INVAL) => Ok(()),
            Ok(()) => panic!("a mount that cannot be"),
            other => other,
        }
    }

    /// The page is given back, so that the next one takes one, too.
    fn write(&self) -> Result<(), Errno> {
        pwrite(&self.file, &[1], 0).and_then(|_| ftruncate(&self.file, 0))
    }

    fn read(&mut self) -> Result<(), Errno> {
        let start = self.room.as_ptr().align_offset(BLOCK);
        pread(&self.disk, &mut self.room[start..start + BLOCK], 0).map(drop)
    }
}

fn tid() -> u64 {
    u64::try_from(gettid().as_raw_nonzero().get()).unwrap()
}

/// Brings up a child and lets it work: what it said.
pub(crate) type Breeder = fn() -> String;

#[derive(Default)]
struct Shared {
    running: AtomicBool,
    /// How often they were set going.
    turns: AtomicU64,
    /// Threads that are at it.
    busy: AtomicUsize,
    rounds: AtomicU64,
}

/// The threads of a victim.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    tallies: Vec<Arc<Mutex<Tally>>>,
    children: Option<JoinHandle<String>>,
}

impl Crew {
    pub(crate) fn hire(threads: usize, rests: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let tallies: Vec<_> = (0..threads).map(|_| Arc::new(Mutex::new(Tally::new(ROOM)))).collect();
        for tally in &tallies {
            let (shared, tally) = (Arc::clone(&shared), Arc::clone(tally));
            thread::spawn(move || shared.work(&tally, rests));
        }
        Self { shared, tallies, children: None }
    }

    pub(crate) fn go(&mut self, breeder: Option<Breeder>) {
        self.shared.rounds.store(0, Ordering::SeqCst);
        for tally in &self.tallies {
            tally.lock().unwrap().clear();
        }
        self.shared.busy.store(self.tallies.len(), Ordering::SeqCst);
        self.shared.running.store(true, Ordering::SeqCst);
        self.shared.turns.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.children = breeder.map(|breed| {
            thread::spawn(move || {
                let mut said = String::new();
                while shared.running.load(Ordering::SeqCst) {
                    said.push_str(&breed());
                }
                said
            })
        });
    }

    pub(crate) fn progress(&self) -> u64 {
        self.shared.rounds.load(Ordering::SeqCst)
    }

    /// What each thread did; what children said goes into `said`.
    pub(crate) fn stop(&mut self, said: &mut String) -> Vec<Tally> {
        self.shared.running.store(false, Ordering::SeqCst);
        if let Some(children) = self.children.take() {
            said.push_str(&children.join().unwrap());
        }
        while self.shared.busy.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        self.tallies.iter().map(|tally| tally.lock().unwrap().clone()).collect()
    }
}

impl Shared {
    fn work(&self, tally: &Mutex<Tally>, rests: bool) {
        let (mut tools, tid) = (Tools::new(), tid());
        for turn in 1.. {
            while self.turns.load(Ordering::SeqCst) < turn {
                thread::sleep(Duration::from_millis(1));
            }
            let mut tally = tally.lock().unwrap();
            while self.running.load(Ordering::SeqCst) {
                if tally.failures.len() + KINDS > ROOM {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                tally.round(tid, &mut tools);
                self.rounds.fetch_add(1, Ordering::SeqCst);
                if rests {
                    thread::sleep(REST);
                }
            }
            drop(tally);
            self.busy.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// So many threads do so many rounds each.
pub(crate) fn work_off(threads: usize, rounds: u64) -> Vec<Tally> {
    let work = || {
        let (mut tally, mut tools, tid) = (Tally::new(0), Tools::new(), tid());
        (0..rounds).for_each(|_| tally.round(tid, &mut tools));
        tally
    };
    thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
