//! Kprobes in place of trampolines, for gates and for frames: the same faults, and the same limits to them.

use faultline_node_agent::kernel::{FaultKind, Kernel, Kprobes, Mechanism};

use crate::world::{Vary, World, failing_mounts, programs_left};

const EIO: i32 = 5;
const ENOMEM: i32 = 12;

/// Every combination that there is.
const COMBINATIONS: [Kprobes; 4] = [
    Kprobes { gates: false, frames: false },
    Kprobes { gates: false, frames: true },
    Kprobes { gates: true, frames: false },
    Kprobes { gates: true, frames: true },
];

#[test]
fn every_fault_is_injected_by_every_combination_of_mechanisms_and_only_in_scope() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let (_, mut sibling) = world.container("sibling");
    for kprobes in COMBINATIONS {
        world.with_kprobes(kprobes);
        let slab = failing_mounts(&target).frames(&["__x64_sys_mount", "path_mount"]).times(15);
        let page = failing_mounts(&target).fault(FaultKind::Page).frames(&["__x64_sys_pwrite64"]).times(3);
        let bio = failing_mounts(&target).fault(FaultKind::Bio).frames(&["__x64_sys_pread64"]);
        world.arm(&[slab.clone(), page.clone(), bio.clone()]);
        let names: Vec<_> = world.engine.programs().into_iter().map(|program| program.name).collect();
        assert_eq!(names.iter().any(|name| name.starts_with("kprobe/should_")), kprobes.gates, "{names:?}");
        assert_eq!(names.iter().any(|name| name.starts_with("kretprobe/")), kprobes.frames, "{names:?}");
        for (order, failed, errno) in
            [("mount 20 1", 15, ENOMEM), ("pwrite 20", 3, ENOMEM), ("direct-read 20", 20, EIO)]
        {
            assert_eq!(sibling.ask(order).failed, 0, "{kprobes:?}: {order}");
            let tally = victim.ask(order);
            let counters = [&slab, &page, &bio].map(|spec| world.counters(spec));
            assert_eq!((tally.failed, tally.errno), (failed, errno), "{kprobes:?}: {order}: {counters:?}");
        }
        for (spec, injections) in [(&slab, 15), (&page, 3), (&bio, 20)] {
            let counters = world.counters(spec);
            assert_eq!(counters.injections, injections, "{kprobes:?}: {counters:?}");
            assert_eq!(counters.missed_returns, 0, "{kprobes:?}: {counters:?}");
        }
    }
    world.arm(&[]);
    assert_eq!(programs_left(), [""; 0]);
}

#[test]
fn the_preflight_names_the_mechanism_and_why_it_is_not_the_best() {
    let Some(mut world) = World::new() else { return };
    for (gates, told) in [(false, "fmod_ret"), (true, "kprobe override (as configured)")] {
        world.with_kprobes(Kprobes { gates, frames: false });
        let report = world.engine.preflight();
        for kind in FaultKind::ALL {
            let mechanism = report.fault(kind).unwrap().mechanism.as_ref().map(Mechanism::to_string);
            assert_eq!(mechanism.as_deref(), Ok(told), "{report:?}");
        }
    }
}
