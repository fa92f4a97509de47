//! Disks, the network, CPUs, memory, and counting instructions.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use faultline_lab::{Cache, Disk, Exec, KernelId, Machine, PortForward, Progress, disk};

use super::{LIMIT, boot_on, lab, shell, small, until};

#[test]
fn the_sample_disk_is_an_ext4_that_forgets_what_was_written() {
    for id in [KernelId::V6_1, KernelId::V6_12, KernelId::Stock] {
        let Some(_) = lab(&id) else { return };
        let cache = Cache::from_env();
        let image = disk::ext4(&cache, disk::SAMPLE_MIB, &Progress::silent()).unwrap();
        let machine = Machine { disks: vec![Disk { image, persistent: false }], ..small() };
        for _ in 0..2 {
            let Some(vm) = boot_on(&id, &machine) else { return };
            let script =
                "ln -s vda /dev/sdc; mount -t ext4 /dev/sdc /mnt && ls /mnt && touch /mnt/new && umount /mnt";
            assert_eq!(shell(&vm, script).text(), "lost+found", "{id}");
            vm.shutdown().unwrap();
        }
    }
}

#[test]
fn a_persistent_disk_keeps_what_was_written() {
    let Some(_) = lab(&KernelId::V6_1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let image = disk::ext4(&Cache::at(folder.path()), 16, &Progress::silent()).unwrap();
    let machine = Machine { disks: vec![Disk { image, persistent: true }], ..small() };
    let vm = boot_on(&KernelId::V6_1, &machine).unwrap();
    assert!(shell(&vm, "mount -t ext4 /dev/vda /mnt && echo kept > /mnt/word").success());
    vm.shutdown().unwrap();
    let vm = boot_on(&KernelId::V6_1, &machine).unwrap();
    assert_eq!(shell(&vm, "mount -t ext4 /dev/vda /mnt && cat /mnt/word").text(), "kept");
}

#[test]
fn host_and_guest_reach_each_other() {
    for id in [KernelId::V6_1, KernelId::V6_12, KernelId::Stock] {
        let machine = Machine { forwards: vec![PortForward { host: 0, guest: 7000 }], ..small() };
        let Some(vm) = boot_on(&id, &machine) else { return };
        let listener = vm.exec(Exec::shell("nc -l -p 7000")).unwrap();
        until(&vm, "netstat -ltn | grep -q :7000");
        let port = vm.host_port(7000).unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap().write_all(b"from the host").unwrap();
        assert_eq!(listener.output(Some(LIMIT)).unwrap().text(), "from the host", "{id}");

        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        let client = vm.exec(Exec::shell(&format!("echo from the guest | nc 10.0.2.2 {port}"))).unwrap();
        let mut received = String::new();
        server.accept().unwrap().0.read_to_string(&mut received).unwrap();
        assert_eq!(received, "from the guest\n", "{id}");
        assert!(client.output(Some(LIMIT)).unwrap().success());
    }
}

#[test]
fn cpus_memory_and_the_command_line_are_as_asked() {
    let machine = Machine { cpus: 4, memory_mib: 700, append: "preempt=full".into(), ..Machine::default() };
    let Some(vm) = boot_on(&KernelId::V6_12, &machine) else { return };
    assert_eq!(shell(&vm, "nproc").text(), "4");
    let kib: u32 = shell(&vm, "awk '/MemTotal/ { print $2 }' /proc/meminfo").text().parse().unwrap();
    assert!((600 * 1024..700 * 1024).contains(&kib), "{kib}");
    assert_eq!(shell(&vm, "cat /sys/kernel/debug/sched/preempt").text(), "none voluntary (full)");
}

#[test]
fn the_same_work_counts_the_same_instructions() {
    let Some(vm) = boot_on(&KernelId::V6_1, &Machine { icount: true, ..small() }) else { return };
    let script = "now() { awk '/^now at/ { print $3; exit }' /proc/timer_list; }
        work() { a=$(now); awk 'BEGIN { for (i = 0; i < 100000; i++) x += i }'; b=$(now); echo $((b - a)); }
        work > /dev/null; work; work; nproc";
    let output = shell(&vm, script).text();
    let counts: Vec<f64> = output.lines().map(|line| line.parse().unwrap()).collect();
    let [first, second, cpus] = counts[..] else { panic!("{output}") };
    assert!((first / second - 1.0).abs() < 0.02, "{output}");
    assert!(first > 10_000_000.0 && cpus == 1.0, "{output}");
}

#[test]
fn a_container_runtime_can_pivot_its_root() {
    let Some(vm) = boot_on(&KernelId::V6_1, &small()) else { return };
    let script =
        "mkdir /new && mount -t tmpfs new /new && mkdir /new/old && unshare -m pivot_root /new /new/old";
    let output = shell(&vm, script);
    assert!(output.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn controllers_are_on_for_every_new_cgroup() {
    let Some(vm) = boot_on(&KernelId::V6_12, &small()) else { return };
    let files = shell(
        &vm,
        "mkdir /sys/fs/cgroup/a && cd /sys/fs/cgroup/a && ls cpu.max memory.max pids.max cgroup.freeze",
    );
    assert!(files.success(), "{}", String::from_utf8_lossy(&files.stderr));
    assert!(fs::metadata(vm.serial_log()).is_ok());
}
