//! Activations: those that nest, those that end unseen, and those that outlive what began with them.

use std::fs;
use std::path::PathBuf;
use std::thread::available_parallelism;

use faultline_node_agent::kernel::{Kernel, ProbeError, ProbeSpec};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::victim::Victim;
use crate::world::{Vary, World, failing_mounts, mark, threads, wait_until_idle};

/// What a victim is in while it waits for orders.
const READ: &str = "__x64_sys_read";

/// Of two file systems, one above the other: to open a file takes three activations of the same function, and memory in
/// the outer two.
#[test]
fn a_function_that_calls_itself_is_as_many_frames_as_it_has_activations() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let layers = Layers::mount();
    for (frames, failed) in [(1, 5), (2, 5), (3, 0)] {
        let spec = failing_mounts(&target).frames(&vec!["do_dentry_open"; frames]);
        world.arm(std::slice::from_ref(&spec));
        let order = format!("open {} 5", layers.file().display());
        assert_eq!(victim.ask(&order).failed, failed, "{frames} activations");
        let counters = world.counters(&spec);
        assert_eq!((counters.matches, counters.injections), (failed, failed), "{frames} activations");
        assert_eq!(counters.missed_returns, 0, "{frames} activations: {counters:?}");
    }
}

/// Two overlays, one above the other.
struct Layers(PathBuf);

impl Layers {
    fn mount() -> Self {
        let layers = Self(PathBuf::from(format!("/tmp/layers-{}", mark())));
        for name in ["below", "empty", "one", "two"] {
            fs::create_dir_all(layers.0.join(name)).unwrap();
        }
        fs::write(layers.0.join("below/file"), "").unwrap();
        layers.overlay("one", "below");
        layers.overlay("two", "one");
        layers
    }

    fn overlay(&self, at: &str, below: &str) {
        let (below, empty) = (self.0.join(below), self.0.join("empty"));
        let data = format!("lowerdir={}:{}", below.display(), empty.display());
        let data = std::ffi::CString::new(data).unwrap();
        mount("none", self.0.join(at), "overlay", MountFlags::empty(), data.as_c_str()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.join("two/file")
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        for name in ["two", "one"] {
            let _ = unmount(self.0.join(name), UnmountFlags::DETACH);
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A victim that reads its orders, with that on record.
fn reading(world: &mut World) -> (PathBuf, Victim, ProbeSpec) {
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).frames(&[READ]);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 1 1").ok, 1, "it began to read before there was a program");
    wait_until_idle(&victim);
    (target, victim, spec)
}

#[test]
fn an_activation_whose_exit_went_unseen_is_disproved_by_the_stack_and_told_once() {
    let Some(mut world) = World::new() else { return };
    let elsewhere = world.cgroup("elsewhere");
    let (_, mut victim, spec) = reading(&mut world);
    // Another program comes to the function, so the activation leaves past the exit program that it began with.
    let other = failing_mounts(&elsewhere).frames(&[READ]).when("fd == 99").declared("unsigned int fd");
    world.arm(&[spec.clone(), other]);
    assert_eq!(victim.ask("mount 5 1").ok, 5);
    let counters = world.counters(&spec);
    assert_eq!((counters.missed_returns, counters.matches, counters.injections), (1, 0, 0), "{counters:?}");
    assert_eq!(victim.ask("read-proc 3").failed, 3, "what begins from now on is seen");
    assert_eq!(world.counters(&spec).missed_returns, 1);
}

#[test]
fn a_target_that_is_in_the_chain_while_it_is_edited_matches_with_its_next_activation() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim, _) = reading(&mut world);
    for frames in [&["ksys_read"][..], &[READ], &[READ, "ksys_read"]] {
        let spec = failing_mounts(&target).frames(frames);
        world.arm(std::slice::from_ref(&spec));
        assert_eq!(victim.ask("mount 5 1").ok, 5, "{frames:?}");
        assert_eq!(victim.ask("read-proc 3").failed, 3, "{frames:?}");
        let counters = world.counters(&spec);
        assert_eq!((counters.injections, counters.missed_returns), (3, 0), "{frames:?}: {counters:?}");
        wait_until_idle(&victim);
    }
}

#[test]
fn a_signal_in_the_chain_ends_the_activation_that_it_interrupts() {
    let Some(mut world) = World::new() else { return };
    let (_, mut victim, spec) = reading(&mut world);
    for signal in [Signal::STOP, Signal::CONT] {
        kill_process(Pid::from_child(&victim.child), signal).unwrap();
    }
    assert_eq!(victim.ask("mount 5 1").ok, 5);
    assert_eq!(victim.ask("read-proc 3").failed, 3);
    let counters = world.counters(&spec);
    assert_eq!((counters.injections, counters.missed_returns), (3, 0), "{counters:?}");
}

#[test]
fn a_thread_that_is_moved_to_another_cpu_in_the_chain_takes_what_it_matched_along() {
    let Some(mut world) = World::new() else { return };
    let cpus = available_parallelism().unwrap().get();
    if cpus < 2 {
        eprintln!("SKIPPED: needs two CPUs");
        return;
    }
    let (_, mut victim, spec) = reading(&mut world);
    for round in 1..=4 {
        wait_until_idle(&victim);
        let mut there = CpuSet::new();
        there.set(round % cpus);
        threads(&victim).into_iter().for_each(|thread| sched_setaffinity(Some(thread), &there).unwrap());
        assert_eq!(victim.ask("mount 5 1").ok, 5);
        assert_eq!(victim.ask("read-proc 3").failed, 3);
        let counters = world.counters(&spec);
        assert_eq!((counters.injections, counters.missed_returns), (3 * round as u64, 0), "{counters:?}");
    }
}

#[test]
fn children_match_for_themselves() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("child try 5").failed, 5);
    assert_eq!(world.counters(&spec).injections, 5);
}

#[test]
fn a_chain_through_exec_ends_with_it() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let exec = failing_mounts(&target).frames(&["__x64_sys_execve"]).probability(0);
    let after = failing_mounts(&target).frames(&["__x64_sys_execve", "__x64_sys_mount"]);
    let specs = [exec, after];
    world.arm(&specs);
    assert_eq!(victim.ask("child try 3").ok, 3);
    let [exec, after] = specs.map(|spec| world.counters(&spec));
    assert!(exec.matches > 0 && exec.missed_returns == 0, "{exec:?}");
    assert_eq!((after.matches, after.missed_returns), (0, 0), "{after:?}");
}

/// Kernels from 6.12 on refuse functions that do not return.
#[test]
fn a_chain_through_exit_is_refused_or_ends_with_the_task() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let exit = failing_mounts(&target).frames(&["__x64_sys_exit_group"]);
    let refused = match &world.engine.converge(std::slice::from_ref(&exit))[0].result {
        Ok(_) => false,
        Err(ProbeError::NotAttachable { name, .. }) => name == "__x64_sys_exit_group",
        Err(error) => panic!("{error}"),
    };
    for _ in 0..3 {
        assert_eq!(victim.ask("child try 3").ok, 3);
    }
    if !refused {
        let counters = world.counters(&exit);
        assert_eq!((counters.injections, counters.missed_returns), (0, 0), "{counters:?}");
    }
}
