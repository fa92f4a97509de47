//! What is out of scope stays untouched, and some things always are.

use std::fs;

use faultline_ebpf::btf::Btf;
use faultline_ebpf::facts::Facts;
use faultline_node_agent::kernel::{Engine, EngineConfig, FaultKind, Kernel, ProbeError, ProbeId, ProbeSpec};

use crate::victim::Victim;
use crate::world::{Vary, World, failing_mounts, mark};

const ENOMEM: i32 = 12;

#[test]
fn a_cgroup_made_later_is_in_scope_at_once_and_so_is_what_it_holds() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    let child = target.join("child/grandchild");
    fs::create_dir_all(&child).unwrap();
    victim.ask(&format!("move {}", child.display()));
    assert_eq!(victim.ask("mount 10 1").failed, 10);
    assert_eq!(world.engine.converge(&[spec])[0].result.as_ref().unwrap().cgroups, 3);
}

#[test]
fn a_child_of_a_container_that_left_the_scope_is_out_of_it() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let (other, mut bystander) = world.container("other");
    let mut spec = failing_mounts(&target);
    spec.scope.push(other);
    world.arm(std::slice::from_ref(&spec));
    let child = target.join("child");
    fs::create_dir(&child).unwrap();
    victim.ask(&format!("move {}", child.display()));
    assert_eq!((victim.ask("mount 5 1").failed, bystander.ask("mount 5 1").failed), (5, 5));
    spec.scope.remove(0);
    world.arm(&[spec]);
    assert_eq!((victim.ask("mount 5 1").failed, bystander.ask("mount 5 1").failed), (0, 5));
}

#[test]
fn a_task_that_moves_out_of_the_container_is_out_of_scope() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let elsewhere = world.cgroup("elsewhere");
    world.arm(&[failing_mounts(&target)]);
    assert_eq!(victim.ask("mount 5 1").failed, 5);
    victim.ask(&format!("move {}", elsewhere.display()));
    assert_eq!(victim.ask("mount 5 1").failed, 0);
}

#[test]
fn an_allocation_that_must_not_fail_does_not() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    // Buffer heads for a page that is about to be written are always asked for with __GFP_NOFAIL, and used
    // unseen: a kernel that gets none dies. What the memory controller keeps beside them may fail, and does.
    let spec = failing_mounts(&target).frames(&["__x64_sys_pwrite64", "create_empty_buffers"]);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("buffered-write 10").ok, 10);
    let counters = world.counters(&spec);
    assert!(counters.guarded.nofail >= 10, "{counters:?}");
}

#[test]
fn a_page_that_must_not_fail_does_not_beside_others_that_do() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    // What a file system reads of its disk goes to pages that are asked for with __GFP_NOFAIL, and used unseen. They
    // are gone when the disk is no longer mounted, so that the next mount asks again.
    let page = failing_mounts(&target).fault(FaultKind::Page);
    let must_not = page.clone().frames(&[]).target_when(&nofail("!="));
    let may =
        ProbeSpec { id: ProbeId(mark()), ..page }.frames(&["__x64_sys_pwrite64"]).target_when(&nofail("=="));
    world.arm(&[must_not.clone(), may.clone()]);
    assert_eq!(victim.ask("mount-disk 5").ok, 5);
    assert_eq!(victim.ask("pwrite 5").failed, 5);
    let (spared, hit) = (world.counters(&must_not), world.counters(&may));
    assert!(spared.guarded.nofail >= 5 && spared.rejected > 0, "{spared:?}");
    assert_eq!((spared.injections, hit.injections), (0, 5), "{spared:?} {hit:?}");
}

/// Whether a page is asked for with __GFP_NOFAIL: the bit is another one on each kernel.
fn nofail(comparison: &str) -> String {
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let bit = Facts::from_btf(&btf).unwrap().gfp_nofail;
    format!("(gfp_mask & {bit}) {comparison} 0")
}

#[test]
fn a_worker_of_a_targets_ring_is_in_scope_and_no_kernel_thread() {
    let Some(mut world) = World::with_rings() else { return };
    let (target, mut victim) = world.container("target");
    let (_, mut sibling) = world.container("sibling");
    // Nobody but workers calls the first.
    let spec = failing_mounts(&target).frames(&["io_wq_submit_work", "alloc_empty_file"]);
    world.arm(std::slice::from_ref(&spec));
    let (hit, spared) =
        (victim.ask("open-elsewhere /dev/null 20"), sibling.ask("open-elsewhere /dev/null 20"));
    assert_eq!((hit.failed, hit.errno, spared.ok), (20, ENOMEM, 20));
    assert_eq!(victim.ask("open /dev/null 5").ok, 5);
    let counters = world.counters(&spec);
    assert_eq!((counters.injections, counters.guarded.protected), (20, 0), "{counters:?}");
}

#[test]
fn a_protected_process_is_spared_inside_the_container() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let mut runtime = Victim::start(&target);
    world.config = EngineConfig { protected: vec![1, runtime.child.id()], ..world.config.clone() };
    world.restart();
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    assert_eq!((victim.ask("mount 5 1").failed, runtime.ask("mount 5 1").failed), (5, 0));
    assert!(world.counters(&spec).guarded.protected >= 5);
}

#[test]
fn the_root_the_agents_own_cgroup_and_plain_directories_are_refused() {
    let Some(mut world) = World::new() else { return };
    for (scope, why) in [("/sys/fs/cgroup", "root"), ("/tmp", "not in the cgroup v2 tree")] {
        let outcome = world.engine.converge(&[failing_mounts(scope.as_ref())]).remove(0);
        let Err(ProbeError::Scope { why: said, .. }) = &outcome.result else { panic!("{outcome:?}") };
        assert!(said.contains(why), "{said}");
    }
    let gone = world.engine.converge(&[failing_mounts("/sys/fs/cgroup/gone".as_ref())]).remove(0);
    assert_eq!(gone.result, Err(ProbeError::ScopeGone));
}

#[test]
fn probes_of_two_containers_and_two_faults_do_not_touch_each_other() {
    let Some(mut world) = World::new() else { return };
    let (first, mut one) = world.container("one");
    let (second, mut two) = world.container("two");
    let mounts = failing_mounts(&first);
    let reads = failing_mounts(&second).fault(FaultKind::Bio).frames(&["__x64_sys_pread64"]);
    world.arm(&[mounts.clone(), reads.clone()]);
    assert_eq!((one.ask("mount 10 1").failed, one.ask("direct-read 10").failed), (10, 0));
    assert_eq!((two.ask("mount 10 1").failed, two.ask("direct-read 10").failed), (0, 10));
    assert_eq!((world.counters(&mounts).injections, world.counters(&reads).injections), (10, 10));
}

#[test]
fn a_seventeenth_probe_in_one_container_is_refused_and_sixteen_work() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let specs: Vec<_> = (0..17).map(|_| failing_mounts(&target).times(2)).collect();
    let outcomes = world.engine.converge(&specs);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.result.is_ok()).count(), 16);
    assert!(matches!(outcomes[16].result, Err(ProbeError::CrowdedCgroup { max: 16, .. })));
    assert_eq!(victim.ask("mount 100 1").failed, 32, "each spends its own budget");
}

#[test]
fn an_engine_needs_a_bpf_file_system_for_its_budgets() {
    let Some(_world) = World::new() else { return };
    let config = EngineConfig { pins: "/tmp/no-bpffs".into(), ..EngineConfig::default() };
    let error = Engine::open(&config).unwrap_err();
    assert!(error.to_string().contains("mount -t bpf bpf"), "{error}");
}
