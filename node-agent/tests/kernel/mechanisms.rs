//! Kprobes in place of trampolines, for gates and for frames: the same faults, and the same limits to them.

use faultline_node_agent::kernel::{FaultKind, Kernel, Kprobes, Mechanism, ProbeError};

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

#[test]
fn frames_by_kprobes_match_recursion_threads_and_predicates_as_trampolines_do() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    for kprobes in [COMBINATIONS[1], COMBINATIONS[3]] {
        world.with_kprobes(kprobes);
        for (frames, predicate, failed) in [
            (&["__x64_sys_mount", "path_mount"][..], "1", 40),
            (&["path_mount", "__x64_sys_mount"], "1", 0),
            (&["path_mount", "path_mount"], "1", 0),
            (&["path_mount"], "STRCMP(type_page, \"tmpfs\") && flags == 0", 40),
            (&["path_mount"], "STRCMP(type_page, \"ext4\")", 0),
            (&["path_mount"], "path->dentry->d_name.len > 6", 40),
        ] {
            let spec = failing_mounts(&target).frames(frames).when(predicate);
            world.arm(std::slice::from_ref(&spec));
            let tally = victim.ask("mount 10 4");
            let counters = world.counters(&spec);
            assert_eq!(tally.failed, failed, "{kprobes:?}: {frames:?} {predicate}: {counters:?}");
            assert_eq!(counters.injections, failed, "{kprobes:?}: {frames:?} {predicate}: {counters:?}");
        }
        let syscall = failing_mounts(&target)
            .when("flags == 0")
            .declared("const char *dev_name, const char *dir_name, const char *type, unsigned long flags");
        world.arm(std::slice::from_ref(&syscall));
        assert_eq!(victim.ask("mount 10 1").failed, 10, "{kprobes:?}");
    }
}

#[test]
fn the_outcome_names_each_function_with_its_mechanism() {
    let Some(mut world) = World::new() else { return };
    let (target, _victim) = world.container("target");
    world.with_kprobes(COMBINATIONS[1]);
    let outcome = world.engine.converge(&[failing_mounts(&target)]).remove(0);
    let points: Vec<_> = outcome.result.unwrap().points;
    let points: Vec<_> =
        points.iter().map(|point| format!("{} by {}", point.function, point.mechanism)).collect();
    assert_eq!(
        points,
        ["__x64_sys_mount by kprobe/kretprobe (as configured)", "should_failslab by fmod_ret"]
    );
}

#[test]
fn the_verifier_takes_the_programs_of_one_and_of_64_probes_by_kprobes() {
    let Some(mut world) = World::new() else { return };
    world.with_kprobes(COMBINATIONS[3]);
    let containers: Vec<_> = (0..4).map(|nth| world.container(&format!("c{nth}"))).collect();
    let with = |nth: usize| {
        failing_mounts(&containers[nth % 4].0)
            .frames(&["__x64_sys_mount", "path_mount"])
            .when(&format!("flags < {} && STRCMP(type_page, \"tmpfs\")", nth % 60 + 1))
    };
    for count in [1, 64] {
        world.arm(&(0..count).map(with).collect::<Vec<_>>());
        for program in world.engine.programs() {
            println!("{count:>3} {:>7} {}", program.verified, program.name);
            assert!(program.verified < 100_000, "{program:?}");
        }
    }
    world.arm(&[]);
    assert_eq!(programs_left(), [""; 0]);
}

#[test]
fn a_copy_that_the_compiler_made_is_a_frame_by_kprobes_beside_one_by_a_trampoline() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let copy = copy_of("shmem_get_folio_gfp");
    let spec = failing_mounts(&target).fault(FaultKind::Page).frames(&["__x64_sys_pwrite64", &copy]).times(3);
    let outcome = world.engine.converge(std::slice::from_ref(&spec)).remove(0);
    let points = outcome.result.unwrap().points;
    let mechanisms = points.iter().map(|point| point.mechanism.to_string()).collect::<Vec<_>>();
    let kprobes = "kprobe/kretprobe (fentry/fexit: the kernel's types do not describe it)";
    assert_eq!(mechanisms, ["fentry/fexit", kprobes, "fmod_ret"]);
    assert_eq!(victim.ask("pwrite 20").failed, 3, "{:?}", world.counters(&spec));

    let outcome = world.engine.converge(&[spec.clone().when("inode != 0")]).remove(0);
    let Err(ProbeError::Predicate { reason, .. }) = outcome.result else { panic!("{outcome:?}") };
    assert!(reason.contains("declare what it takes in `parameters`"), "{reason}");
    for (predicate, failed) in [("inode != 0", 4), ("inode == 0", 0)] {
        let declared = spec.clone().times(7).when(predicate).declared("struct inode *inode");
        world.arm(std::slice::from_ref(&declared));
        assert_eq!(victim.ask("pwrite 20").failed, failed, "{predicate}: {:?}", world.counters(&declared));
    }
}

/// What the compiler called its copy in this kernel.
fn copy_of(function: &str) -> String {
    let traced = std::fs::read_to_string("/sys/kernel/tracing/available_filter_functions").unwrap();
    let is_copy = |name: &&str| name.strip_prefix(function).is_some_and(|rest| rest.starts_with('.'));
    traced.lines().find(is_copy).unwrap().to_owned()
}

#[test]
fn a_function_without_an_ftrace_site_is_refused_with_the_reason() {
    let Some(mut world) = World::new() else { return };
    let (target, _victim) = world.container("target");
    for name in ["do_syscall_64", "asm_exc_page_fault"] {
        let outcome = world.engine.converge(&[failing_mounts(&target).frames(&[name])]).remove(0);
        let Err(ProbeError::NotAttachable { reason, .. }) = outcome.result else { panic!("{outcome:?}") };
        assert!(reason.contains("it has no ftrace site"), "{name}: {reason}");
    }
    world.arm(&[]);
    assert_eq!(programs_left(), [""; 0]);
}
