//! Options that describe a machine, the same for every command that boots one.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{CliError, Context};
use crate::disk;
use crate::kernel::{self, Kernel, KernelId};
use crate::machine::{Accel, Disk, HostFile, Machine, PortForward, Share};
use crate::packages::{self, Purpose};
use crate::vm::Vm;

/// The name that stands for the sample disk.
const SAMPLE: &str = "sample";

#[derive(Debug, Clone, Args)]
pub(super) struct MachineArgs {
    /// 6.1, 6.12, nofail, stock (Debian's own image), or the path of a bzImage
    #[arg(long, short, default_value = "6.1", value_name = "KERNEL")]
    pub(super) kernel: KernelId,
    /// Memory in MiB
    #[arg(long, short, default_value_t = 1024, value_name = "MIB")]
    memory: u32,
    /// Number of CPUs
    #[arg(long, short, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    cpus: u8,
    /// Words to add to the kernel's command line
    #[arg(long, default_value = "", value_name = "WORDS", allow_hyphen_values = true)]
    append: String,
    /// Count instructions instead of time: one CPU, repeatable, idle time leaps
    #[arg(long)]
    pub(super) icount: bool,
    /// Do not try KVM
    #[arg(long)]
    no_kvm: bool,
    /// A raw disk image, or `sample` for an empty ext4 one; the first is /dev/vda. Writes are forgotten
    #[arg(long, value_name = "IMAGE")]
    disk: Vec<PathBuf>,
    /// Keep what the guest writes to its disks
    #[arg(long)]
    persistent: bool,
    /// A file to put into the guest
    #[arg(long, value_name = "HOST[:GUEST]", value_parser = host_file)]
    file: Vec<HostFile>,
    /// A folder to show the guest, read-only
    #[arg(long, value_name = "HOST[:GUEST]", value_parser = share)]
    share: Vec<Share>,
    /// A port of 127.0.0.1 that reaches a port of the guest (which reaches the host as 10.0.2.2)
    #[arg(long, value_name = "HOST:GUEST", value_parser = forward)]
    forward: Vec<PortForward>,
    /// Seconds the boot may take
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    boot_timeout: u64,
}

impl MachineArgs {
    /// The machine with what else the command puts into it.
    pub(super) fn machine(&self, context: &Context) -> Result<Machine, CliError> {
        let Self {
            kernel: _,
            memory,
            cpus,
            append,
            icount,
            no_kvm,
            disk,
            persistent,
            file,
            share,
            forward,
            boot_timeout,
        } = self;
        let disks = disk.iter().map(|image| {
            let image = if image.as_os_str() == SAMPLE {
                disk::ext4(&context.cache, disk::SAMPLE_MIB, &context.progress)?
            } else {
                image.clone()
            };
            Ok::<_, CliError>(Disk { image, persistent: *persistent })
        });
        Ok(Machine {
            memory_mib: *memory,
            cpus: *cpus,
            append: append.clone(),
            icount: *icount,
            accel: if *no_kvm { Accel::Tcg } else { Accel::Auto },
            files: file.clone(),
            shares: share.clone(),
            disks: disks.collect::<Result<_, _>>()?,
            forwards: forward.clone(),
            boot_timeout: Duration::from_secs(*boot_timeout),
        })
    }

    /// The kernel, got first if need be.
    pub(super) fn kernel(&self, context: &Context) -> Result<Kernel, CliError> {
        packages::ensure(&[Purpose::Boot], &context.progress)?;
        Ok(kernel::kernel(&self.kernel, &context.progress)?)
    }

    /// Boots the machine.
    pub(super) fn boot(&self, machine: &Machine, context: &Context) -> Result<Vm, CliError> {
        let kernel = self.kernel(context)?;
        Ok(machine.boot(&kernel)?)
    }
}

fn host_file(text: &str) -> Result<HostFile, std::io::Error> {
    let (host, guest) = pair(text)?;
    Ok(HostFile { host, guest })
}

fn share(text: &str) -> Result<Share, std::io::Error> {
    let (host, guest) = pair(text)?;
    Ok(Share { host, guest })
}

/// The host's path made absolute, and the guest's, which is the same unless it is given.
fn pair(text: &str) -> Result<(PathBuf, String), std::io::Error> {
    let (host, guest) = text.split_once(':').map_or((text, None), |(host, guest)| (host, Some(guest)));
    let host = PathBuf::from(host).canonicalize()?;
    let guest = guest.map_or_else(|| host.display().to_string(), String::from);
    if !guest.starts_with('/') {
        return Err(std::io::Error::other("the path in the guest has to be absolute"));
    }
    Ok((host, guest))
}

fn forward(text: &str) -> Result<PortForward, String> {
    let ports =
        text.split_once(':').and_then(|(host, guest)| Some((host.parse().ok()?, guest.parse().ok()?)));
    let (host, guest) = ports.ok_or("a forward is two ports, such as 8080:80")?;
    Ok(PortForward { host, guest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_path_unless_the_guest_has_its_own() {
        assert_eq!(host_file("/etc/passwd").unwrap().guest, "/etc/passwd");
        assert_eq!(
            host_file("/etc/passwd:/p").unwrap(),
            HostFile { host: "/etc/passwd".into(), guest: "/p".into() }
        );
        assert!(host_file("/etc/passwd:p").is_err());
        assert!(host_file("/no/such/file").is_err());
    }

    #[test]
    fn a_forward_is_two_ports() {
        assert_eq!(forward("0:80"), Ok(PortForward { host: 0, guest: 80 }));
        assert!(forward("80").is_err() && forward("80:http").is_err() && forward("70000:1").is_err());
    }
}
