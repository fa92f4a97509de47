//! Times, probability, deadlines: enforced in the kernel, exactly.

use faultline_node_agent::kernel::{BootNanos, Kernel};

use crate::world::{Vary, World, boot_now, failing_mounts};

#[test]
fn four_threads_hammering_spend_a_budget_of_seven_exactly() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).times(7);
    world.arm(std::slice::from_ref(&spec));
    let tally = victim.ask("mount 50 4");
    assert_eq!((tally.ok, tally.failed), (193, 7));
    let counters = world.counters(&spec);
    assert_eq!((counters.injections, world.engine.spent(spec.budget)), (7, 7));
    assert!(counters.exhausted >= 193 - counters.contended, "{counters:?}");
}

#[test]
fn an_edit_of_times_keeps_what_is_spent() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).times(3);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 10 1").failed, 3);
    world.arm(&[spec.clone().times(5)]);
    assert_eq!(victim.ask("mount 10 1").failed, 2);
    world.arm(&[spec.clone().times(4)]);
    assert_eq!(victim.ask("mount 10 1").failed, 0);
    assert_eq!(world.engine.spent(spec.budget), 5);
}

#[test]
fn an_edit_of_the_chain_keeps_budget_and_counters() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).times(5);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 3 1").failed, 3);
    world.arm(&[spec.clone().frames(&["__x64_sys_mount", "path_mount"])]);
    assert_eq!(victim.ask("mount 10 1").failed, 2);
    assert_eq!(world.counters(&spec).injections, 5);
}

#[test]
fn a_budget_outlives_the_engine_until_it_is_forgotten() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).times(5);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 3 1").failed, 3);
    world.restart();
    assert_eq!(victim.ask("mount 10 1").failed, 0, "nothing is attached after a restart");
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount 10 1").failed, 2);
    world.engine.forget_budget(spec.budget);
    assert_eq!(world.engine.spent(spec.budget), 5, "a budget in use is kept");
    world.arm(&[]);
    world.engine.forget_budget(spec.budget);
    assert_eq!(world.engine.spent(spec.budget), 0);
}

#[test]
fn probability_is_an_integer_percent_and_edits_take_effect_in_place() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target);
    for (percent, least, most) in [(0, 0, 0), (100, 500, 500), (30, 90, 210)] {
        world.arm(&[spec.clone().probability(percent)]);
        let failed = victim.ask("mount 500 1").failed;
        assert!((least..=most).contains(&failed), "{failed} of 500 at {percent}%");
    }
    assert!(world.counters(&spec).sampled_out >= 500 + 290);
}

#[test]
fn a_chain_without_frames_draws_for_every_hit() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).frames(&[]).probability(50).times(200);
    world.arm(std::slice::from_ref(&spec));
    let _ = victim.ask("mount 500 1");
    let counters = world.counters(&spec);
    assert_eq!(counters.injections, 200, "{counters:?}");
    let share = counters.sampled_out * 100 / counters.matches;
    assert!((40..=60).contains(&share), "{share}% turned down: {counters:?}");
}

#[test]
fn the_kernel_ends_a_probe_and_a_lease_by_itself() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let forever = world.engine.lease();
    for by_lease in [false, true] {
        let spec = failing_mounts(&target);
        world.arm(std::slice::from_ref(&spec));
        let end = BootNanos(boot_now().0 + 1_000_000_000);
        if by_lease {
            world.engine.set_lease(end);
        } else {
            world.arm(&[spec.clone().ends(end)]);
        }
        let tally = victim.ask("mount-for 2000");
        assert!(tally.failed > 0 && tally.ok > 0, "{tally:?}");
        assert!(tally.last_failure < end.0, "a mount begun after the end failed");
        assert!(world.counters(&spec).expired > 0);
        world.arm(&[]);
        world.engine.set_lease(forever);
    }
}
