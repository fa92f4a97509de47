//! `cargo lab` as a person uses it.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use faultline_lab::KernelId;

use super::lab as kernel;

fn lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    lab(arguments).output().unwrap()
}

#[test]
fn the_commands_own_exit_code_and_streams_are_passed_through() {
    let Some(_) = kernel(&KernelId::V6_1) else { return };
    let output = run(&["run", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(run(&["run", "--", "sh", "-c", "kill -9 $$"]).status.code(), Some(137));
}

#[test]
fn failures_of_the_lab_itself_exit_with_125_and_a_reason() {
    let Some(_) = kernel(&KernelId::V6_1) else { return };
    // The host's own env, at a path that the guest does not have: the lab's programs may be static.
    let folder = tempfile::tempdir().unwrap();
    let dynamic = folder.path().join("env").display().to_string();
    fs::copy("/usr/bin/env", &dynamic).unwrap();
    for (arguments, reason) in [
        (&["run", "--", "no-such-command"][..], "could not be started"),
        (&["run", "--kernel", "/no/such/image", "--", "true"], "no kernel image at /no/such/image"),
        (&["run", "--timeout", "1", "--", "sleep", "1000"], "took longer than 1.0 s"),
        (&["run", "--", &dynamic], "needs libraries"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(125), "{arguments:?}");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(reason), "{arguments:?}: {message}");
    }
}

#[test]
fn input_goes_in_files_come_out_and_programs_are_shipped() {
    let Some(_) = kernel(&KernelId::V6_1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("upper");
    fs::write(&script, "#!/bin/sh\ntr a-z A-Z | tee /tmp/result\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = folder.path().display().to_string();
    let script = script.display().to_string();
    let mut command = lab(&["run", "--collect", "/tmp/result", "--out", &path, "--", &script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"HELLO");
    assert_eq!(fs::read(folder.path().join("result")).unwrap(), b"HELLO");
}

#[test]
fn a_lab_that_is_killed_leaves_no_machine_behind() {
    let Some(_) = kernel(&KernelId::V6_1) else { return };
    let mut command = lab(&["run", "--", "sh", "-c", "echo up; sleep 1000"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
    let machines = children_of(child.id());
    assert_eq!(machines.len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let gone = || machines.iter().all(|pid| !fs::exists(format!("/proc/{pid}")).unwrap());
    for _ in 0..100 {
        if gone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("QEMU {machines:?} still runs");
}

fn children_of(parent: u32) -> Vec<String> {
    let is_child = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    };
    let names =
        fs::read_dir("/proc").unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.parse::<u32>().is_ok()).filter(is_child).collect()
}
