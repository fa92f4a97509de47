//! What the machine says of itself outside bpf(2).

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::OpenError;

/// The oldest kernel that is accepted: major and minor.
const OLDEST: (u32, u32) = (5, 15);

/// Where kernels publish their own BTF.
pub(super) const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Release, architecture, lockdown, cgroup v2 mount.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) release: String,
    pub(super) arch: String,
    pub(super) lockdown: String,
    pub(super) cgroup2: Option<PathBuf>,
}

impl Host {
    pub(super) fn look() -> Self {
        let uname = rustix::system::uname();
        Self {
            release: uname.release().to_string_lossy().into_owned(),
            arch: uname.machine().to_string_lossy().into_owned(),
            lockdown: lockdown(&read("/sys/kernel/security/lockdown")).to_owned(),
            cgroup2: cgroup2_mount(&read("/proc/self/mountinfo")),
        }
    }

    /// Refuses what cannot work, with the first reason.
    pub(super) fn check(&self) -> Result<PathBuf, OpenError> {
        match self.hopeless().into_iter().next() {
            Some(error) => Err(error),
            None => self.cgroup2.clone().ok_or(OpenError::NoCgroup2),
        }
    }

    /// Why there is no point in trying anything here.
    pub(super) fn hopeless(&self) -> Vec<OpenError> {
        let mut reasons = Vec::new();
        if self.arch != "x86_64" {
            reasons.push(OpenError::Architecture { arch: self.arch.clone() });
        }
        if version(&self.release).is_none_or(|version| version < OLDEST) {
            reasons.push(OpenError::TooOld { release: self.release.clone() });
        }
        if self.lockdown == "confidentiality" {
            reasons.push(OpenError::Lockdown { mode: self.lockdown.clone() });
        }
        if let Some(namespace) = foreign_namespace() {
            reasons.push(OpenError::Namespace { namespace });
        }
        reasons
    }

    /// What the kernel's configuration says of an option that is needed. Advice only: verdicts come from
    /// attempts.
    pub(super) fn option(&self, option: &str) -> String {
        said_of(option, configuration(&self.release).as_deref())
    }
}

/// The directory of this process's own cgroup, where it can be told.
pub(super) fn own_cgroup(mount: &Path) -> Option<PathBuf> {
    let text = read("/proc/self/cgroup");
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let directory = mount.join(path);
    directory.is_dir().then_some(directory)
}

/// CPUs that may ever come online: maps per CPU have a value for each, and the kernel writes as many.
///
/// # Errors
/// The kernel does not say.
pub(super) fn possible_cpus() -> Result<usize, OpenError> {
    let path = PathBuf::from("/sys/devices/system/cpu/possible");
    let text = fs::read_to_string(&path).map_err(|source| OpenError::Io { path: path.clone(), source })?;
    cpus_in(&text).ok_or_else(|| OpenError::Io { path, source: std::io::ErrorKind::InvalidData.into() })
}

/// One more than the last of a list such as `0-3,8`.
fn cpus_in(list: &str) -> Option<usize> {
    list.trim().rsplit(['-', ',']).next()?.parse::<usize>().ok()?.checked_add(1)
}

/// The kernel's numbers of the first namespaces, as `/proc/self/ns` shows them (`PROC_PID_INIT_INO` and
/// `PROC_CGROUP_INIT_INO` of its proc_ns.h).
const FIRST_NAMESPACES: [(&str, &str); 2] = [("pid", "pid:[4026531836]"), ("cgroup", "cgroup:[4026531835]")];

/// The first namespace that this process sees another of than the kernel does: programs would take other processes
/// for the agent, and the agent's own cgroup could not be told.
fn foreign_namespace() -> Option<&'static str> {
    let differs = |name: &str, first: &str| {
        fs::read_link(format!("/proc/self/ns/{name}")).is_ok_and(|link| link.as_os_str() != first)
    };
    FIRST_NAMESPACES.iter().find(|(name, first)| differs(name, first)).map(|(name, _)| *name)
}

/// Capabilities that bpf(2) asks for, by their numbers (the kernel's capability.h), and the one that stands for both.
const NEEDED: [(u32, &str); 2] = [(39, "CAP_BPF"), (38, "CAP_PERFMON")];
const SYS_ADMIN: u32 = 21;

/// Which of the capabilities that are needed this process lacks. Advice only, as with options.
pub(super) fn lacking() -> Vec<&'static str> {
    lacking_in(&read("/proc/self/status"))
}

fn lacking_in(status: &str) -> Vec<&'static str> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    let has = |bit: u32| set >> bit & 1 == 1 || set >> SYS_ADMIN & 1 == 1;
    NEEDED.iter().filter(|(bit, _)| !has(*bit)).map(|(_, name)| *name).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The mode in brackets.
fn lockdown(text: &str) -> &str {
    text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("none", |(mode, _)| mode)
}

fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let of_kind = filesystem.split(' ').next() == Some("cgroup2");
        of_kind.then(|| mount.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

fn said_of(option: &str, configuration: Option<&str>) -> String {
    let Some(text) = configuration else {
        return format!("{option} is needed; there is no configuration to read");
    };
    let set = text.lines().find(|line| line.strip_prefix(option).is_some_and(|rest| rest.starts_with('=')));
    match set {
        Some(set) => format!("although the configuration has {set}"),
        None => format!("{option} is not set"),
    }
}

fn configuration(release: &str) -> Option<String> {
    if let Ok(packed) = fs::File::open("/proc/config.gz") {
        let mut text = String::new();
        if flate2::read::GzDecoder::new(packed).read_to_string(&mut text).is_ok() {
            return Some(text);
        }
    }
    fs::read_to_string(format!("/boot/config-{release}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(version("5.15.0-105-generic"), Some((5, 15)));
        assert!(version("5.4.0").unwrap() < OLDEST && version("6.1.192-lab").unwrap() > OLDEST);
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn the_last_possible_cpu_counts_or_nothing_does() {
        assert_eq!([cpus_in("0\n"), cpus_in("0-3\n"), cpus_in("0-3,8-15")], [Some(1), Some(4), Some(16)]);
        assert_eq!([cpus_in(""), cpus_in("0-")], [None, None]);
    }

    #[test]
    fn capabilities_that_are_lacking_are_named() {
        let lacking = |set: &str| lacking_in(&format!("Name:\tx\nCapEff:\t{set}\nSeccomp:\t0\n"));
        assert_eq!(lacking("0000000000000000"), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(lacking("0000008000000000"), ["CAP_PERFMON"]);
        assert_eq!(lacking("0000000000200000"), [""; 0]);
        assert_eq!(lacking("000001ffffffffff"), [""; 0]);
    }

    #[test]
    fn everything_that_is_hopeless_is_told_at_once() {
        let host = Host {
            release: "5.10.0-30-amd64".to_owned(),
            arch: "aarch64".to_owned(),
            lockdown: "confidentiality".to_owned(),
            cgroup2: None,
        };
        let told: Vec<String> = host.hopeless().iter().map(ToString::to_string).collect();
        assert!(told[0].contains("aarch64"), "{told:?}");
        assert!(told[1].contains("5.10.0-30-amd64 is too old: 5.15"), "{told:?}");
        assert!(told[2].contains("confidentiality"), "{told:?}");
    }

    #[test]
    fn the_lockdown_mode_is_the_bracketed_one() {
        assert_eq!(lockdown("none [integrity] confidentiality\n"), "integrity");
        assert_eq!(lockdown(""), "none");
    }

    #[test]
    fn an_option_is_named_whatever_the_configuration_says() {
        let text = "# CONFIG_FAILSLAB is not set\nCONFIG_FAILSLAB_MORE=y\nCONFIG_BPF=y\n";
        assert_eq!(said_of("CONFIG_FAILSLAB", Some(text)), "CONFIG_FAILSLAB is not set");
        assert_eq!(said_of("CONFIG_BPF", Some(text)), "although the configuration has CONFIG_BPF=y");
        assert!(said_of("CONFIG_BPF", None).starts_with("CONFIG_BPF is needed"));
    }

    #[test]
    fn a_hybrid_host_has_its_unified_tree_beside_the_others() {
        let text = "30 24 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro\n\
                    31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(text), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(cgroup2_mount("1 1 0:1 / / rw - ext4 /dev/vda rw"), None);
    }
}
