//! The same work, done by bcc's `inject`.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use rustix::mount::{MountFlags, mount};

use crate::arming::{self, Cost, Memory, within};
use crate::ground::{self, Ground, spec};
use crate::table::{self, millions, times, whole};
use crate::worker::{Work, Worker};

/// Where its root file system is, in the guest.
const DISK: &str = "/dev/vda";
const ROOT: &str = "/mnt";

/// The tool, in its root file system.
const TOOL: &str = "/usr/sbin/inject-bpfcc";

/// The exit program that bcc 0.26 generates tests a value in a map, and indexes an array with what it reads there anew:
/// the verifier refuses it ("math between map_value pointer and register with unbounded min value"). A chain of one has
/// an array of two places, so one bit bounds the index and changes nothing else.
const UNBOUNDED: &str = "p->stack[p->conds_met - 1] == p->curr_call";
const BOUNDED: &str = "p->stack[(p->conds_met - 1) & 1] == p->curr_call";

/// Prints a table.
pub(crate) fn compare(ground: &Ground) {
    prepare();
    let mut bystander = Worker::start(&ground.cgroup("bystander"));
    let bare = bystander.count(Work::Look).instructions;
    let mut over = || bystander.count(Work::Look).instructions - bare;
    let floor = {
        let _program = ground::empty_gate();
        over()
    };
    let own = {
        let _engine = ground.arm(&[spec(0, &["__x64_sys_mount"], &ground.cgroup("target"))]);
        over()
    };
    let armed = arming::arm(ground);
    let mut target = Worker::start(&ground.cgroup("target"));
    // Once for the files to be in memory.
    drop(Inject::arm(&ground.cgroup("first"), &mut target));
    let inject = Inject::arm(&ground.cgroup("inject"), &mut target);
    let theirs = over();
    let rows = [
        ("a bystander's slab allocation, instructions", own, theirs, whole as fn(f64) -> String),
        ("the same, of the floor", own / floor, theirs / floor, |figure| times(figure, 1.0)),
        ("start to armed, instructions", armed.first.total, inject.cost.total, millions),
        ("resident while armed, MiB", armed.memory.resident, inject.memory.resident, mebibytes),
        ("peak, MiB", armed.memory.peak, inject.memory.peak, mebibytes),
    ];
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, own, theirs, told)| {
            vec![name.to_owned(), told(own), told(theirs), format!("{:.1}", theirs / own)]
        })
        .collect();
    let columns = ["slab faults on `__x64_sys_mount`", "ours", "bcc's", "bcc's, of ours"];
    table::print("Side by side", &columns, &rows);
    println!("The floor, an empty `fmod_ret`, is {floor:.0}.\n");
}

fn mebibytes(kib: f64) -> String {
    format!("{:.1}", kib / 1024.0)
}

fn prepare() {
    let root = Path::new(ROOT);
    fs::create_dir_all(root).unwrap();
    mount(DISK, root, "ext4", MountFlags::empty(), None).expect("bcc's root file system is the first disk");
    for (what, kind) in [("proc", "proc"), ("sys", "sysfs"), ("tmp", "tmpfs")] {
        fs::create_dir_all(root.join(what)).unwrap();
        mount("none", root.join(what), kind, MountFlags::empty(), None).unwrap();
    }
    mount("none", root.join("sys/kernel/debug"), "debugfs", MountFlags::empty(), None).unwrap();
    let tool = root.join(TOOL.trim_start_matches('/'));
    let text = fs::read_to_string(&tool).unwrap();
    assert!(text.contains(UNBOUNDED), "another bcc than the one whose exit program is known not to load");
    fs::write(&tool, text.replace(UNBOUNDED, BOUNDED)).unwrap();
}

struct Inject {
    child: Child,
    cost: Cost,
    memory: Memory,
}

impl Inject {
    /// From nothing to armed, which a mount that fails tells.
    fn arm(cgroup: &Path, victim: &mut Worker) -> Self {
        let command = ["chroot", ROOT, "/usr/bin/python3", TOOL, "kmalloc", "__x64_sys_mount()"];
        let child = within(cgroup, &command).stdout(Stdio::null()).spawn().unwrap();
        let mut inject = Self { child, cost: Cost::default(), memory: Memory { resident: 0.0, peak: 0.0 } };
        while !victim.lacks_memory_for_a_mount() {
            assert!(inject.child.try_wait().unwrap().is_none(), "bcc's inject ended");
            thread::sleep(Duration::from_millis(100));
        }
        inject.cost = Cost::of(cgroup);
        inject.memory = Memory::of(inject.child.id());
        inject
    }
}

impl Drop for Inject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
