//! Each fault, on a real system call.

use faultline_node_agent::kernel::{FaultKind, Kernel, ProbeError, Unusable};

use crate::world::{Vary, World, failing_mounts, programs_left};

const EIO: i32 = 5;
const ENOMEM: i32 = 12;

#[test]
fn a_slab_fault_fails_the_mounts_of_one_container_and_not_of_its_sibling() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let (_, mut sibling) = world.container("sibling");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    let (hit, spared) = (victim.ask("mount 50 1"), sibling.ask("mount 50 1"));
    assert_eq!((hit.ok, hit.failed, hit.errno), (0, 50, ENOMEM));
    assert_eq!((spared.ok, spared.failed), (50, 0));
    let counters = world.counters(&spec);
    assert_eq!(counters.injections, 50, "{counters:?}");
    assert_eq!(counters.missed_returns, 0, "{counters:?}");
    assert_eq!(world.engine.spent(spec.budget), 50);
}

#[test]
fn a_page_fault_fails_a_write() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).fault(FaultKind::Page).frames(&["__x64_sys_pwrite64"]).times(3);
    world.arm(std::slice::from_ref(&spec));
    let tally = victim.ask("pwrite 20");
    assert_eq!((tally.ok, tally.failed, tally.errno), (17, 3, ENOMEM));
    assert_eq!(world.counters(&spec).injections, 3);
}

#[test]
fn a_bio_fault_fails_a_direct_read() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).fault(FaultKind::Bio).frames(&["__x64_sys_pread64"]);
    world.arm(std::slice::from_ref(&spec));
    let tally = victim.ask("direct-read 20");
    assert_eq!((tally.failed, tally.errno), (20, EIO));
    assert_eq!(world.counters(&spec).injections, 20);
    world.arm(&[]);
    assert_eq!(victim.ask("direct-read 20").ok, 20);
}

#[test]
fn a_chain_without_frames_fails_whatever_the_container_allocates_next() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).frames(&[]).times(5);
    world.arm(std::slice::from_ref(&spec));
    let tally = victim.ask("mount 20 1");
    assert_eq!(world.counters(&spec).injections, 5);
    assert!(tally.failed <= 5, "{tally:?}");
    assert_eq!(world.engine.spent(spec.budget), 5);
}

#[test]
fn page_faults_up_to_a_budget_of_three_leave_the_victim_alive() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target).fault(FaultKind::Page).frames(&[]).times(3);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("touch 4").ok, 4);
    assert_eq!(world.counters(&spec).injections, 3);
}

#[test]
fn a_kernel_that_cannot_inject_says_why_and_attaches_nothing() {
    let Some(mut world) = World::stock() else { return };
    let report = world.engine.preflight();
    println!("{report:#?}");
    let reason = |kind| report.fault(kind).unwrap().mechanism.clone().unwrap_err();
    let Unusable::NotInjectable { option } = reason(FaultKind::Slab) else { panic!("{report:?}") };
    assert!(option.starts_with("CONFIG_FUNCTION_ERROR_INJECTION is"), "{option}");
    assert!(matches!(reason(FaultKind::Bio), Unusable::Clone { .. } | Unusable::NotInjectable { .. }));
    let target = world.cgroup("target");
    for kind in FaultKind::ALL {
        let outcome = world.engine.converge(&[failing_mounts(&target).fault(kind)]).remove(0);
        assert!(matches!(outcome.result, Err(ProbeError::Fault { .. })), "{outcome:?}");
    }
    assert_eq!(programs_left(), [""; 0]);
}
