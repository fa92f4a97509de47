//! A machine's own cgroups as pods: `<root>/<namespace>/<pod>[/<container>]`.
//!
//! Whoever makes a cgroup two levels beneath the root has made a pod; cgroups one level deeper are its containers,
//! and a pod without any is itself the container `main`. The uid is the cgroup's id, so a pod that is removed and
//! made again is another pod. Its labels are those of the cgroup's `user.faultline.labels` extended attribute, as
//! `key=value,key=value`; without one it has none.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use faultline_api::selector::PodPhase;
use faultline_core::inventory::{Container, Inventory, Namespace, Node, Pod};
use jiff::Timestamp;
use rustix::{fs::statfs, io::Errno};

use super::InventoryError;

/// The extended attribute with a pod's labels. cgroup v2 keeps user attributes since Linux 5.7.
pub const LABELS_ATTRIBUTE: &str = "user.faultline.labels";

/// The kernel's bound for a cgroup's user attributes is 128 KiB; labels are far smaller.
const MAX_LABEL_BYTES: usize = 4096;

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// A directory of cgroups on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    root: PathBuf,
    /// `root` relative to the mount of the hierarchy, without slashes at its ends.
    prefix: String,
    node: String,
}

impl Cgroups {
    /// The cgroups beneath `root`, which is in a cgroup v2 hierarchy, as pods of the node `node`.
    ///
    /// # Errors
    /// `root` is not there or is not in a cgroup v2 hierarchy.
    pub fn beneath(root: &Path, node: &str) -> Result<Self, InventoryError> {
        let named = |reason| InventoryError::Cgroups { path: root.display().to_string(), reason };
        let root = root.canonicalize().map_err(named)?;
        let is_cgroup2 =
            |path: &Path| statfs(path).is_ok_and(|fs| fs.f_type.cast_unsigned() == CGROUP2_MAGIC);
        let Some(mount) = root.ancestors().take_while(|path| is_cgroup2(path)).last() else {
            return Err(InventoryError::NotCgroup2 { path: root.display().to_string() });
        };
        let mount = mount.to_owned();
        Ok(Self::mounted_at(&root, &mount, node))
    }

    /// The directories beneath `root`, their paths given relative to `mount`.
    fn mounted_at(root: &Path, mount: &Path, node: &str) -> Self {
        let prefix = root.strip_prefix(mount).unwrap_or(root).display().to_string();
        Self { root: root.to_owned(), prefix, node: node.to_owned() }
    }

    /// The pods that are there at `now`, all of them running.
    ///
    /// # Errors
    /// The root cannot be listed. Cgroups that vanish meanwhile are left out.
    pub fn observe(&self, now: Timestamp) -> Result<Inventory, InventoryError> {
        let named = |reason| InventoryError::Cgroups { path: self.root.display().to_string(), reason };
        let mut inventory = Inventory {
            observed_at: now,
            nodes: BTreeMap::from([(self.node.clone(), Node::default())]),
            namespaces: BTreeMap::new(),
            pods: Vec::new(),
        };
        for namespace in directories(&self.root).map_err(named)? {
            inventory.namespaces.insert(namespace.clone(), Namespace::default());
            for pod in present(directories(&self.root.join(&namespace))).map_err(named)?.unwrap_or_default() {
                inventory.pods.extend(present(self.pod(&namespace, pod)).map_err(named)?);
            }
        }
        Ok(inventory)
    }

    fn pod(&self, namespace: &str, name: String) -> io::Result<Pod> {
        let path = self.root.join(namespace).join(&name);
        let children = directories(&path)?;
        let cgroup = |suffix: &str| {
            let path = [self.prefix.as_str(), namespace, &name, suffix];
            Some(path.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"))
        };
        let containers = if children.is_empty() {
            vec![Container { name: "main".to_owned(), id: None, cgroup: cgroup("") }]
        } else {
            children
                .into_iter()
                .map(|child| Container { cgroup: cgroup(&child), name: child, id: None })
                .collect()
        };
        Ok(Pod {
            namespace: namespace.to_owned(),
            uid: format!("cgroup-{}", fs::metadata(&path)?.ino()),
            node: self.node.clone(),
            labels: labels(&path)?,
            annotations: BTreeMap::new(),
            phase: PodPhase::Running,
            containers,
            name,
        })
    }
}

/// The names of the directories in `path`, sorted. A name that is not UTF-8 cannot be selected and is left out.
fn directories(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// `None` where it went away meanwhile: cgroups come and go while they are read.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The labels in the pod's attribute. One that is not `key=value,…` gives none, and says so in the log.
fn labels(path: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut buffer = vec![0; MAX_LABEL_BYTES];
    match rustix::fs::getxattr(path, LABELS_ATTRIBUTE, &mut buffer[..]) {
        Ok(length) => Ok(parse_labels(&buffer[..length]).unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), "{LABELS_ATTRIBUTE} is not of the form key=value,key=value");
            BTreeMap::new()
        })),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(BTreeMap::new()),
        Err(errno) => Err(errno.into()),
    }
}

fn parse_labels(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let text = str::from_utf8(bytes).ok()?.trim();
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (!key.trim().is_empty()).then(|| (key.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(make: &[&str]) -> (tempfile::TempDir, Cgroups, Inventory) {
        let mount = tempfile::tempdir().unwrap();
        let root = mount.path().join("faultline/demo");
        for path in make {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        let cgroups = Cgroups::mounted_at(&root, mount.path(), "n1");
        let inventory = cgroups.observe(Timestamp::UNIX_EPOCH).unwrap();
        (mount, cgroups, inventory)
    }

    #[test]
    fn two_levels_are_pods_and_a_third_is_containers() {
        let (_mount, _, inventory) = observe(&["shop/web", "shop/db/main", "shop/db/backup", "empty"]);
        let shown: Vec<_> = inventory
            .pods
            .iter()
            .flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)))
            .map(|(pod, container)| {
                format!(
                    "{}/{}:{} {}",
                    pod.namespace,
                    pod.name,
                    container.name,
                    container.cgroup.as_ref().unwrap()
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "shop/db:backup faultline/demo/shop/db/backup",
                "shop/db:main faultline/demo/shop/db/main",
                "shop/web:main faultline/demo/shop/web",
            ]
        );
        assert_eq!(inventory.namespaces.keys().collect::<Vec<_>>(), ["empty", "shop"]);
        assert!(inventory.nodes.contains_key("n1"));
    }

    #[test]
    fn a_pod_that_is_made_again_is_another_pod() {
        let (mount, cgroups, before) = observe(&["shop/web"]);
        let path = mount.path().join("faultline/demo/shop/web");
        // The old inode is kept in use, as a file system without generations would hand it out again.
        fs::rename(&path, mount.path().join("old")).unwrap();
        fs::create_dir(&path).unwrap();
        let after = cgroups.observe(Timestamp::UNIX_EPOCH).unwrap();
        assert_ne!(before.pods[0].uid, after.pods[0].uid);
    }

    #[test]
    fn a_directory_outside_a_cgroup_hierarchy_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(Cgroups::beneath(directory.path(), "n1"), Err(InventoryError::NotCgroup2 { .. })));
    }

    #[test]
    fn labels_are_pairs_or_nothing() {
        let labels = |text: &str| parse_labels(text.as_bytes()).map(|map| format!("{map:?}"));
        assert_eq!(labels("app=web, tier=").unwrap(), r#"{"app": "web", "tier": ""}"#);
        assert_eq!(labels("").unwrap(), "{}");
        assert_eq!(labels("app"), None);
        assert_eq!(labels("=web"), None);
    }
}
