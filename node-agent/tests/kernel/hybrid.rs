//! A host with the old hierarchies, and cgroup v2 beside them under `unified`.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use faultline_node_agent::kernel::{Kernel, ProbeError};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::victim::Victim;
use crate::world::{World, failing_mounts};

const CGROUPS: &str = "/sys/fs/cgroup";
const UNIFIED: &str = "/sys/fs/cgroup/unified";
const NAMED: &str = "/sys/fs/cgroup/systemd";

/// The layout, until it is dropped.
struct Hybrid;

impl Hybrid {
    fn lay_out() -> Self {
        unmount(CGROUPS, UnmountFlags::DETACH).unwrap();
        let hybrid = Self;
        mount("tmpfs", CGROUPS, "tmpfs", MountFlags::empty(), None).unwrap();
        fs::create_dir(UNIFIED).unwrap();
        fs::create_dir(NAMED).unwrap();
        mount("none", NAMED, "cgroup", MountFlags::empty(), Some(c"none,name=systemd")).unwrap();
        mount("none", UNIFIED, "cgroup2", MountFlags::empty(), None).unwrap();
        hybrid
    }
}

impl Drop for Hybrid {
    fn drop(&mut self) {
        for place in [UNIFIED, NAMED, CGROUPS] {
            let _ = unmount(place, UnmountFlags::DETACH);
        }
        let _ = mount("none", CGROUPS, "cgroup2", MountFlags::empty(), None);
    }
}

#[test]
fn a_hybrid_host_has_its_targets_under_unified_and_the_old_hierarchies_do_not_matter() {
    let Some(mut world) = World::new() else { return };
    let _hybrid = Hybrid::lay_out();
    world.restart();
    let target = Path::new(UNIFIED).join("hybrid-target");
    let old = Path::new(NAMED).join("hybrid-target");
    fs::create_dir(&target).unwrap();
    fs::create_dir(&old).unwrap();
    let mut victim = Victim::start(&target);
    world.arm(&[failing_mounts(&target)]);
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    assert_eq!(world.engine.members(), 1);
    fs::create_dir(old.join("child")).unwrap();
    assert_eq!(world.engine.members(), 1, "a cgroup of the old kind is no member");
    let outcome = world.engine.converge(&[failing_mounts(&old)]).remove(0);
    assert!(matches!(outcome.result, Err(ProbeError::Scope { .. })), "{outcome:?}");
    let outcome = world.engine.converge(&[failing_mounts(UNIFIED.as_ref())]).remove(0);
    assert!(matches!(outcome.result, Err(ProbeError::Scope { .. })), "{outcome:?}");
    drop(victim);
    for gone in [old.join("child"), old, target] {
        // A cgroup goes when its last process is reaped, which may take a moment.
        while fs::remove_dir(&gone).is_err() {
            thread::sleep(Duration::from_millis(10));
        }
    }
}
