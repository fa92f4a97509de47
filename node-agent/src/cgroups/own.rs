//! Where the hierarchy is mounted, and where in it the agent is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Why there is no hierarchy to work in.
#[derive(Debug, Error)]
pub enum NoCgroups {
    /// Nothing of the kind is mounted.
    #[error("no cgroup v2 hierarchy is mounted: give its path with --cgroup-root")]
    NotMounted,
    /// A file of `/proc` cannot be read.
    #[error("cannot read {path}")]
    Proc {
        /// The file.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// The mount point of cgroup v2, alone or beside v1 (`unified`), and the agent's own cgroup beneath it.
///
/// # Errors
/// There is none, or `/proc` is not there.
pub fn find_root(given: Option<&Path>) -> Result<(PathBuf, Option<PathBuf>), NoCgroups> {
    let read = |path| fs::read_to_string(path).map_err(|source| NoCgroups::Proc { path, source });
    let root = match given {
        Some(root) => root.to_owned(),
        None => mount_in(&read("/proc/self/mountinfo")?).ok_or(NoCgroups::NotMounted)?,
    };
    Ok((root, own_in(&read("/proc/self/cgroup")?)))
}

/// The mount point of the first mount of type `cgroup2` that shows the hierarchy from its root.
pub(super) fn mount_in(mountinfo: &str) -> Option<PathBuf> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.starts_with("cgroup2 ") && root == "/").then(|| unescape(point))
    });
    mounts.map(PathBuf::from).next()
}

/// The path of the line `0::/path`, relative to the root; `None` where that is the root itself.
pub(super) fn own_in(cgroup: &str) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.is_empty()).then(|| path.into())
}

/// The kernel writes blanks, tabs, line ends and backslashes of mount points as three octal digits.
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}
