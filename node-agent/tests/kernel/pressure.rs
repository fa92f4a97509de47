//! Tasks at moments at which failing them would harm everybody: out of memory, reclaiming, exiting, in an interrupt.
//!
//! An [`Allocation`] makes them allocate at exactly that moment.

use std::fs::{self, read_to_string};
use std::path::Path;

use faultline_ebpf::btf::Btf;
use faultline_node_agent::kernel::{Allocation, EngineConfig, FaultKind};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::victim::Victim;
use crate::world::{Vary, World, failing_mounts};

fn allocate_at(function: &str) -> Allocation {
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    Allocation::at(function, btf.functions(function).next().unwrap()).unwrap()
}

/// Lets the memory of a cgroup be bounded.
fn bound_memory(cgroup: &Path, limit: &str) {
    for above in ["/sys/fs/cgroup".as_ref(), cgroup.parent().unwrap()] {
        fs::write(above.join("cgroup.subtree_control"), "+memory").unwrap();
    }
    fs::write(cgroup.join("memory.max"), limit).unwrap();
}

/// Has a victim take more memory than its cgroup has, until it is killed.
fn kill_by_oom(cgroup: &Path, mut victim: Victim) {
    victim.order("hog 256");
    let status = victim.child.wait().unwrap();
    assert!(!status.success());
    let events = read_to_string(cgroup.join("memory.events")).unwrap();
    assert!(!events.contains("oom_kill 0\n"), "{events}");
}

#[test]
fn a_process_that_the_oom_killer_chose_is_injected_no_more_and_a_killed_one_is_until_it_exits() {
    let Some(mut world) = World::new() else { return };
    let _before_the_exit = allocate_at("do_group_exit");
    let _in_the_exit = allocate_at("exit_files");
    let (target, mut killed) = world.container("target");
    bound_memory(&target, "64M");
    let chosen = Victim::start(&target);
    let spec = failing_mounts(&target).frames(&["get_signal"]);
    world.arm(std::slice::from_ref(&spec));
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    let before = world.counters(&spec);
    assert!(before.injections > 0 && before.guarded.exiting > 0 && before.guarded.oom == 0, "{before:?}");
    kill_by_oom(&target, chosen);
    let after = world.counters(&spec);
    assert!(after.guarded.oom > 0, "{after:?}");
    assert_eq!(after.injections, before.injections, "{after:?}");
}

#[test]
fn whoever_runs_the_oom_killer_is_not_injected() {
    let Some(mut world) = World::new() else { return };
    let _while_it_is_held = allocate_at("oom_kill_process");
    let (target, victim) = world.container("target");
    bound_memory(&target, "64M");
    let spec = failing_mounts(&target).frames(&["out_of_memory"]);
    world.arm(std::slice::from_ref(&spec));
    kill_by_oom(&target, victim);
    let counters = world.counters(&spec);
    assert!(counters.guarded.oom_killer > 0 && counters.injections == 0, "{counters:?}");
}

#[test]
fn a_task_that_reclaims_memory_is_not_injected() {
    let Some(mut world) = World::new() else { return };
    let _in_reclaim = allocate_at("do_try_to_free_pages");
    let (target, mut victim) = world.container("target");
    bound_memory(&target, "max");
    let spec = failing_mounts(&target).frames(&["try_to_free_mem_cgroup_pages"]);
    world.arm(std::slice::from_ref(&spec));
    victim.ask(&format!("reclaim {}/memory.reclaim", target.display()));
    let counters = world.counters(&spec);
    assert!(counters.guarded.reclaim > 0 && counters.injections == 0, "{counters:?}");
}

#[test]
fn a_page_fault_that_turns_to_reclaim_is_not_injected_while_it_reclaims() {
    let Some(mut world) = World::new() else { return };
    let _in_reclaim = allocate_at("do_try_to_free_pages");
    world.config = EngineConfig { hottest: None, ..world.config.clone() };
    world.restart();
    let (target, victim) = world.container("target");
    bound_memory(&target, "64M");
    let spec = failing_mounts(&target).frames(&["handle_mm_fault", "try_to_free_mem_cgroup_pages"]);
    world.arm(std::slice::from_ref(&spec));
    kill_by_oom(&target, victim);
    let counters = world.counters(&spec);
    assert!(counters.guarded.reclaim > 0 && counters.injections == 0, "{counters:?}");
}

/// On kernels before 6.4 it comes from the slab allocator there and then, past the gate.
#[test]
fn what_our_own_programs_allocate_for_a_target_is_not_injected() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    // The first match of a thread makes its state; and whatever the thread allocates may fail.
    let first = failing_mounts(&target).frames(&["__x64_sys_mount", "path_mount"]).probability(0);
    let any = failing_mounts(&target).frames(&[]).probability(0);
    world.arm(&[first, any.clone()]);
    let before = world.counters(&any).guarded.own;
    assert_eq!(victim.ask("mount 1 3").ok, 3);
    let own = world.counters(&any).guarded.own - before;
    let release = read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(own > 0, release.starts_with("6.1."), "{own} on {release}");
}

#[test]
fn what_interrupts_allocate_on_a_targets_cpu_is_not_its_own() {
    let Some(mut world) = World::new() else { return };
    let _in_hardirqs = allocate_at("hrtimer_interrupt");
    let (target, mut victim) = world.container("target");
    // The other end of a connection over loopback is made in a softirq that runs within connect().
    let soft = failing_mounts(&target).frames(&["__x64_sys_connect"]).target_when("STRCMP(s->name, \"TCP\")");
    let hard = failing_mounts(&target).frames(&["urandom_read_iter"]);
    world.arm(&[soft.clone(), hard.clone()]);
    let connected = victim.ask("connect 20");
    assert_eq!((connected.ok, connected.failed), (20, 0));
    assert_eq!(victim.ask("read-random 30").ok, 30);
    for spec in [&soft, &hard] {
        let counters = world.counters(spec);
        assert!(counters.hits > 0 && counters.matches == 0, "{counters:?}");
    }
}

#[test]
fn a_kernel_thread_in_the_container_is_spared_and_writeback_is_out_of_scope() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let disk = Path::new("/tmp/pressure-disk");
    fs::create_dir_all(disk).unwrap();
    mount("/dev/vda", disk, "ext4", MountFlags::empty(), None).unwrap();
    let spec = failing_mounts(&target).fault(FaultKind::Bio).frames(&[]);
    world.arm(std::slice::from_ref(&spec));
    let file = disk.join("dirty");
    // It has a place on the disk, and what leads there is in memory.
    fs::write(&file, vec![1; 1 << 20]).unwrap();
    rustix::fs::sync();
    victim.ask(&format!("dirty {}", file.display()));
    let before = world.counters(&spec);
    rustix::fs::sync();
    assert_eq!(world.counters(&spec), before, "writeback runs in a thread of the kernel's");
    fs::write(target.join("cgroup.procs"), journal().to_string()).unwrap();
    fs::write(&file, "again").unwrap();
    let synced = fs::File::open(&file).unwrap().sync_all();
    let counters = world.counters(&spec);
    fs::write("/sys/fs/cgroup/cgroup.procs", journal().to_string()).unwrap();
    fs::remove_file(&file).unwrap();
    unmount(disk, UnmountFlags::empty()).unwrap();
    assert!(counters.guarded.protected > 0, "{counters:?}");
    assert!(synced.is_ok() && counters.injections == before.injections, "{synced:?} {counters:?}");
}

/// The thread that writes the sample disk's journal.
fn journal() -> u32 {
    let named =
        |id: &u32| read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.starts_with("jbd2/vda"));
    let ids = fs::read_dir("/proc").unwrap().flatten();
    ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(named).unwrap()
}
