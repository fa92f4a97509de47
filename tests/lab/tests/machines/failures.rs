//! Machines that hang, die or never come up: always noticed, never left behind.

use std::time::{Duration, Instant};

use faultline_lab::{BootError, Exec, KernelId, Machine, VmError};

use super::{LIMIT, boot, lab, shell, small};

#[expect(clippy::disallowed_methods, reason = "measures real time")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (work(), began.elapsed())
}

#[test]
fn a_command_that_hangs_is_stopped_at_its_limit_with_the_machine() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let (outcome, took) = timed(|| vm.run(Exec::shell("while :; do :; done"), Duration::from_secs(2)));
    assert!(matches!(outcome, Err(VmError::TimedOut { what: "the command", .. })), "{outcome:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
    vm.wait_for_end(LIMIT).unwrap();
    assert!(matches!(vm.run(Exec::new(["true"]), LIMIT), Err(VmError::Died { .. })));
}

#[test]
fn a_panic_is_reported_at_once_with_what_the_kernel_said() {
    for id in [KernelId::V6_1, KernelId::V6_12] {
        let Some(vm) = boot(&id) else { return };
        let (outcome, took) =
            timed(|| vm.run(Exec::shell("echo c > /proc/sysrq-trigger; sleep 1000"), LIMIT));
        let Err(VmError::Died { tail, .. }) = outcome else { panic!("{outcome:?}") };
        assert!(tail.contains("Kernel panic - not syncing: sysrq triggered crash"), "{tail}");
        assert!(took < Duration::from_secs(20), "{took:?}");
    }
}

#[test]
fn everything_that_runs_ends_when_the_machine_dies() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let waiting = vm.exec(Exec::new(["cat"])).unwrap();
    // Without a sync, and without a word on the console.
    vm.exec(Exec::shell("echo b > /proc/sysrq-trigger")).unwrap();
    assert!(matches!(waiting.wait(Some(LIMIT)), Err(VmError::Died { .. })));
    vm.wait_for_end(LIMIT).unwrap();
}

#[test]
fn a_boot_is_bounded_in_time() {
    let Some(kernel) = lab(&KernelId::V6_1) else { return };
    let machine = Machine { boot_timeout: Duration::from_millis(300), ..small() };
    let (outcome, took) = timed(|| machine.boot(&kernel).map(drop));
    assert!(matches!(outcome, Err(BootError::Vm(VmError::TimedOut { what: "the boot", .. }))), "{outcome:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn a_kernel_without_an_init_fails_with_its_own_words() {
    let Some(kernel) = lab(&KernelId::V6_1) else { return };
    let machine = Machine { append: "rdinit=/nowhere".into(), ..small() };
    let Err(BootError::Vm(VmError::Died { tail, .. })) = machine.boot(&kernel).map(drop) else {
        panic!("it booted, or was waited for in vain")
    };
    assert!(tail.contains("Kernel panic"), "{tail}");
}

#[test]
fn a_file_that_is_no_kernel_fails_and_is_not_waited_for() {
    let Some(_) = lab(&KernelId::V6_1) else { return };
    let kernel =
        faultline_lab::kernel(&KernelId::Path("/etc/passwd".into()), &faultline_lab::Progress::silent());
    let machine = Machine { accel: faultline_lab::Accel::Tcg, ..small() };
    let outcome = machine.boot(&kernel.unwrap()).map(drop);
    assert!(matches!(outcome, Err(BootError::Vm(VmError::Died { .. }))), "{outcome:?}");
}

#[test]
fn a_machine_that_is_dropped_is_gone() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let log = vm.serial_log().display().to_string();
    let runs = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines =
            processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
        lines.filter(|line| line.contains(&log)).count()
    };
    assert!(shell(&vm, "true").success());
    assert_eq!(runs(), 1);
    drop(vm);
    assert_eq!(runs(), 0);
}
