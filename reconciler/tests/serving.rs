//! `faultline run` and `up` where something is in the way: how they start and stop.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn faultline(within: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faultline"));
    command.args(arguments).current_dir(within).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// A free port a moment ago, and nobody else here asks for one by number.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A directory with nothing to do in it, and a reconciler that works there by relative paths.
struct Running {
    root: TempDir,
    admin: SocketAddr,
    child: Child,
}

impl Running {
    fn start() -> Self {
        let (root, admin) = (tempfile::tempdir().unwrap(), free());
        fs::create_dir(root.path().join("experiments")).unwrap();
        fs::write(root.path().join("inventory.yaml"), "observedAt: 2026-01-01T00:00:00Z\n").unwrap();
        let listen = format!("--listen=unix:{}", root.path().join("agents.sock").display());
        let child = faultline(root.path(), &["run", "--source=experiments", "--inventory=inventory.yaml"])
            .args(["--state-dir=state", &listen, &format!("--admin-listen={admin}")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut running = Self { root, admin, child };
        let there = running.eventually(|running| {
            faultline(running.root.path(), &["get", "runs", "--admin", &running.admin.to_string()])
                .output()
                .unwrap()
                .status
                .success()
        });
        assert!(there, "it serves: {:?}", running.child.try_wait());
        running
    }

    fn eventually(&mut self, mut wanted: impl FnMut(&mut Self) -> bool) -> bool {
        #[expect(clippy::disallowed_methods, reason = "a test waits")]
        let began = Instant::now();
        while !wanted(self) {
            if began.elapsed() > PATIENCE {
                return false;
            }
            sleep(Duration::from_millis(50));
        }
        true
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, once it has ended within `patience`.
    fn ends_within(&mut self, patience: Duration) -> Option<i32> {
        #[expect(clippy::disallowed_methods, reason = "a test waits")]
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            sleep(Duration::from_millis(20));
        }
        None
    }

    /// Clients that never say what they want, of the admin interface and of the agents' socket.
    fn half_open(&self) -> (TcpStream, UnixStream) {
        let mut asking = TcpStream::connect(self.admin).unwrap();
        asking.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
        (asking, UnixStream::connect(self.root.path().join("agents.sock")).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn relative_directories_will_do_and_connections_that_are_half_open_keep_nothing_from_stopping() {
    let mut running = Running::start();
    assert!(running.root.path().join("state/ledger.redb").exists());
    let _half_open = running.half_open();
    sleep(Duration::from_millis(500));
    running.signal(Signal::TERM);
    assert_eq!(running.ends_within(Duration::from_secs(15)), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut running = Running::start();
    let _half_open = running.half_open();
    sleep(Duration::from_millis(500));
    running.signal(Signal::INT);
    sleep(Duration::from_millis(300));
    running.signal(Signal::INT);
    assert_eq!(running.ends_within(Duration::from_secs(15)), Some(130));
}

#[test]
fn a_lease_that_cannot_be_granted_is_a_usage_error_before_anything_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let run: &[&str] = &["run", "--source=.", "--inventory=inventory.yaml"];
    let up: &[&str] = &["up", "--source=.", "--cgroups=."];
    for (command, ttl) in [(run, "0s"), (run, "1ns"), (run, "11m"), (run, "soon"), (up, "1ms")] {
        let output = faultline(root.path(), command)
            .args(["--state-dir=state", &format!("--lease-ttl={ttl}")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{ttl}: {text}");
        assert!(text.contains("--lease-ttl"), "{text}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{ttl}: nothing is left behind");
    }
}
