//! Predicates: what must hold at the entry of a frame, or of the target, for an activation to count.

use std::time::Duration;

use faultline_node_agent::kernel::{FaultKind, Kernel, ProbeError, ProbeSpec};

use crate::world::{Vary, World, failing_mounts};

const MOUNT: &str = "const char *dev_name, const char *dir_name, const char *type, unsigned long flags";

#[test]
fn the_documented_example_fails_the_entry_of_that_name_and_no_other() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let (_, mut neighbour) = world.container("neighbour");
    let spec = failing_mounts(&target)
        .frames(&["d_alloc_parallel"])
        .when("STRNCMP(name->name, \"bananas\", 8)")
        .declared("struct dentry *parent, const struct qstr *name");
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("look bananas 20").failed, 20);
    assert_eq!(victim.ask("look banana 20").failed, 0);
    assert_eq!(victim.ask("look bananas2 20").failed, 0);
    assert_eq!(neighbour.ask("look bananas 20").failed, 0);
    let counters = world.counters(&spec);
    assert_eq!((counters.injections, counters.unread), (20, 0), "{counters:?}");
    assert!(counters.rejected >= 40, "{counters:?}");
}

#[test]
fn a_system_calls_arguments_are_read_where_its_caller_has_them() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    for (predicate, failed) in [
        ("STRCMP(type, \"tmpfs\")", 10),
        ("STRCMP(type, \"ext4\")", 0),
        ("!STRCMP(type, \"ext4\") && STRNCMP(dir_name, \"/tmp/victim-\", 12)", 10),
        ("flags == 0", 10),
        ("flags & 1", 0),
        ("*type == 't' && type[4] == 's'", 10),
    ] {
        world.arm(&[failing_mounts(&target).when(predicate).declared(MOUNT)]);
        assert_eq!(victim.ask("mount 10 1").failed, failed, "{predicate}");
    }
}

#[test]
fn a_kernel_functions_arguments_and_what_they_point_to_are_read() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    for (predicate, failed) in [
        ("STRCMP(type_page, \"tmpfs\")", 10),
        ("flags != 0", 0),
        ("path->dentry->d_name.len == 0", 0),
        ("path->dentry->d_name.len > 6 && STRNCMP(path->dentry->d_name.name, \"victim-\", 7)", 10),
        ("path->dentry->d_sb->s_root != 0 && path->mnt", 10),
        ("STRCMP(current->comm, \"nobody\") || current->pid > 0", 10),
        ("sizeof(*path) == 16 && sizeof(struct path) == 2 * sizeof(path)", 10),
    ] {
        world.arm(&[failing_mounts(&target).frames(&["path_mount"]).when(predicate)]);
        let tally = victim.ask("mount 10 1");
        assert_eq!(tally.failed, failed, "{predicate}");
    }
}

#[test]
fn the_targets_own_predicate_decides_about_each_hit() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    for (predicate, fails) in
        [("s->object_size > 0", true), ("s->object_size > 1 << 20", false), ("gfpflags == 0", false)]
    {
        let spec = failing_mounts(&target).target_when(predicate);
        world.arm(std::slice::from_ref(&spec));
        assert_eq!(victim.ask("mount 10 1").failed, if fails { 10 } else { 0 }, "{predicate}");
        let counters = world.counters(&spec);
        assert_eq!(counters.matches > 0, fails, "{predicate}: {counters:?}");
        assert_eq!(counters.rejected > 0, !fails, "{predicate}: {counters:?}");
    }
    // Without frames, for every hit of a container.
    let large = failing_mounts(&target).frames(&[]).target_when("s->object_size > 1 << 20");
    world.arm(std::slice::from_ref(&large));
    assert_eq!(victim.ask("mount 10 1").failed, 0);
    assert!(world.counters(&large).rejected >= 10);
}

#[test]
fn block_requests_and_pages_have_predicates_too() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let reads = |predicate: &str| {
        let spec = failing_mounts(&target).fault(FaultKind::Bio).frames(&["__x64_sys_pread64"]);
        spec.target_when(predicate)
    };
    world.arm(&[reads("bio->bi_iter.bi_sector == 0 && MAJOR(bio->bi_bdev->bd_dev) > 0")]);
    assert_eq!(victim.ask("direct-read 10").failed, 10);
    world.arm(&[reads("bio->bi_iter.bi_sector > 0")]);
    assert_eq!(victim.ask("direct-read 10").failed, 0);
    let pages = failing_mounts(&target).fault(FaultKind::Page).frames(&["__x64_sys_pwrite64"]);
    world.arm(&[pages.target_when("order == 3")]);
    assert_eq!(victim.ask("pwrite 10").failed, 0);
}

#[test]
fn what_cannot_be_read_does_not_hold_and_is_counted() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    for predicate in ["!STRCMP((char *)4096, \"x\")", "*(int *)0 == 0", "((struct path *)8)->mnt == 0 || 1"] {
        let spec = failing_mounts(&target).frames(&["path_mount"]).when(predicate);
        world.arm(std::slice::from_ref(&spec));
        assert_eq!(victim.ask("mount 10 1").failed, 0, "{predicate}");
        let counters = world.counters(&spec);
        assert_eq!((counters.unread, counters.rejected), (10, 0), "{predicate}: {counters:?}");
    }
}

#[test]
fn a_predicate_that_does_not_fit_the_kernel_says_where_and_leaves_its_neighbours_alone() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let good = failing_mounts(&target).frames(&["path_mount"]).when("flags == 0");
    for (predicate, told) in [
        (
            "path->dentri",
            "at character 7: struct path has no member `dentri` in this kernel (did you mean `dentry`?)",
        ),
        ("flag == 0", "at character 1: nothing here is called `flag` (did you mean `flags`?)"),
        ("flags ==", "at character 9"),
    ] {
        let bad = failing_mounts(&target).frames(&["path_mount"]).when(predicate);
        let outcomes = world.engine.converge(&[bad, good.clone()]);
        let Err(ProbeError::Predicate { text, reason }) = &outcomes[0].result else {
            panic!("{predicate}: {outcomes:?}")
        };
        assert_eq!(text, predicate);
        assert!(reason.starts_with(told), "{reason}");
        assert!(outcomes[1].result.is_ok());
    }
    world.arm(std::slice::from_ref(&good));
    assert_eq!(victim.ask("mount 10 1").failed, 10);
}

#[test]
fn predicates_that_come_and_go_leave_probes_under_way_alone() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let (other, _bystander) = world.container("other");
    let stays = failing_mounts(&target).frames(&["path_mount"]).when("flags == 0");
    world.arm(std::slice::from_ref(&stays));
    let going = victim.order("mount-for 3000");
    for round in 0..8 {
        let comes = failing_mounts(&other).frames(&["path_mount"]).when(&format!("flags == {round}"));
        world.arm(&[stays.clone(), comes]);
        std::thread::sleep(Duration::from_millis(100));
        world.arm(std::slice::from_ref(&stays));
    }
    let tally = going.tally();
    // At the moment in which one program takes over from another, an entry may pass both.
    assert!(tally.failed > 50 && tally.ok <= 8 * 2, "{tally:?}");
    let counters = world.counters(&stays);
    assert_eq!(counters.injections, tally.failed, "{counters:?}");
    // An activation under way when programs come and go leaves past its exit program, and its record is found out.
    assert!(counters.missed_returns <= 8 * 4, "{counters:?}");
}

#[test]
fn a_function_carries_as_many_predicates_as_it_can_and_says_when_it_is_full() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let containers: Vec<_> = (0..4).map(|nth| world.container(&format!("c{nth}")).0).collect();
    let with = |nth: usize| {
        let scope = if nth == 0 { &target } else { &containers[nth % 4] };
        failing_mounts(scope)
            .frames(&["path_mount"])
            .when(&format!("flags < {} && STRCMP(type_page, \"tmpfs\")", nth + 1))
    };
    let specs: Vec<_> = (0..63).map(with).collect();
    world.arm(&specs);
    assert_eq!(victim.ask("mount 10 1").failed, 10);
    for program in world.engine.programs() {
        println!("{:>7} {}", program.verified, program.name);
    }
    let outcomes = world.engine.converge(&(0..64).map(with).collect::<Vec<_>>());
    let full = |outcome: &faultline_node_agent::kernel::ProbeOutcome| {
        matches!(outcome.result, Err(ProbeError::Full { max: 63, .. }))
    };
    assert_eq!(outcomes.iter().filter(|outcome| full(outcome)).count(), 1, "{outcomes:?}");
}

#[test]
fn all_predicates_of_a_function_are_edited_at_once_however_many_and_counts_go_on() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let others: Vec<_> = (1..4).map(|nth| world.cgroup(&format!("c{nth}"))).collect();
    let before: Vec<_> = (0..60)
        .map(|nth| {
            let scope = if nth % 4 == 0 { &target } else { &others[nth % 4 - 1] };
            failing_mounts(scope).frames(&["path_mount"]).when(&format!("flags < {}", nth + 1))
        })
        .collect();
    let edited = |spec: &ProbeSpec| {
        let text = format!("STRCMP(type_page, \"tmpfs\") && {} > 0", spec.id.0);
        spec.clone().when(&text)
    };
    let after: Vec<_> = before.iter().map(edited).collect();
    for specs in [&before, &after, &before] {
        world.arm(specs);
        assert_eq!(victim.ask("mount 10 1").failed, 10);
    }
    let counted: u64 = world.engine.counters().values().map(|counters| counters.injections).sum();
    assert_eq!(counted, 30);
}
