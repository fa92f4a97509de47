//! Coming and going: of probes, of the agent.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use faultline_node_agent::kernel::{
    BootNanos, BudgetKey, Engine, EngineConfig, FaultKind, Kernel, attached_programs,
};

use crate::victim::Victim;
use crate::world::{Vary, World, boot_now, failing_mounts, programs_left};

/// Where the second agent finds its pins and its target.
const AGENT: &str = "FAULTLINE_TEST_AGENT";

/// A tenth of what the verifier allows, and a bound on the time that arming takes.
const VERIFIED: u32 = 100_000;

#[test]
fn the_verifier_accepts_every_program_with_room_to_spare() {
    let Some(mut world) = World::new() else { return };
    let (target, _victim) = world.container("target");
    let specs = FaultKind::ALL.map(|fault| failing_mounts(&target).fault(fault));
    world.arm(&specs);
    for program in world.engine.programs() {
        println!("{:>7} {}", program.verified, program.name);
        assert!(program.verified < VERIFIED, "{program:?}");
    }
}

#[test]
fn the_verifier_accepts_the_whole_gate_for_one_experiment_and_for_sixty_four() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let mut scopes = vec![target];
    scopes.extend((1..4).map(|nth| world.cgroup(&format!("c{nth}"))));
    for count in [1, 64] {
        // Frames, predicates of frame and target, a probability and a budget, each in its own words; a program can
        // carry 63 predicates.
        let specs: Vec<_> = (0..count)
            .map(|nth| {
                let spec =
                    failing_mounts(&scopes[nth % scopes.len()]).frames(&["__x64_sys_mount", "path_mount"]);
                let spec = spec.when(&format!("flags != {}", 1 + nth.min(62)));
                let spec = spec.target_when(&format!("s->object_size != {}", 100_000 + nth.min(62)));
                spec.times(2).probability(100)
            })
            .collect();
        world.arm(&specs);
        for program in world.engine.programs() {
            println!("{count:>3} {:>7} {}", program.verified, program.name);
            assert!(program.verified < VERIFIED, "{program:?}");
        }
        let expected = 2 * specs.len().div_ceil(scopes.len());
        assert_eq!(victim.ask("mount 40 1").failed, u64::try_from(expected).unwrap());
    }
}

#[test]
fn converging_to_nothing_leaves_nothing_attached() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    world.arm(&[failing_mounts(&target)]);
    assert_eq!(attached_programs().unwrap().len(), 5, "gate, entry, exit, and two that follow cgroups");
    world.arm(&[]);
    assert_eq!(victim.ask("mount 20 1").failed, 0);
    assert_eq!(programs_left(), [""; 0]);
}

#[test]
fn after_a_probe_is_converged_away_it_injects_no_more_while_others_go_on() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let (other, mut bystander) = world.container("other");
    let (gone, stays) = (failing_mounts(&target), failing_mounts(&other));
    for _ in 0..3 {
        world.arm(&[gone.clone(), stays.clone()]);
        let going = victim.order("mount-for 1500");
        std::thread::sleep(Duration::from_millis(300));
        world.arm(std::slice::from_ref(&stays));
        let done = boot_now();
        let tally = going.tally();
        assert!(tally.failed > 0 && tally.ok > 0, "{tally:?}");
        assert!(tally.last_failure < done.0, "a mount begun after the converge failed");
        assert_eq!(bystander.ask("mount 5 1").failed, 5);
    }
}

#[test]
fn converging_again_to_the_same_set_changes_nothing() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    let programs = attached_programs().unwrap();
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(attached_programs().unwrap(), programs);
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    assert_eq!(world.counters(&spec).injections, 10);
}

#[test]
fn nothing_injects_before_the_first_lease() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    world.engine.set_lease(BootNanos(0));
    world.arm(&[failing_mounts(&target)]);
    assert_eq!(victim.ask("mount 5 1").failed, 0);
}

#[test]
fn a_killed_agent_injects_no_more_and_the_next_one_goes_on_with_what_is_left() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).times(20);
    let mut agent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::another_agent", "--nocapture"])
        .env(AGENT, format!("{} {}", world.config.pins.display(), target.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(agent.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("armed")));
    assert_eq!(victim.ask("mount 12 1").failed, 12);
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(victim.ask("mount 20 1").failed, 0);
    assert_eq!(world.engine.spent(AGENT_BUDGET), 12);
    world.arm(&[faultline_node_agent::kernel::ProbeSpec { budget: AGENT_BUDGET, ..spec }]);
    assert_eq!(victim.ask("mount 20 1").failed, 8);
}

/// Both agents must name the same budget.
const AGENT_BUDGET: BudgetKey = BudgetKey([0xa9; 16]);

/// The other agent: arms twenty failing mounts, says so, and waits to be killed.
#[test]
fn another_agent() {
    let Ok(orders) = std::env::var(AGENT) else { return };
    let (pins, target) = orders.split_once(' ').unwrap();
    let config = EngineConfig { pins: pins.into(), ..EngineConfig::default() };
    let mut engine = Engine::open(&config).unwrap();
    engine.set_lease(BootNanos(boot_now().0 + 600_000_000_000));
    let spec = failing_mounts(target.as_ref()).times(20);
    let spec = faultline_node_agent::kernel::ProbeSpec { budget: AGENT_BUDGET, ..spec };
    for outcome in engine.converge(&[spec]) {
        outcome.result.unwrap();
    }
    println!("armed");
    let _ = std::io::stdin().lines().next();
}

#[test]
fn a_container_whose_cgroup_is_removed_takes_its_membership_along() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    for round in 0..20 {
        let child = target.join(format!("child{round}"));
        std::fs::create_dir(&child).unwrap();
        std::fs::remove_dir(&child).unwrap();
    }
    assert_eq!(world.engine.members(), 1, "children that are gone are not members");
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    let another = Victim::start(&world.cgroup("another"));
    drop(another);
}
