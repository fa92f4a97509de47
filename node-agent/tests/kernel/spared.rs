//! Who is left alone inside a container: runtimes, and whoever has only just started.

use std::path::Path;
use std::thread;
use std::time::Duration;

use faultline_node_agent::kernel::{BootNanos, EngineConfig, Kernel};

use crate::victim::Victim;
use crate::world::{World, boot_now, failing_mounts};

#[test]
fn a_container_runtime_is_spared_by_its_name_from_the_first_moment_on() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    for name in ["containerd-shim-runc-v2", "runc:[2:INIT]", "kubelet"] {
        victim.ask(&format!("call-yourself {name}"));
        assert_eq!(victim.ask("mount 5 1").failed, 0, "{name}");
    }
    assert!(world.counters(&spec).guarded.protected >= 15);
    for name in ["kubelet2", "kubele"] {
        victim.ask(&format!("call-yourself {name}"));
        assert_eq!(victim.ask("mount 5 1").failed, 5, "{name}");
    }
    world.config = EngineConfig { protected_names: vec!["kubelet2".into()], ..world.config.clone() };
    world.restart();
    world.arm(&[spec]);
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    victim.ask("call-yourself kubelet2");
    assert_eq!(victim.ask("mount 5 1").failed, 0);
}

#[test]
fn a_container_is_spared_until_its_grace_is_over_and_one_without_a_namespace_has_none() {
    let Some(mut world) = World::new() else { return };
    let grace = Duration::from_secs(4);
    world.config = EngineConfig { grace, ..world.config.clone() };
    world.restart();
    let target = world.cgroup("target");
    let mut older = Victim::start(&target);
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(older.ask("mount 5 1").failed, 5, "it shares the machine's process namespace");
    let before = world.counters(&spec);
    let began = boot_now();
    let mut fresh = contained(&target);
    let after = world.counters(&spec);
    assert!(after.guarded.starting > before.guarded.starting, "{after:?}");
    assert_eq!(after.injections, before.injections);
    while fresh.ask("mount 1 1").failed == 0 {}
    let end = began.0 + u64::try_from(grace.as_nanos()).unwrap();
    assert!(boot_now() >= BootNanos(end), "injected within the grace");
    assert_eq!(fresh.ask("mount 5 1").failed, 5);
    world.engine.converge(&[]);
}

#[test]
fn a_container_that_is_started_again_is_spared_again() {
    let Some(mut world) = World::new() else { return };
    world.config = EngineConfig { grace: Duration::from_secs(3600), ..world.config.clone() };
    world.restart();
    let target = world.cgroup("target");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    for _ in 0..2 {
        let mut fresh = contained(&target);
        assert_eq!(fresh.ask("mount 5 1").ok, 5);
    }
    let counters = world.counters(&spec);
    assert!(counters.guarded.starting >= 10 && counters.injections == 0, "{counters:?}");
}

/// The first process of a process namespace of its own, as a container's is.
fn contained(cgroup: &Path) -> Victim {
    let spawn = || {
        #[expect(deprecated, reason = "descriptors stay shared; the thread's children begin a namespace")]
        rustix::thread::unshare(rustix::thread::UnshareFlags::NEWPID).unwrap();
        Victim::spawn(cgroup)
    };
    Victim::with(thread::scope(|scope| scope.spawn(spawn).join().unwrap()))
}
