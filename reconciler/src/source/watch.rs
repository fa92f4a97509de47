//! Being told that a file or directory may have changed. What is told is only "look again": the fetch decides by digest,
//! and a slow poll in the loop is the net beneath every kind of change that no watch reports.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode,
    event::{AccessKind, AccessMode},
};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache, new_debouncer_opt};
use tokio::sync::Notify;

/// How long a directory has to be quiet before it is read: editors write, rename and touch within a few
/// milliseconds, and a person does not notice this much.
pub const QUIET: Duration = Duration::from_millis(50);

/// As many symlinks as Linux follows in one path.
const MAX_LINKS: u32 = 40;

/// Watches some files and directories, and wakes one reader.
pub struct Watch {
    debouncer: Debouncer<RecommendedWatcher, NoCache>,
    roots: Vec<Root>,
    /// Directories that are watched for names in them, not for what lies deeper.
    folders: BTreeMap<PathBuf, Identity>,
    relevant: Relevant,
}

/// Paths at or beneath which a change is told. A folder is watched for some names; everything else in it, and it may
/// be a busy directory, is no concern of ours.
type Relevant = Arc<Mutex<BTreeSet<PathBuf>>>;

/// Device and inode.
type Identity = (u64, u64);

/// One root and what of it is being watched now.
struct Root {
    /// Absolute, symlinks not resolved.
    path: PathBuf,
    /// The directory that the path led to when it was watched, with all that lies in it. A file is watched as a name
    /// in its folder instead: a watch on the file itself ends where another takes its place.
    tree: Option<(PathBuf, Identity)>,
}

/// The kernel gave no watch, for instance because the user's limit of inotify instances is reached.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A path has no absolute form.
    #[error("the path {} cannot be watched", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no watch to be had.
    #[error("directories cannot be watched")]
    Watch(#[from] notify::Error),
}

impl Watch {
    /// Watches `roots`, files or directories, whether they are there or not, and notifies `wake` after each change,
    /// and once at first for whatever happened before.
    ///
    /// # Errors
    /// There is no watch to be had at all.
    pub fn start(roots: &[PathBuf], wake: Arc<Notify>) -> Result<Self, WatchError> {
        let watched = |path: &PathBuf| {
            let absolute = std::path::absolute(path);
            let path = absolute.map_err(|source| WatchError::Path { path: path.clone(), source })?;
            Ok(Root { path, tree: None })
        };
        let roots = roots.iter().map(watched).collect::<Result<Vec<_>, WatchError>>()?;
        let relevant = Relevant::default();
        let tell = {
            let (wake, relevant) = (Arc::clone(&wake), Arc::clone(&relevant));
            move |events: DebounceEventResult| {
                if tells_of_a_change(&events, &lock(&relevant)) {
                    wake.notify_one();
                }
            }
        };
        // Links out of a source would otherwise have the whole file system watched.
        let config = notify::Config::default().with_follow_symlinks(false);
        let debouncer = new_debouncer_opt(QUIET, Some(QUIET / 4), tell, NoCache, config)?;
        let mut watch = Self { debouncer, roots, folders: BTreeMap::new(), relevant };
        watch.renew();
        wake.notify_one();
        Ok(watch)
    }

    /// Follows each root to where it is now. To be called after every wake and with every poll: a watch sits on
    /// an inode, and a root that was removed, replaced or swapped as a symlink has another.
    pub fn renew(&mut self) {
        let Self { debouncer, roots, folders, relevant } = self;
        let mut names = BTreeSet::new();
        for root in &mut *roots {
            let end = names_to(&root.path, &mut names);
            let tree = identify(&end).filter(|_| end.is_dir()).map(|identity| (end, identity));
            if let Some(gone) = root.follow(tree, debouncer) {
                folders.retain(|folder, _| !folder.starts_with(&gone));
            }
        }
        let trees: BTreeSet<&Path> = roots.iter().filter_map(Root::watched).collect();
        let is_apart = |folder: &&Path| !folder.ancestors().any(|part| trees.contains(part));
        let wanted = names.iter().filter_map(|name| name.parent()).filter(is_apart).collect();
        watch_folders(folders, &wanted, &trees, debouncer);
        let trees = trees.into_iter().map(Path::to_owned);
        *lock(relevant) = names.iter().cloned().chain(trees).collect();
    }
}

impl Root {
    /// Watches `now` instead of what was watched; returns what is watched no more.
    fn follow(
        &mut self,
        now: Option<(PathBuf, Identity)>,
        debouncer: &mut Debouncer<RecommendedWatcher, NoCache>,
    ) -> Option<PathBuf> {
        if now == self.tree {
            return None;
        }
        let gone = self.tree.take();
        if let Some((path, identity)) = &gone {
            unwatch(path, *identity, debouncer);
        }
        if let Some((path, identity)) = now {
            match debouncer.watch(&path, RecursiveMode::Recursive) {
                Ok(()) => self.tree = Some((path, identity)),
                Err(error) => tracing::warn!(path = %path.display(), %error, "only polled, not watched"),
            }
        }
        gone.map(|(path, _)| path)
    }

    fn watched(&self) -> Option<&Path> {
        self.tree.as_ref().map(|(path, _)| path.as_path())
    }
}

/// Watches the `wanted` folders, which lie in none of the `trees`, and no other.
fn watch_folders(
    folders: &mut BTreeMap<PathBuf, Identity>,
    wanted: &BTreeSet<&Path>,
    trees: &BTreeSet<&Path>,
    debouncer: &mut Debouncer<RecommendedWatcher, NoCache>,
) {
    folders.retain(|folder, identity| {
        let stays = wanted.contains(folder.as_path()) && identify(folder) == Some(*identity);
        // A tree that begins at the folder has taken its watch over.
        if !stays && !trees.contains(folder.as_path()) {
            unwatch(folder, *identity, debouncer);
        }
        stays
    });
    for folder in wanted {
        if !folders.contains_key(*folder)
            && let Some(identity) = identify(folder)
            && debouncer.watch(folder, RecursiveMode::NonRecursive).is_ok()
        {
            folders.insert((*folder).to_owned(), identity);
        }
    }
}

/// Ends a watch, unless the kernel has: it does where the directory is gone.
fn unwatch(path: &Path, identity: Identity, debouncer: &mut Debouncer<RecommendedWatcher, NoCache>) {
    if identify(path) == Some(identity) {
        let _gone_meanwhile = debouncer.unwatch(path);
    }
}

/// Adds the names that decide what `path` leads to, each in a directory without symlinks: every symlink on the way,
/// and what is at its end or, where the way is broken, the first that is not there. Returns the last.
fn names_to(path: &Path, names: &mut BTreeSet<PathBuf>) -> PathBuf {
    let mut at = PathBuf::new();
    let mut rest: Vec<OsString> = reversed(path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let name = at.join(&part);
        match std::fs::read_link(&name) {
            Ok(link) if links < MAX_LINKS => {
                links += 1;
                names.insert(name);
                rest.extend(reversed(&link));
            }
            Ok(_) => break,
            // An absolute link begins again at the root, which is no link.
            Err(_) => at = name,
        }
        if !at.exists() {
            break;
        }
    }
    names.insert(at.clone());
    at
}

fn reversed(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// Which file is at `path`.
fn identify(path: &Path) -> Option<Identity> {
    let stat = rustix::fs::stat(path).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// Whether anything but reading happened where it matters: the fetch itself opens every file. Errors, and events that
/// name no path, count as a change, because an overflowing queue is one.
fn tells_of_a_change(events: &DebounceEventResult, relevant: &BTreeSet<PathBuf>) -> bool {
    let matters = |event: &notify::Event| {
        event.paths.is_empty()
            || event.paths.iter().any(|path| path.ancestors().any(|part| relevant.contains(part)))
    };
    events.as_ref().map_or(true, |events| {
        events.iter().any(|event| match event.kind {
            EventKind::Access(AccessKind::Close(mode)) => mode == AccessMode::Write && matters(event),
            EventKind::Access(_) => false,
            _ => matters(event),
        })
    })
}

fn lock(relevant: &Relevant) -> MutexGuard<'_, BTreeSet<PathBuf>> {
    relevant.lock().unwrap_or_else(PoisonError::into_inner)
}
