//! A running machine: its QEMU, its control link, its serial log.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use faultline_lab_init::frame::{self, Exit, Frame, Message};
use faultline_lab_init::link::Link;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::cache::Cache;
use crate::exec::{Exec, Output, Process};
use crate::initramfs::{self, Contents, InitramfsError};
use crate::kernel::Kernel;
use crate::machine::{Accel, Machine, PortForward};
use crate::{accel, artifacts, clock, qemu};

/// Lines of the serial log that an error shows.
const TAIL_LINES: usize = 30;
/// From the request to end to the end of QEMU, before it is killed.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a machine did not boot.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Init could not be built.
    #[error("the lab's init could not be built")]
    Init(#[from] artifacts::ArtifactError),
    /// The first root file system could not be made.
    #[error(transparent)]
    Initramfs(#[from] InitramfsError),
    /// A file of the lab's own.
    #[error("cannot prepare the boot")]
    Prepare(#[from] io::Error),
    /// QEMU could not be started.
    #[error("cannot start {}", qemu::PROGRAM)]
    Qemu(#[source] io::Error),
    /// The machine died, or was not ready in time.
    #[error(transparent)]
    Vm(#[from] VmError),
}

/// What went wrong with a running machine.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// It ended, or its kernel panicked.
    #[error("the machine died; the end of {}:\n{tail}", log.display())]
    Died {
        /// Its last lines, QEMU's own complaints included.
        tail: String,
        /// The whole serial log.
        log: PathBuf,
    },
    /// It did not do something in time, and was killed.
    #[error("{what} took longer than {}; the end of {}:\n{tail}", clock::spoken(*limit), log.display())]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
        /// Its last lines.
        tail: String,
        /// The whole serial log.
        log: PathBuf,
    },
    /// The command is not there, or cannot be executed.
    #[error("the command could not be started in the guest: {0}")]
    NotStarted(String),
    /// A file could not be copied.
    #[error("cannot copy {path}: {reason}")]
    Copy {
        /// The file.
        path: String,
        /// What the side that failed says.
        reason: String,
    },
}

/// A machine that runs. Dropping it kills it.
pub struct Vm {
    shared: Arc<Shared>,
    supervisor: Option<JoinHandle<()>>,
    forwards: Vec<PortForward>,
    release: String,
    boot_time: Duration,
    _initramfs: tempfile::NamedTempFile,
}

/// What the machine's handle, its processes and its supervisor share.
pub(crate) struct Shared {
    link: Arc<Link>,
    process: OwnedFd,
    log: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    release: Option<String>,
    channels: u32,
    exits: HashMap<u32, Result<Exit, String>>,
    ended: bool,
}

impl Vm {
    pub(crate) fn boot(machine: &Machine, kernel: &Kernel) -> Result<Self, BootError> {
        let cache = Cache::from_env();
        let accel = match machine.accel {
            Accel::Auto => accel::choose(&cache, machine, kernel),
            chosen => chosen,
        };
        Self::boot_with(machine, kernel, accel, &cache)
    }

    pub(crate) fn boot_with(
        machine: &Machine,
        kernel: &Kernel,
        accel: Accel,
        cache: &Cache,
    ) -> Result<Self, BootError> {
        let initramfs = tempfile::Builder::new().prefix("faultline-initramfs-").tempfile()?;
        let shares =
            machine.shares.iter().enumerate().map(|(i, share)| (format!("share{i}"), share.guest.clone()));
        let contents = Contents {
            init: artifacts::init()?,
            modules: &kernel.modules,
            files: &machine.files,
            shares: shares.collect(),
        };
        initramfs::write(&contents, initramfs.reopen()?)?;
        let log = cache.new_log("serial")?;
        let forwards = resolve(&machine.forwards)?;
        let files = qemu::Files { kernel: &kernel.image, initramfs: initramfs.path(), serial_log: &log };
        let arguments = qemu::arguments(machine, accel, &forwards, &files);
        let began = clock::now();
        let (shared, supervisor) = supervise(arguments, log)?;
        let mut vm = Self {
            shared,
            supervisor: Some(supervisor),
            forwards,
            release: String::new(),
            boot_time: Duration::ZERO,
            _initramfs: initramfs,
        };
        vm.release =
            vm.shared.wait(Some(machine.boot_limit()), "the boot", |state| state.release.clone().map(Ok))?;
        vm.boot_time = began.elapsed();
        Ok(vm)
    }

    /// The kernel's release, as `uname -r` has it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.release
    }

    /// From the start of QEMU to init's first word.
    #[must_use]
    pub fn boot_time(&self) -> Duration {
        self.boot_time
    }

    /// The port of 127.0.0.1 that reaches this port of the guest, if it is forwarded.
    #[must_use]
    pub fn host_port(&self, guest: u16) -> Option<u16> {
        self.forwards.iter().find(|forward| forward.guest == guest).map(|forward| forward.host)
    }

    /// Starts a command; several run at once.
    ///
    /// # Errors
    /// When the machine is gone. That the command is not there is learned by waiting for it.
    pub fn exec(&self, exec: Exec) -> Result<Process, VmError> {
        Process::start(&self.shared, exec)
    }

    /// Runs a command to its end without input. At the limit the machine is killed.
    ///
    /// # Errors
    /// When it could not be started, the machine dies, or the limit passes.
    pub fn run(&self, exec: Exec, limit: Duration) -> Result<Output, VmError> {
        self.exec(exec)?.output(Some(limit))
    }

    /// The serial log: everything the kernel printed.
    #[must_use]
    pub fn serial_log(&self) -> &Path {
        &self.shared.log
    }

    /// Flushes the guest's disks and ends it.
    ///
    /// # Errors
    /// When it does not end by itself; it is killed then.
    pub fn shutdown(mut self) -> Result<(), VmError> {
        // A machine that is gone already has ended as asked.
        let _ = self.shared.link.send(0, Message::Shutdown);
        let ended = self.shared.wait_for_end(SHUTDOWN_TIMEOUT);
        self.end();
        ended
    }

    /// Waits until the machine ends by itself, such as by a panic.
    ///
    /// # Errors
    /// When the limit passes first; it is killed then.
    pub fn wait_for_end(&self, limit: Duration) -> Result<(), VmError> {
        self.shared.wait_for_end(limit)
    }

    fn end(&mut self) {
        self.shared.kill();
        if let Some(supervisor) = self.supervisor.take() {
            // It only panics if the lab has a bug, and then the machine is dead all the same.
            let _ = supervisor.join();
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Channel 0 is the machine's own.
    pub(crate) fn new_channel(&self) -> u32 {
        let mut state = self.state();
        state.channels += 1;
        state.channels
    }

    pub(crate) fn wait_for_exit(&self, channel: u32, limit: Option<Duration>) -> Result<Exit, VmError> {
        self.wait(limit, "the command", |state| exit_of(state, channel))
    }

    pub(crate) fn try_wait_for_exit(&self, channel: u32, limit: Duration) -> Result<Option<Exit>, VmError> {
        self.wait_at_most(Some(limit), |state| exit_of(state, channel))
    }

    fn wait_for_end(&self, limit: Duration) -> Result<(), VmError> {
        match self.wait(Some(limit), "the end of the machine", |state| state.ended.then_some(Ok(()))) {
            Err(VmError::Died { .. }) => Ok(()),
            other => other,
        }
    }

    /// The machine is gone: what it said last.
    pub(crate) fn died(&self) -> VmError {
        VmError::Died { tail: self.tail(), log: self.log.clone() }
    }

    /// Waits until `ready` has an answer; kills the machine when the limit passes first.
    fn wait<T>(
        &self,
        limit: Option<Duration>,
        what: &'static str,
        ready: impl Fn(&State) -> Option<Result<T, VmError>>,
    ) -> Result<T, VmError> {
        if let Some(answer) = self.wait_at_most(limit, ready)? {
            return Ok(answer);
        }
        self.kill();
        let limit = limit.unwrap_or_default();
        Err(VmError::TimedOut { what, limit, tail: self.tail(), log: self.log.clone() })
    }

    /// Waits until `ready` has an answer; `None` when the limit passes first.
    fn wait_at_most<T>(
        &self,
        limit: Option<Duration>,
        ready: impl Fn(&State) -> Option<Result<T, VmError>>,
    ) -> Result<Option<T>, VmError> {
        let until = limit.map(|limit| clock::now() + limit);
        let mut state = self.state();
        loop {
            if let Some(answer) = ready(&state) {
                return answer.map(Some);
            }
            if state.ended {
                return Err(self.died());
            }
            let Some(until) = until else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(None);
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let shown = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        if shown.is_empty() { "(nothing)".into() } else { shown.join("\n") }
    }

    fn kill(&self) {
        // It may have ended by itself; the descriptor stands for that process and no other.
        let _ = pidfd_send_signal(self.process.as_fd(), Signal::KILL);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads frames until QEMU closes its end.
    fn read_frames(&self, mut from: ChildStdout) {
        while let Ok(Some(frame)) = frame::read(&mut from) {
            let Ok(Some(Frame { channel, message })) = self.link.deliver(frame) else { continue };
            let mut state = self.state();
            match message {
                Message::Hello(release) => state.release = Some(release),
                Message::Exit(exit) => drop(state.exits.insert(channel, Ok(exit))),
                Message::Failed(reason) => drop(state.exits.insert(channel, Err(reason))),
                _ => {}
            }
            self.changed.notify_all();
        }
    }
}

fn exit_of(state: &State, channel: u32) -> Option<Result<Exit, VmError>> {
    let exit = state.exits.get(&channel)?;
    Some(exit.clone().map_err(VmError::NotStarted))
}

/// Starts QEMU on a thread of its own that stays until it ended: the kernel kills QEMU when its
/// parent thread dies, so a lab that is killed leaves no machine behind.
fn supervise(
    arguments: Vec<std::ffi::OsString>,
    log: PathBuf,
) -> Result<(Arc<Shared>, JoinHandle<()>), BootError> {
    let (send, receive) = mpsc::channel();
    let supervisor = std::thread::spawn(move || {
        let (mut child, stdin, stdout, process) = match start(&arguments, &log) {
            Ok(started) => started,
            Err(error) => return drop(send.send(Err(error))),
        };
        let shared = Arc::new(Shared {
            link: Link::new(stdin),
            process,
            log,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let sent = send.send(Ok(Arc::clone(&shared)));
        drop(sent);
        shared.read_frames(stdout);
        let _ = child.wait();
        shared.state().ended = true;
        shared.link.close();
        shared.changed.notify_all();
    });
    let shared = receive.recv().map_err(|_| BootError::Qemu(io::ErrorKind::Other.into()))?;
    Ok((shared.map_err(BootError::Qemu)?, supervisor))
}

type Started = (std::process::Child, ChildStdin, ChildStdout, OwnedFd);

fn start(arguments: &[std::ffi::OsString], log: &Path) -> io::Result<Started> {
    // QEMU's own complaints belong with the guest's.
    let complaints = File::options().append(true).open(log)?;
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", qemu::PROGRAM])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(complaints)
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::Other)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    Ok((child, stdin, stdout, process))
}

/// Takes a free port for each forward that names none.
fn resolve(forwards: &[PortForward]) -> io::Result<Vec<PortForward>> {
    let resolve = |forward: &PortForward| match forward.host {
        0 => {
            let host = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            Ok(PortForward { host, guest: forward.guest })
        }
        _ => Ok(*forward),
    };
    forwards.iter().map(resolve).collect()
}
