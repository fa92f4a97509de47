//! The directory source on real directories: what is read, what is refused, and what a change looks like.
#![forbid(unsafe_code)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use faultline_core::tree::{Fetched, Role, Tree};
use faultline_reconciler::source::{Directory, Limits, watch::Watch};
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tokio::{sync::Notify, time::timeout};

const MAX_STALE: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn source(path: &Path) -> Directory {
    Directory::new("demo", Role::Experiments, path.to_owned(), MAX_STALE)
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn fresh(directory: &mut Directory) -> Arc<Tree> {
    match directory.fetch(NOW) {
        Fetched::Fresh(tree) => tree,
        other => panic!("expected a fresh tree, got {other:?}"),
    }
}

fn paths(tree: &Tree) -> Vec<&str> {
    tree.files.keys().map(String::as_str).collect()
}

#[test]
fn documents_and_modules_are_read_and_nothing_else() {
    let root = TempDir::new().unwrap();
    for path in [
        "a.yaml",
        "b/c.yml",
        "b/d.json",
        "m/cap.wasm",
        "README.md",
        ".git/x.yaml",
        ".a.yaml.swp",
        "b/.#c.yml",
    ] {
        write(root.path(), path, path);
    }
    let tree = fresh(&mut source(root.path()));
    assert_eq!(paths(&tree), ["a.yaml", "b/c.yml", "b/d.json", "m/cap.wasm"]);
    assert_eq!(&*tree.files["b/c.yml"], b"b/c.yml");
    assert!(tree.refused.is_empty());
}

#[test]
fn the_revision_depends_on_paths_and_contents_only() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for path in ["a.yaml", "b.yaml", "c/d.yaml"] {
        write(one.path(), path, path);
    }
    for path in ["c/d.yaml", "b.yaml", "a.yaml"] {
        write(two.path(), path, path);
    }
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    fs::File::options().write(true).open(two.path().join("a.yaml")).unwrap().set_times(old).unwrap();
    let revision = |root: &TempDir| fresh(&mut source(root.path())).source.revision.clone();
    assert_eq!(revision(&one), revision(&two));
    assert!(revision(&one).starts_with("sha256:") && revision(&one).len() == 7 + 64);
    write(two.path(), "a.yaml", "a.yaml ");
    assert_ne!(revision(&one), revision(&two));
    fs::rename(one.path().join("a.yaml"), one.path().join("aa.yaml")).unwrap();
    assert_ne!(revision(&one), revision(&two));
}

#[test]
fn a_mounted_config_map_shows_each_file_once_and_swaps_at_once() {
    let root = TempDir::new().unwrap();
    let root = root.path();
    write(root, "..2026_01/a.yaml", "old a");
    write(root, "..2026_01/sub/b.yaml", "old b");
    symlink("..2026_01", root.join("..data")).unwrap();
    symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    symlink("..data/sub", root.join("sub")).unwrap();
    let mut directory = source(root);
    let before = fresh(&mut directory);
    assert_eq!(paths(&before), ["a.yaml", "sub/b.yaml"]);
    assert_eq!(&*before.files["a.yaml"], b"old a");

    write(root, "..2026_02/a.yaml", "new a");
    write(root, "..2026_02/sub/b.yaml", "new b");
    symlink("..2026_02", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    fs::remove_dir_all(root.join("..2026_01")).unwrap();
    let after = fresh(&mut directory);
    assert_eq!(paths(&after), ["a.yaml", "sub/b.yaml"]);
    assert_eq!((&*after.files["a.yaml"], &*after.files["sub/b.yaml"]), (&b"new a"[..], &b"new b"[..]));
}

#[test]
fn a_symlink_never_shows_documents_a_second_time_but_names_modules_freely() {
    let root = TempDir::new().unwrap();
    write(root.path(), "real/a.yaml", "a");
    write(root.path(), "real/cap.wasm", "wasm");
    symlink("real", root.path().join("alias")).unwrap();
    symlink("real/a.yaml", root.path().join("0.yaml")).unwrap();
    symlink("../real", root.path().join("real/loop")).unwrap();
    let tree = fresh(&mut source(root.path()));
    assert_eq!(
        paths(&tree).into_iter().filter(|path| !path.contains("loop")).collect::<Vec<_>>(),
        ["alias/cap.wasm", "real/a.yaml", "real/cap.wasm"]
    );
    assert!(paths(&tree).iter().all(|path| !path.ends_with(".yaml") || *path == "real/a.yaml"));
}

#[test]
fn symlinks_out_of_the_source_are_refused_with_the_reason() {
    let (root, outside) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write(outside.path(), "secret.yaml", "secret");
    write(root.path(), "good.yaml", "good");
    symlink(outside.path().join("secret.yaml"), root.path().join("absolute.yaml")).unwrap();
    symlink("../../../../etc/passwd", root.path().join("up.yaml")).unwrap();
    symlink(outside.path(), root.path().join("directory")).unwrap();
    symlink("nowhere.yaml", root.path().join("dangling.yaml")).unwrap();
    symlink("/proc/self/root/etc/hostname", root.path().join("magic.yaml")).unwrap();
    let tree = fresh(&mut source(root.path()));
    assert_eq!(paths(&tree), ["good.yaml"]);
    for path in ["absolute.yaml", "up.yaml", "directory", "magic.yaml"] {
        assert_eq!(tree.refused[path], "the symlink leads out of the source", "{path}");
    }
    assert_eq!(tree.refused["dangling.yaml"], "the symlink leads nowhere");
}

#[test]
fn a_folder_that_a_symlink_no_longer_reaches_is_refused_and_not_left_out() {
    let root = TempDir::new().unwrap();
    write(root.path(), ".releases/v1/a.yaml", "a");
    write(root.path(), "LICENSE", "of no interest");
    symlink(".releases/v1", root.path().join("org")).unwrap();
    symlink("LICENSE", root.path().join("COPYING")).unwrap();
    let mut directory = source(root.path());
    let before = fresh(&mut directory);
    assert_eq!((paths(&before), before.refused.len()), (vec!["org/a.yaml"], 0));

    fs::rename(root.path().join(".releases/v1"), root.path().join(".releases/v2")).unwrap();
    symlink("LICENSE/inside", root.path().join("below-a-file")).unwrap();
    let after = fresh(&mut directory);
    assert!(after.files.is_empty());
    assert_eq!(after.refused["org"], "the symlink leads nowhere");
    assert!(after.refused["below-a-file"].starts_with("it cannot be read"), "{:?}", after.refused);
    assert_eq!(after.refused.len(), 2);
}

#[test]
fn what_is_not_a_regular_file_is_refused_and_never_opened() {
    let root = TempDir::new().unwrap();
    let make =
        |name: &str, kind| mknodat(CWD, root.path().join(name), kind, Mode::RUSR, rustix::fs::makedev(1, 3));
    make("fifo.yaml", FileType::Fifo).unwrap();
    let _socket = UnixListener::bind(root.path().join("socket.yaml")).unwrap();
    let device = make("device.yaml", FileType::CharacterDevice).is_ok();
    let tree = fresh(&mut source(root.path()));
    assert!(tree.files.is_empty());
    assert_eq!(tree.refused["fifo.yaml"], "it is a fifo and not a regular file");
    assert_eq!(tree.refused["socket.yaml"], "it is a socket and not a regular file");
    // Making a device takes root; a link to one does not help a writer of the source, since it leads out.
    if device {
        assert_eq!(tree.refused["device.yaml"], "it is a device and not a regular file");
    }
}

#[test]
fn bounds_refuse_one_file_or_fail_the_fetch_but_never_shorten_a_tree() {
    let root = TempDir::new().unwrap();
    for name in ["a.yaml", "b.yaml", "c.yaml"] {
        write(root.path(), name, "0123456789");
    }
    write(root.path(), "huge.yaml", &"x".repeat(101));
    write(root.path(), "1/2/3/deep.yaml", "x");
    let limited = |limits: Limits| source(root.path()).with_limits(limits).fetch(NOW);
    let limits = Limits { document_bytes: 100, depth: 2, ..Limits::default() };
    let Fetched::Fresh(tree) = limited(limits) else { panic!("one file stops only itself") };
    assert_eq!(paths(&tree), ["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!(tree.refused["huge.yaml"], "it is larger than 100 bytes");
    assert_eq!(tree.refused["1/2/3"], "it is more than 2 directories deep");
    for (limits, wanted) in [
        (Limits { files: 3, ..Limits::default() }, "more than 3 files"),
        (Limits { entries: 4, ..Limits::default() }, "more than 4 directory entries"),
        (Limits { total_bytes: 100, ..Limits::default() }, "larger than 100 bytes together"),
    ] {
        let Fetched::Missing { error, .. } = limited(limits) else { panic!("{wanted}") };
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn a_root_that_vanishes_is_stale_then_expired_and_never_empty() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("tree");
    write(&path, "a.yaml", "a");
    let mut directory = source(&path);
    let good = fresh(&mut directory);
    fs::rename(&path, root.path().join("elsewhere")).unwrap();
    for (seconds, wanted) in [(0, false), (59, false), (60, true), (3600, true)] {
        match directory.fetch(NOW + SignedDuration::from_secs(seconds)) {
            Fetched::Stale { tree, expired, error } => {
                assert_eq!((tree, expired), (Arc::clone(&good), wanted), "{seconds} s");
                assert!(error.contains("cannot be opened"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
    fs::rename(root.path().join("elsewhere"), &path).unwrap();
    assert!(Arc::ptr_eq(&fresh(&mut directory), &good), "the same tree is in force again");
    assert_eq!(directory.failing_since(), None);
}

#[test]
fn a_root_that_never_was_is_missing_and_an_empty_one_is_an_empty_tree() {
    let root = TempDir::new().unwrap();
    let missing = source(&root.path().join("nothing")).fetch(NOW);
    assert!(matches!(missing, Fetched::Missing { .. }), "{missing:?}");
    assert!(fresh(&mut source(root.path())).files.is_empty());
}

#[test]
fn a_tree_that_is_being_rewritten_is_read_as_it_was_at_one_moment() {
    let root = TempDir::new().unwrap();
    let generation = |number: usize| {
        let path = root.path().join(format!("..{number}"));
        for name in ["a", "b", "c", "d"] {
            write(&path, &format!("{name}.yaml"), &number.to_string());
        }
        symlink(format!("..{number}"), root.path().join("..tmp")).unwrap();
        fs::rename(root.path().join("..tmp"), root.path().join("..data")).unwrap();
    };
    generation(0);
    for name in ["a", "b", "c", "d"] {
        symlink(format!("..data/{name}.yaml"), root.path().join(format!("{name}.yaml"))).unwrap();
    }
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..300).for_each(generation));
        let mut directory = source(root.path());
        while !writer.is_finished() {
            if let Fetched::Fresh(tree) = directory.fetch(NOW) {
                let contents: Vec<_> = tree.files.values().collect();
                assert_eq!(contents.len(), 4);
                assert!(
                    contents.iter().all(|content| *content == contents[0]),
                    "a mixture of two generations"
                );
            }
        }
    });
}

#[test]
fn renames_elsewhere_on_the_machine_break_no_file() {
    let (root, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write(root.path(), ".shared/a.yaml", "a");
    fs::create_dir(root.path().join("team")).unwrap();
    symlink("../.shared/a.yaml", root.path().join("team/a.yaml")).unwrap();
    let (one, two) = (elsewhere.path().join("1"), elsewhere.path().join("2"));
    fs::write(&one, "").unwrap();
    let (mut directory, done) = (source(root.path()), AtomicBool::new(false));
    let refused: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(&one, &two).unwrap();
                fs::rename(&two, &one).unwrap();
            }
        });
        let fetched: Vec<_> = (0..2000).map(|_| directory.fetch(NOW)).collect();
        done.store(true, Ordering::Relaxed);
        let trees = fetched.into_iter().filter_map(|fetched| match fetched {
            Fetched::Fresh(tree) => Some(tree.refused.clone()),
            Fetched::Stale { .. } | Fetched::Missing { .. } => None,
        });
        trees.flatten().collect()
    });
    assert_eq!(refused, []);
    assert_eq!(paths(&fresh(&mut directory)), ["team/a.yaml"]);
}

/// Whether a change is told within the time, and what the tree is then.
async fn told(wake: &Notify, watch: &mut Watch) -> bool {
    let told = timeout(Duration::from_secs(5), wake.notified()).await.is_ok();
    watch.renew();
    told
}

/// Drains what is still on its way, so that the next change is told for its own sake.
async fn quiet(wake: &Notify, watch: &mut Watch) {
    while timeout(Duration::from_millis(300), wake.notified()).await.is_ok() {
        watch.renew();
    }
}

#[tokio::test]
async fn every_way_of_changing_a_directory_wakes_and_reading_it_does_not() {
    let base = TempDir::new().unwrap();
    let root = base.path().join("tree");
    write(&root, "a.yaml", "a");
    let wake = Arc::new(Notify::new());
    let mut watch = Watch::start(std::slice::from_ref(&root), Arc::clone(&wake)).unwrap();
    let changes: [(&str, &dyn Fn()); 8] = [
        ("a write in place", &|| write(&root, "a.yaml", "b")),
        ("an editor's save", &|| {
            write(&root, ".a.yaml.tmp", "c");
            fs::rename(root.join("a.yaml"), root.join("a.yaml~")).unwrap();
            fs::rename(root.join(".a.yaml.tmp"), root.join("a.yaml")).unwrap();
        }),
        ("a new directory with a file", &|| write(&root, "new/deeper/b.yaml", "b")),
        ("a change deep inside it", &|| write(&root, "new/deeper/b.yaml", "c")),
        ("a removal", &|| fs::remove_file(root.join("new/deeper/b.yaml")).unwrap()),
        ("the root deleted", &|| fs::remove_dir_all(&root).unwrap()),
        ("the root made again", &|| write(&root, "a.yaml", "again")),
        ("a change in the new root", &|| write(&root, "a.yaml", "after")),
    ];
    let mut directory = source(&root);
    for (what, change) in changes {
        quiet(&wake, &mut watch).await;
        directory.fetch(NOW);
        fs::write(base.path().join("neighbour.log"), what).unwrap();
        let woken = timeout(Duration::from_millis(300), wake.notified()).await;
        assert!(woken.is_err(), "reading, or a neighbour, woke, before {what}");
        change();
        assert!(told(&wake, &mut watch).await, "{what} did not wake");
    }
    quiet(&wake, &mut watch).await;
    assert_eq!(&*fresh(&mut directory).files["a.yaml"], b"after");
}

#[tokio::test]
async fn a_root_that_is_a_swapped_symlink_is_followed() {
    let base = TempDir::new().unwrap();
    write(base.path(), "one/a.yaml", "1");
    write(base.path(), "two/a.yaml", "2");
    let root = base.path().join("root");
    symlink("one", &root).unwrap();
    let wake = Arc::new(Notify::new());
    let mut watch = Watch::start(std::slice::from_ref(&root), Arc::clone(&wake)).unwrap();
    quiet(&wake, &mut watch).await;
    symlink("two", base.path().join("next")).unwrap();
    fs::rename(base.path().join("next"), &root).unwrap();
    assert!(told(&wake, &mut watch).await, "the swap");
    quiet(&wake, &mut watch).await;
    write(base.path(), "two/a.yaml", "3");
    assert!(told(&wake, &mut watch).await, "a change behind the new link");
    assert_eq!(&*fresh(&mut source(&root)).files["a.yaml"], b"3");
}

/// A file behind the links of a mounted `ConfigMap`: `inventory.yaml` → `..data/inventory.yaml`, `..data` → `one`.
fn mounted(base: &Path) -> std::path::PathBuf {
    write(base, "one/inventory.yaml", "1");
    write(base, "two/inventory.yaml", "2");
    symlink("one", base.join("..data")).unwrap();
    symlink("..data/inventory.yaml", base.join("inventory.yaml")).unwrap();
    base.join("inventory.yaml")
}

#[tokio::test]
async fn every_way_of_replacing_a_file_wakes_within_half_a_second_and_its_neighbours_do_not() {
    let base = TempDir::new().unwrap();
    let file = mounted(base.path());
    let replace = |name: &str| {
        write(base.path(), "aside", name);
        fs::rename(base.path().join("aside"), base.path().join(name)).unwrap();
    };
    let swap = |to: &str, link: &str| {
        symlink(to, base.path().join("next")).unwrap();
        fs::rename(base.path().join("next"), base.path().join(link)).unwrap();
    };
    let changes: [(&str, &dyn Fn()); 9] = [
        ("the swap of a directory's link", &|| swap("two", "..data")),
        ("a write in place behind the links", &|| write(base.path(), "two/inventory.yaml", "3")),
        ("a file moved over the one behind the links", &|| replace("two/inventory.yaml")),
        ("a file moved over the link", &|| replace("inventory.yaml")),
        ("another moved over it", &|| replace("inventory.yaml")),
        ("a write in place", &|| write(base.path(), "inventory.yaml", "4")),
        ("the file removed", &|| fs::remove_file(&file).unwrap()),
        ("a link to what is not there", &|| swap("three/inventory.yaml", "inventory.yaml")),
        ("that directory made", &|| write(base.path(), "three/inventory.yaml", "5")),
    ];
    let wake = Arc::new(Notify::new());
    let mut watch = Watch::start(std::slice::from_ref(&file), Arc::clone(&wake)).unwrap();
    for (what, change) in changes {
        quiet(&wake, &mut watch).await;
        write(base.path(), "neighbour.log", what);
        let woken = timeout(Duration::from_millis(200), wake.notified()).await;
        assert!(woken.is_err(), "a neighbour woke, before {what}");
        change();
        let told = timeout(Duration::from_millis(500), wake.notified()).await;
        assert!(told.is_ok(), "{what} did not wake in time");
        watch.renew();
    }
}

#[tokio::test]
async fn a_file_within_a_watched_directory_takes_nothing_from_its_watch() {
    let base = TempDir::new().unwrap();
    let root = base.path().join("tree");
    write(&root, "inventory.yaml", "1");
    let wake = Arc::new(Notify::new());
    let mut watch = Watch::start(&[root.clone(), root.join("inventory.yaml")], Arc::clone(&wake)).unwrap();
    quiet(&wake, &mut watch).await;
    write(&root, "new/deeper/b.yaml", "b");
    assert!(told(&wake, &mut watch).await, "a new directory");
    quiet(&wake, &mut watch).await;
    write(&root, "new/deeper/b.yaml", "c");
    assert!(told(&wake, &mut watch).await, "a change deep inside it");
}
