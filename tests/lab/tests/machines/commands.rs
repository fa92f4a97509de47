//! Commands in a machine: how they end, their streams, many at once.

use std::io::{Read, Write};
use std::time::Duration;

use faultline_lab::{Exec, Exit, KernelId, VmError, WindowSize};

use super::{LIMIT, boot, lab, shell, small, until};

#[test]
fn every_kernel_runs_commands_and_tells_how_they_end() {
    let kernels = [
        (KernelId::V6_1, "6.1."),
        (KernelId::V6_12, "6.12."),
        (KernelId::NoFail, "6.12."),
        (KernelId::Stock, "6.1.0-"),
    ];
    for (id, release) in kernels {
        let Some(vm) = boot(&id) else { return };
        assert!(vm.release().starts_with(release), "{id} is {}", vm.release());
        let output = shell(&vm, "uname -r; echo problem >&2; exit 7");
        assert_eq!(output.text(), vm.release());
        assert_eq!(output.stderr, b"problem\n");
        assert_eq!(output.exit, Exit::Code(7));
        assert_eq!(shell(&vm, "kill -9 $$").exit, Exit::Signal(9));
        let missing = vm.run(Exec::new(["no-such-command"]), LIMIT);
        assert!(matches!(missing, Err(VmError::NotStarted(_))), "{missing:?}");
        vm.shutdown().unwrap();
    }
}

#[test]
fn the_built_kernels_inject_and_the_stock_kernel_does_not() {
    for (id, injects) in [(KernelId::V6_1, true), (KernelId::V6_12, true), (KernelId::Stock, false)] {
        let Some(kernel) = lab(&id) else { return };
        let (vm, folder) = (small().boot(&kernel).unwrap(), tempfile::tempdir().unwrap());
        let list = shell(&vm, "grep -w should_failslab /sys/kernel/debug/error_injection/list");
        assert_eq!(list.success(), injects, "{id}: {}", list.text());
        let ready =
            shell(&vm, "test -f /sys/kernel/btf/vmlinux && mount | grep -c -E '^(bpf|tracefs|cgroup2) '");
        assert_eq!(ready.text(), "3", "{id}");
        if let Some(btf) = &kernel.btf {
            let copy = folder.path().join("btf");
            vm.get("/sys/kernel/btf/vmlinux", &copy).unwrap();
            assert!(std::fs::read(btf).unwrap() == std::fs::read(copy).unwrap(), "{id}: another BTF");
        }
    }
}

#[test]
fn several_commands_run_at_once_each_with_its_own_streams() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let mut echo = vm.exec(Exec::new(["cat"])).unwrap();
    let sleeper = vm.exec(Exec::new(["sleep", "1000"])).unwrap();
    let (mut to, mut from) = (echo.stdin.take().unwrap(), echo.stdout.take().unwrap());
    for word in ["first", "again"] {
        assert_eq!(shell(&vm, &format!("echo {word}")).text(), word);
        to.write_all(word.as_bytes()).unwrap();
        let mut back = [0; 5];
        from.read_exact(&mut back).unwrap();
        assert_eq!(back, *word.as_bytes());
    }
    drop(to);
    assert_eq!(echo.wait(Some(LIMIT)).unwrap(), Exit::Code(0));
    sleeper.signal(15).unwrap();
    assert_eq!(sleeper.wait(Some(LIMIT)).unwrap(), Exit::Signal(15));
}

#[test]
fn a_signal_reaches_the_children_of_a_command_too() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let process = vm.exec(Exec::shell("sleep 4242 & echo started; wait")).unwrap();
    until(&vm, "ps | grep -q '[s]leep 4242'");
    process.signal(9).unwrap();
    assert_eq!(process.output(Some(LIMIT)).unwrap().text(), "started");
    until(&vm, "! ps | grep -q '[s]leep 4242'");
}

#[test]
fn output_that_nobody_reads_holds_up_no_other_command() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let unread = vm.exec(Exec::shell("dd if=/dev/zero bs=1M count=4 2>/dev/null")).unwrap();
    let megabytes = vm.run(Exec::shell("dd if=/dev/zero bs=1M count=4 2>/dev/null"), LIMIT).unwrap();
    assert_eq!(megabytes.stdout.len(), 4 << 20);
    assert_eq!(unread.try_wait(Duration::from_millis(100)).unwrap(), None);
    assert_eq!(unread.output(Some(LIMIT)).unwrap().stdout.len(), 4 << 20);
}

#[test]
fn a_command_that_leaves_a_child_behind_ends_all_the_same() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    assert_eq!(shell(&vm, "sleep 1000 & echo done").text(), "done");
}

#[test]
fn a_command_gets_its_environment_folder_and_cgroup() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let exec = Exec::shell("echo $WORD; pwd; cat /proc/self/cgroup").env("WORD", "a b").cwd("/proc");
    let output = vm.run(exec.in_cgroup("/pods/a"), LIMIT).unwrap();
    assert_eq!(output.text(), "a b\n/proc\n0::/pods/a");
}

#[test]
fn a_terminal_has_a_size_that_can_change_and_carries_control_characters() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let size = |rows, columns| WindowSize { rows, columns };
    let exec = Exec::shell("tty; stty size; read line; stty size; sleep 1000").terminal(size(30, 100));
    let mut process = vm.exec(exec).unwrap();
    let (mut to, mut from) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    let mut expect = |text: &str| {
        let mut seen = vec![0; text.len()];
        from.read_exact(&mut seen).unwrap();
        assert_eq!(String::from_utf8_lossy(&seen), text);
    };
    expect("/dev/pts/0\r\n30 100\r\n");
    process.resize(size(40, 120)).unwrap();
    to.write_all(b"go\n").unwrap();
    expect("go\r\n40 120\r\n");
    to.write_all(&[3]).unwrap();
    assert_eq!(process.wait(Some(LIMIT)).unwrap(), Exit::Signal(2));
}
