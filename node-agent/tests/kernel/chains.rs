//! Call chains: every frame, in order, on this thread.

use faultline_node_agent::kernel::{Kernel, ProbeError};

use crate::world::{Vary, World, failing_mounts};

#[test]
fn two_frames_in_order_inject() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).frames(&["__x64_sys_mount", "path_mount"]);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 20 1").failed, 20);
    let counters = world.counters(&spec);
    assert_eq!((counters.injections, counters.missed_returns), (20, 0), "{counters:?}");
    assert!(counters.hits > counters.matches, "what is allocated before path_mount is spared: {counters:?}");
}

#[test]
fn the_same_frames_in_the_wrong_order_never_inject() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).frames(&["path_mount", "__x64_sys_mount"]);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 20 1").failed, 0);
    let counters = world.counters(&spec);
    assert_eq!((counters.matches, counters.injections), (0, 0));
    assert!(counters.hits >= 20, "reached, and never matched: {counters:?}");
}

#[test]
fn a_frame_wanted_twice_is_not_satisfied_by_one_activation() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).frames(&["path_mount", "path_mount"]);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 20 1").failed, 0);
    assert_eq!(world.counters(&spec).matches, 0);
}

#[test]
fn threads_of_one_process_match_each_for_itself() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).frames(&["__x64_sys_mount", "path_mount"]);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 50 4").failed, 200);
    assert_eq!(world.counters(&spec).injections, 200);
}

#[test]
fn a_system_call_may_be_spelt_as_manifests_do() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    world.arm(&[failing_mounts(&target).frames(&["sys_mount"])]);
    assert_eq!(victim.ask("mount 5 1").failed, 5);
}

#[test]
fn two_probes_that_spell_a_function_differently_share_its_programs() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let first = failing_mounts(&target).times(3);
    let second = failing_mounts(&target).frames(&["sys_mount"]).times(2);
    world.arm(&[first.clone(), second.clone()]);
    assert_eq!(victim.ask("mount 20 1").failed, 5);
    assert_eq!([world.counters(&first).injections, world.counters(&second).injections], [3, 2]);
    world.arm(std::slice::from_ref(&second));
    assert_eq!(world.engine.programs().len(), 5, "one gate, one pair for the function, two followers");
}

#[test]
fn an_unknown_frame_is_refused_with_its_neighbours_and_harms_no_other_probe() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let wrong = failing_mounts(&target).frames(&["path_muont"]);
    let long = failing_mounts(&target).frames(&["path_mount"; 16]);
    let outcomes = world.engine.converge(&[wrong, failing_mounts(&target), long]);
    let Err(ProbeError::Function(unknown)) = &outcomes[0].result else { panic!("{outcomes:?}") };
    assert!(unknown.nearest().contains(&"path_mount".to_owned()), "{unknown:?}");
    assert!(outcomes[1].result.is_ok());
    assert_eq!(outcomes[2].result, Err(ProbeError::TooManyFrames { given: 16, max: 15 }));
    assert_eq!(victim.ask("mount 5 1").failed, 5);
}
