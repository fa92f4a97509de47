//! Being told that a directory may have changed. What is told is only "look again": the fetch decides by digest,
//! and a slow poll in the loop is the net beneath every kind of change that no watch reports.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
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

/// Watches the directories of some sources and wakes one reader.
pub struct Watch {
    debouncer: Debouncer<RecommendedWatcher, NoCache>,
    roots: Vec<Watched>,
    relevant: Relevant,
}

/// Paths at or beneath which a change is told. A root's parent is watched for the root's own name; everything else in
/// it, and it may be a busy directory, is no concern of ours.
type Relevant = Arc<Mutex<BTreeSet<PathBuf>>>;

/// One root and what of it is being watched now.
struct Watched {
    /// Absolute, symlinks not resolved.
    path: PathBuf,
    /// What the path led to when it was watched, with its device and inode.
    target: Option<(PathBuf, (u64, u64))>,
    /// Whether the directory that holds the root's name is watched: it sees the root replaced or made again.
    parent_watched: bool,
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
            Ok(Watched { path, target: None, parent_watched: false })
        };
        let roots = roots.iter().map(watched).collect::<Result<Vec<_>, WatchError>>()?;
        let relevant: Relevant = Arc::new(Mutex::new(roots.iter().map(|root| root.path.clone()).collect()));
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
        let mut watch = Self { debouncer, roots, relevant };
        watch.renew();
        wake.notify_one();
        Ok(watch)
    }

    /// Follows each root to where it is now. To be called after every wake and with every poll: a watch sits on
    /// an inode, and a root that was removed, replaced or swapped as a symlink has another.
    pub fn renew(&mut self) {
        let Self { debouncer, roots, relevant } = self;
        for root in roots {
            root.renew(debouncer, relevant);
        }
    }
}

impl Watched {
    fn renew(&mut self, debouncer: &mut Debouncer<RecommendedWatcher, NoCache>, relevant: &Relevant) {
        let now = identify(&self.path);
        if now != self.target {
            if let Some((gone, _)) = self.target.take() {
                // It fails where the directory is gone, and its watch with it.
                let _gone_already = debouncer.unwatch(&gone);
            }
            if let Some((path, identity)) = now {
                match debouncer.watch(&path, RecursiveMode::Recursive) {
                    Ok(()) => {
                        lock(relevant).insert(path.clone());
                        self.target = Some((path, identity));
                    }
                    Err(error) => tracing::warn!(path = %path.display(), %error, "only polled, not watched"),
                }
            }
        }
        if !self.parent_watched
            && let Some(parent) = self.path.parent()
        {
            self.parent_watched = debouncer.watch(parent, RecursiveMode::NonRecursive).is_ok();
        }
    }
}

/// Where `path` leads, symlinks resolved, and which file that is.
fn identify(path: &Path) -> Option<(PathBuf, (u64, u64))> {
    let path = path.canonicalize().ok()?;
    let stat = rustix::fs::stat(&path).ok()?;
    Some((path, (stat.st_dev, stat.st_ino)))
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
