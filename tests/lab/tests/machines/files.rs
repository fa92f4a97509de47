//! Files into and out of a machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use faultline_lab::{KernelId, Machine, Share, VmError};

use super::{boot, boot_on, shell, small};

/// More than a window of the link, and not a multiple of anything.
fn content() -> Vec<u8> {
    (0..1_000_003_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn files_are_there_from_the_start_with_their_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\necho \"ran with $1\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o750)).unwrap();
    let machine = small().with_file(&script, Some("/opt/deep/script"));
    let Some(vm) = boot_on(&KernelId::V6_1, &machine) else { return };
    assert_eq!(shell(&vm, "/opt/deep/script this; stat -c %a /opt/deep/script").text(), "ran with this\n750");
}

#[test]
fn what_is_put_in_comes_out_again() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (original, copy) = (folder.path().join("original"), folder.path().join("copy"));
    fs::write(&original, content()).unwrap();
    vm.put(&original, "/data/here/it is").unwrap();
    vm.get("/data/here/it is", &copy).unwrap();
    assert!(fs::read(&copy).unwrap() == content());
    vm.collect("/data", folder.path()).unwrap();
    assert!(fs::read(folder.path().join("data/here/it is")).unwrap() == content());
}

#[test]
fn a_file_that_cannot_be_copied_is_named_with_the_reason() {
    let Some(vm) = boot(&KernelId::V6_1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let errors = [
        vm.get("/no/such/file", folder.path().join("copy")),
        vm.put("/etc/hostname", "/proc/version"),
        vm.collect("/no/such/folder", folder.path()),
        vm.put("/no/such/original", "/tmp/copy"),
    ];
    for error in errors {
        let Err(VmError::Copy { path, reason }) = error else { panic!("{error:?}") };
        assert!(path.starts_with("/no/such") || path == "/proc/version", "{path}: {reason}");
        assert!(!reason.is_empty());
    }
}

#[test]
fn a_shared_folder_is_read_in_place_and_never_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), content()).unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\necho ran\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    for id in [KernelId::V6_1, KernelId::V6_12, KernelId::Stock] {
        let shares = vec![Share { host: folder.path().into(), guest: "/shared/here".into() }];
        let Some(vm) = boot_on(&id, &Machine { shares, ..small() }) else { return };
        assert_eq!(shell(&vm, "wc -c < /shared/here/file; /shared/here/script").text(), "1000003\nran");
        assert!(!shell(&vm, "echo x > /shared/here/new").success());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
