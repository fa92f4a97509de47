//! What a machine needs before anything can run in it.

use std::ffi::CString;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use faultline_lab_init::LAB_DIR;
use rustix::mount::{MountFlags, mount, mount_bind, mount_move};

/// Why the machine could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("cannot mount {what} on {on}: {source}")]
    Mount { what: String, on: String, source: rustix::io::Errno },
    #[error("cannot load {module}: {source}")]
    Module { module: String, source: io::Error },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("the network: {0} failed")]
    Network(&'static str),
    #[error("no virtio port named {0}")]
    Port(&'static str),
    #[error("the control port: {0}")]
    Control(String),
}

/// File system, source, folder, options. The kernel of a stock machine may lack debugfs, never the rest.
const MOUNTS: [(&str, &str, &str); 10] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("devpts", "/dev/pts", "ptmxmode=0666"),
    ("tmpfs", "/dev/shm", ""),
    ("cgroup2", "/sys/fs/cgroup", "nsdelegate"),
    ("bpf", "/sys/fs/bpf", ""),
    ("debugfs", "/sys/kernel/debug", ""),
    ("tracefs", "/sys/kernel/tracing", ""),
    ("tmpfs", "/run", ""),
];

/// QEMU's user network always looks like this, so there is nothing to ask a DHCP server.
const NETWORK: [&str; 4] = [
    "ip link set lo up",
    "ip addr add 10.0.2.15/24 dev eth0",
    "ip link set eth0 up",
    "ip route add default via 10.0.2.2",
];

/// Mounts, modules, cgroup controllers, network, shares.
pub(crate) fn machine() -> Result<(), SetupError> {
    leave_rootfs()?;
    for (kind, folder, options) in MOUNTS {
        mount_one(kind, kind, folder, options, MountFlags::empty())?;
    }
    load_modules()?;
    delegate_controllers()?;
    network()?;
    mount_shares()
}

/// pivot_root, which container runtimes need, refuses the kernel's own rootfs. A bind mount of it
/// moved over the root is an ordinary mount with the same content.
fn leave_rootfs() -> Result<(), SetupError> {
    let io = |source: rustix::io::Errno| SetupError::Io { what: "the root folder", source: source.into() };
    fs::create_dir_all("/.root").map_err(|source| SetupError::Io { what: "the root folder", source })?;
    mount_bind("/", "/.root").map_err(io)?;
    rustix::process::chdir("/.root").map_err(io)?;
    mount_move(".", "/").map_err(io)?;
    rustix::process::chroot(".").map_err(io)?;
    rustix::process::chdir("/").map_err(io)
}

fn mount_one(kind: &str, what: &str, on: &str, options: &str, flags: MountFlags) -> Result<(), SetupError> {
    // A folder in a read-only or kernel-made file system exists already or cannot be made: mount tells.
    let _ = fs::create_dir_all(on);
    let options = CString::new(options).unwrap_or_default();
    mount(what, on, kind, flags, &*options).map_err(|source| SetupError::Mount {
        what: what.into(),
        on: on.into(),
        source,
    })
}

/// The host put the modules of a stock kernel in the order they depend on each other.
fn load_modules() -> Result<(), SetupError> {
    let mut modules = match fs::read_dir(Path::new(LAB_DIR).join("modules")) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect::<Vec<_>>(),
        Err(_) => return Ok(()),
    };
    modules.sort();
    for path in modules {
        let module = path.display().to_string();
        let load = fs::File::open(&path)
            .and_then(|file| rustix::system::finit_module(file, c"", 0).map_err(io::Error::from));
        load.map_err(|source| SetupError::Module { module, source })?;
    }
    Ok(())
}

/// Every controller is on for the root's children, so that a test only makes folders.
fn delegate_controllers() -> Result<(), SetupError> {
    let fail = |source| SetupError::Io { what: "the cgroup controllers", source };
    let all = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").map_err(fail)?;
    for controller in all.split_whitespace() {
        fs::write("/sys/fs/cgroup/cgroup.subtree_control", format!("+{controller}")).map_err(fail)?;
    }
    Ok(())
}

fn network() -> Result<(), SetupError> {
    let hostname = rustix::system::sethostname(b"lab");
    hostname.map_err(|source| SetupError::Io { what: "the host name", source: source.into() })?;
    if !Path::new("/proc/sys/net/ipv4").exists() {
        return Ok(());
    }
    // A machine booted without a network card has only the loopback device.
    let commands = if Path::new("/sys/class/net/eth0").exists() { &NETWORK[..] } else { &NETWORK[..1] };
    for command in commands {
        let status = Command::new("/bin/busybox").args(command.split(' ')).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(SetupError::Network(command));
        }
    }
    Ok(())
}

/// Each line of the list is a 9p tag and the folder it belongs on.
fn mount_shares() -> Result<(), SetupError> {
    let list = fs::read_to_string(Path::new(LAB_DIR).join("shares")).unwrap_or_default();
    // loose caching is safe since the guest only reads, and lets a program run from its pages;
    // msize is the largest the transport takes.
    const OPTIONS: &str = "trans=virtio,version=9p2000.L,cache=loose,msize=512000";
    for (tag, folder) in list.lines().filter_map(|line| line.split_once(' ')) {
        mount_one("9p", tag, folder, OPTIONS, MountFlags::RDONLY)?;
    }
    Ok(())
}
