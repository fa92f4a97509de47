use std::{fs, os::unix::fs::symlink};

use tempfile::TempDir;

use super::*;

const ID: &str = "3d2ba1c0ffee4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6";
const OTHER: &str = "9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b";

fn tree(directories: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for directory in directories {
        fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    root
}

fn by_id(id: &str) -> Target {
    Target { container_id: Some(format!("containerd://{id}")), ..by_path("") }
}

fn by_path(path: &str) -> Target {
    Target {
        namespace: "default".into(),
        pod: "pod".into(),
        uid: "uid".into(),
        container: "main".into(),
        container_id: None,
        cgroup: Some(path.into()).filter(|path: &String| !path.is_empty()),
    }
}

fn resolve(root: &TempDir, target: &Target) -> Result<PathBuf, CgroupError> {
    let mut cgroups = Cgroups::open(root.path(), Some("system.slice/agent.service".into())).unwrap();
    cgroups.resolve(&[target]).remove(0)
}

#[test]
fn ids_are_found_under_every_driver() {
    let pod = "pod0f1e2d3c_4b5a";
    for place in [
        format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-{pod}.slice/cri-containerd-{ID}.scope"
        ),
        format!("kubepods.slice/kubepods-{pod}.slice/crio-{ID}.scope"),
        format!("kubepods/besteffort/{pod}/{ID}"),
        format!("system.slice/docker-{ID}.scope"),
        format!("docker/{ID}"),
        format!("system.slice/containerd.service/kubepods-{pod}.slice:cri-containerd:{ID}"),
    ] {
        let root = tree(&[&place, "system.slice/ssh.service", &format!("kubepods/{OTHER}")]);
        assert_eq!(resolve(&root, &by_id(ID)).unwrap(), root.path().join(&place), "{place}");
    }
}

#[test]
fn crio_s_monitor_is_not_its_container() {
    let (monitor, container) =
        (format!("a.slice/crio-conmon-{ID}.scope"), format!("a.slice/crio-{ID}.scope"));
    let root = tree(&[&monitor, &format!("{container}/container")]);
    assert_eq!(resolve(&root, &by_id(ID)).unwrap(), root.path().join(container));
}

#[test]
fn a_container_that_is_gone_or_doubled_is_said_to_be() {
    let root = tree(&[&format!("a/{OTHER}"), &format!("b/docker-{OTHER}.scope")]);
    assert!(matches!(resolve(&root, &by_id(ID)), Err(CgroupError::NotFound(_))));
    assert!(matches!(resolve(&root, &by_id(OTHER)), Err(CgroupError::Ambiguous { .. })));
    assert!(matches!(resolve(&root, &by_path("")), Err(CgroupError::Unnamed)));
}

#[test]
fn a_container_that_moved_is_found_again() {
    let (before, after) = (format!("a/{ID}"), format!("b/{ID}"));
    let root = tree(&[&before, "b"]);
    let mut cgroups = Cgroups::open(root.path(), None).unwrap();
    let target = by_id(ID);
    assert_eq!(cgroups.resolve(&[&target]).remove(0).unwrap(), root.path().join(&before));
    fs::rename(root.path().join(&before), root.path().join(&after)).unwrap();
    assert_eq!(cgroups.resolve(&[&target]).remove(0).unwrap(), root.path().join(&after));
    fs::remove_dir(root.path().join(&after)).unwrap();
    assert!(matches!(cgroups.resolve(&[&target]).remove(0), Err(CgroupError::NotFound(_))));
}

#[test]
fn a_path_stays_beneath_the_root() {
    let root = tree(&["a/b", "system.slice/agent.service/inner"]);
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), root.path().join("a/link")).unwrap();
    assert_eq!(resolve(&root, &by_path("a/b")).unwrap(), root.path().join("a/b"));
    assert_eq!(resolve(&root, &by_path("/a/b")).unwrap(), root.path().join("a/b"));
    for path in ["..", "../../etc", "a/link", "a/../../x", "a/../a/b"] {
        let error = resolve(&root, &by_path(path)).unwrap_err();
        assert!(matches!(error, CgroupError::Outside(_)), "{path}: {error}");
    }
    assert!(matches!(resolve(&root, &by_path("a/gone")), Err(CgroupError::Gone(_))));
}

#[test]
fn the_root_and_whatever_holds_the_agent_is_refused() {
    let root = tree(&["a", "system.slice/agent.service/inner", "system.slice/agent"]);
    for path in ["/", ".", "a/.."] {
        let error = resolve(&root, &by_path(path)).unwrap_err();
        assert!(matches!(error, CgroupError::Root(_)), "{path}: {error}");
    }
    for path in ["system.slice", "system.slice/agent.service", "system.slice/"] {
        let error = resolve(&root, &by_path(path)).unwrap_err();
        assert!(matches!(error, CgroupError::HoldsAgent(_)), "{path}: {error}");
    }
    resolve(&root, &by_path("system.slice/agent.service/inner")).unwrap();
    resolve(&root, &by_path("system.slice/agent")).unwrap();
}

#[test]
fn the_mount_is_found_alone_and_beside_version_1() {
    let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
    let hybrid = "31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  32 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
    let part = "33 23 0:28 /kubepods /mnt/part rw - cgroup2 cgroup2 rw\n\
                34 23 0:28 / /mnt/with\\040blank rw - cgroup2 cgroup2 rw";
    assert_eq!(own::mount_in(unified), Some("/sys/fs/cgroup".into()));
    assert_eq!(own::mount_in(hybrid), Some("/sys/fs/cgroup/unified".into()));
    assert_eq!(own::mount_in(part), Some("/mnt/with blank".into()));
    assert_eq!(own::mount_in("1 2 0:3 / / rw - ext4 /dev/sda rw"), None);
    assert_eq!(
        own::own_in("12:cpu:/x\n0::/system.slice/agent.service\n"),
        Some("system.slice/agent.service".into())
    );
    assert_eq!(own::own_in("0::/\n"), None);
}
