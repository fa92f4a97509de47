//! The lab against real machines. Kernels that the cache does not hold are built first, once.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod commands;
mod devices;
mod failures;
mod files;

use std::time::Duration;

use faultline_lab::packages::{self, Purpose};
use faultline_lab::{Cache, Exec, Kernel, KernelId, Machine, Output, Progress, Vm, kernel};

/// For one command: these take milliseconds, but the host may be busy.
const LIMIT: Duration = Duration::from_secs(60);

/// A kernel, or `None` with a loud word where QEMU is not to be had. In CI that is a failure.
fn lab(id: &KernelId) -> Option<Kernel> {
    let progress = Progress::stderr(&Cache::from_env());
    if let Err(error) = packages::ensure(&Purpose::ALL, &progress) {
        assert!(std::env::var_os("CI").is_none(), "{error}");
        eprintln!("SKIPPED, nothing was tested: {error}");
        return None;
    }
    Some(kernel(id, &progress).unwrap())
}

/// A machine of the default kind.
fn boot(id: &KernelId) -> Option<Vm> {
    boot_on(id, &small())
}

fn boot_on(id: &KernelId, machine: &Machine) -> Option<Vm> {
    lab(id).map(|kernel| machine.boot(&kernel).unwrap())
}

/// Several tests boot at once.
fn small() -> Machine {
    Machine { memory_mib: 256, ..Machine::default() }
}

fn shell(vm: &Vm, script: &str) -> Output {
    vm.run(Exec::shell(script), LIMIT).unwrap()
}

/// Asks again and again until the guest says yes.
fn until(vm: &Vm, script: &str) {
    let yes = (0..300).any(|_| shell(vm, script).success());
    assert!(yes, "it never came to be: {script}");
}
