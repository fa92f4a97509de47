//! Whether KVM works here. A host may offer /dev/kvm and create machines with it, and still never
//! get a kernel past the firmware (nested virtualisation); only a boot tells.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cache::Cache;
use crate::kernel::Kernel;
use crate::machine::{Accel, Machine};
use crate::vm::Vm;

/// Ten times what a boot with KVM takes.
const LIMIT: Duration = Duration::from_secs(6);

/// KVM if it boots this kernel, else TCG. The verdict is kept until the host restarts.
pub(crate) fn choose(cache: &Cache, machine: &Machine, kernel: &Kernel) -> Accel {
    if machine.icount || fs::File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Accel::Tcg;
    }
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let file = cache.folder("kvm").unwrap_or_default().join(boot_id.trim());
    if let Ok(verdict) = fs::read_to_string(&file) {
        return if verdict == "kvm" { Accel::Kvm } else { Accel::Tcg };
    }
    let trial = Machine { boot_timeout: LIMIT, ..Machine::default() };
    let boots = Vm::boot_with(&trial, kernel, Accel::Kvm, cache).is_ok();
    remember(&file, if boots { "kvm" } else { "tcg" });
    if boots { Accel::Kvm } else { Accel::Tcg }
}

/// A verdict that cannot be kept costs the next call another trial.
fn remember(file: &Path, verdict: &str) {
    let _ = fs::write(file, verdict);
}
