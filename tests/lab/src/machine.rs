//! A machine to boot: what it is made of, and how long it may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kernel::Kernel;
use crate::vm::{BootError, Vm};

/// Five times what a boot takes without KVM on a host with six others as busy.
const BOOT_TIMEOUT: Duration = Duration::from_secs(60);

/// How QEMU executes the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accel {
    /// KVM where a kernel really boots with it, else TCG.
    #[default]
    Auto,
    /// Translation in software, one thread for each CPU.
    Tcg,
    /// The host's virtualisation.
    Kvm,
}

/// A file of the host and where it is in the guest. Its permissions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// On the host.
    pub host: PathBuf,
    /// Absolute, in the guest.
    pub guest: String,
}

/// A folder of the host that the guest sees read-only, without copying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// On the host.
    pub host: PathBuf,
    /// Absolute, in the guest.
    pub guest: String,
}

/// A disk: the first is /dev/vda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// A raw image on the host.
    pub image: PathBuf,
    /// Whether writes reach the image; otherwise they are forgotten with the machine.
    pub persistent: bool,
}

/// A TCP port of the guest that 127.0.0.1 on the host reaches. (The guest reaches the host's own
/// loopback as 10.0.2.2.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortForward {
    /// On the host; 0 takes a free one, see [`Vm::host_port`].
    pub host: u16,
    /// In the guest, on any of its addresses.
    pub guest: u16,
}

/// What to boot a kernel on.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Memory in MiB.
    pub memory_mib: u32,
    /// CPUs, 1 to 8.
    pub cpus: u8,
    /// Added to the kernel's command line; later words win over the lab's own.
    pub append: String,
    /// Time is instructions: shift=0, one CPU, repeatable within 0.3%. Instructions are not cycles.
    pub icount: bool,
    /// How to execute it. Counting instructions is always TCG.
    pub accel: Accel,
    /// Files to put into the guest before it boots.
    pub files: Vec<HostFile>,
    /// Folders to share.
    pub shares: Vec<Share>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// Ports to reach from the host.
    pub forwards: Vec<PortForward>,
    /// From the start of QEMU to init's first word; counting instructions, three times that.
    pub boot_timeout: Duration,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            memory_mib: 512,
            cpus: 2,
            append: String::new(),
            icount: false,
            accel: Accel::Auto,
            files: Vec::new(),
            shares: Vec::new(),
            disks: Vec::new(),
            forwards: Vec::new(),
            boot_timeout: BOOT_TIMEOUT,
        }
    }
}

impl Machine {
    /// Boots it and waits until commands can be run.
    ///
    /// # Errors
    /// When init or QEMU is not to be had, the guest dies, or it is not ready in time.
    pub fn boot(&self, kernel: &Kernel) -> Result<Vm, BootError> {
        Vm::boot(self, kernel)
    }

    /// How long this boot may take. Counting makes translated code about five times as slow.
    pub(crate) fn boot_limit(&self) -> Duration {
        if self.icount { self.boot_timeout * 3 } else { self.boot_timeout }
    }

    /// Adds a file, at the same path in the guest unless one is given.
    #[must_use]
    pub fn with_file(mut self, host: impl AsRef<Path>, guest: Option<&str>) -> Self {
        let host = host.as_ref().to_path_buf();
        let guest = guest.map_or_else(|| host.display().to_string(), String::from);
        self.files.push(HostFile { host, guest });
        self
    }
}
