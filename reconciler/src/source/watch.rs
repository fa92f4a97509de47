//! Being told that a directory may have changed. What is told is only "look again": the fetch decides by digest,
//! and a slow poll in the loop is the net beneath every kind of change that no watch reports.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, event::AccessKind};
use notify_debouncer_full::{DebounceEventResult, Debouncer, NoCache, new_debouncer_opt};
use tokio::sync::Notify;

/// How long a directory has to be quiet before it is read: editors write, rename and touch within a few
/// milliseconds, and a person does not notice this much.
pub const QUIET: Duration = Duration::from_millis(50);

/// Watches the directories of some sources and wakes one reader.
pub struct Watch {
    debouncer: Debouncer<RecommendedWatcher, NoCache>,
    roots: Vec<Watched>,
}

/// One root and what of it is being watched now.
struct Watched {
    path: PathBuf,
    /// The directory that the path led to when it was watched, with its device and inode.
    target: Option<(PathBuf, (u64, u64))>,
    /// The directory that holds the root's name: it sees the root replaced, and comes back to life with it.
    parent: Option<PathBuf>,
}

/// The kernel gave no watch, for instance because the user's limit of inotify instances is reached.
#[derive(Debug, thiserror::Error)]
#[error("directories cannot be watched: {0}")]
pub struct WatchError(#[from] notify::Error);

impl Watch {
    /// Watches `roots`, whether they are there or not, and notifies `wake` after each change. It is notified
    /// once at first for anything that happened before.
    ///
    /// # Errors
    /// There is no watch to be had at all.
    pub fn start(roots: &[PathBuf], wake: Arc<Notify>) -> Result<Self, WatchError> {
        // Links out of a source would otherwise have the whole file system watched.
        let config = notify::Config::default().with_follow_symlinks(false);
        let tell = {
            let wake = Arc::clone(&wake);
            move |events: DebounceEventResult| {
                if tells_of_a_change(&events) {
                    wake.notify_one();
                }
            }
        };
        let debouncer = new_debouncer_opt(QUIET, Some(QUIET / 4), tell, NoCache, config)?;
        let roots =
            roots.iter().map(|path| Watched { path: path.clone(), target: None, parent: None }).collect();
        let mut watch = Self { debouncer, roots };
        watch.renew();
        wake.notify_one();
        Ok(watch)
    }

    /// Follows each root to where it is now. To be called after every wake and with every poll: a watch sits on
    /// an inode, and a root that was removed, replaced or swapped as a symlink has another.
    pub fn renew(&mut self) {
        let Self { debouncer, roots } = self;
        for root in roots {
            root.renew(debouncer);
        }
    }
}

impl Watched {
    fn renew(&mut self, debouncer: &mut Debouncer<RecommendedWatcher, NoCache>) {
        let now = identify(&self.path);
        if now != self.target {
            if let Some((gone, _)) = self.target.take() {
                // It fails where the directory is gone, and its watch with it.
                let _gone_already = debouncer.unwatch(&gone);
            }
            if let Some((path, identity)) = now {
                match debouncer.watch(&path, RecursiveMode::Recursive) {
                    Ok(()) => self.target = Some((path, identity)),
                    Err(error) => tracing::warn!(path = %path.display(), %error, "only polled, not watched"),
                }
            }
        }
        let parent = self
            .path
            .parent()
            .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
        if self.parent.is_none()
            && let Some(parent) = parent
            && debouncer.watch(parent, RecursiveMode::NonRecursive).is_ok()
        {
            self.parent = Some(parent.to_owned());
        }
    }
}

/// Where `path` leads, symlinks resolved, and which directory that is.
fn identify(path: &Path) -> Option<(PathBuf, (u64, u64))> {
    let path = path.canonicalize().ok()?;
    let stat = rustix::fs::stat(&path).ok()?;
    Some((path, (stat.st_dev, stat.st_ino)))
}

/// Whether anything but reading happened: the fetch itself opens every file. Errors count as a change, because an
/// overflowing queue is one.
fn tells_of_a_change(events: &DebounceEventResult) -> bool {
    events.as_ref().map_or(true, |events| {
        events.iter().any(|event| match event.kind {
            EventKind::Access(AccessKind::Close(mode)) => mode == notify::event::AccessMode::Write,
            EventKind::Access(_) => false,
            _ => true,
        })
    })
}
