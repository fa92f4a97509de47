//! The thread that keeps a machine: it starts QEMU, reads what the guest says, and knows when it ended.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use faultline_lab_init::frame::{self, Exit, Frame, Message};
use faultline_lab_init::link::Link;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::clock;
use crate::vm::VmError;

/// Lines of the serial log that an error shows.
const TAIL_LINES: usize = 30;

/// What the machine's handle, its processes and its supervisor share.
pub(crate) struct Shared {
    link: Arc<Link>,
    process: OwnedFd,
    pub(crate) log: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// Known once init is ready.
    pub(crate) release: Option<String>,
    channels: u32,
    exits: HashMap<u32, Result<Exit, String>>,
    ended: bool,
}

impl Shared {
    fn new(pipe: ChildStdin, process: OwnedFd, log: PathBuf) -> Self {
        let (state, changed) = (Mutex::new(State::default()), Condvar::new());
        Self { link: Link::new(pipe), process, log, state, changed }
    }

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

    pub(crate) fn wait_for_end(&self, limit: Duration) -> Result<(), VmError> {
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
    pub(crate) fn wait<T>(
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
    pub(crate) fn wait_at_most<T>(
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

    pub(crate) fn kill(&self) {
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
pub(crate) fn supervise(
    program: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
) -> io::Result<(Arc<Shared>, JoinHandle<()>)> {
    let (send, receive) = mpsc::channel();
    let supervisor = std::thread::spawn(move || {
        let (mut child, stdin, stdout, process) = match start(&program, &arguments, &log) {
            Ok(started) => started,
            Err(error) => return drop(send.send(Err(error))),
        };
        let shared = Arc::new(Shared::new(stdin, process, log));
        let sent = send.send(Ok(Arc::clone(&shared)));
        drop(sent);
        shared.read_frames(stdout);
        let _ = child.wait();
        shared.state().ended = true;
        shared.link.close();
        shared.changed.notify_all();
    });
    let shared = receive.recv().map_err(io::Error::other)?;
    Ok((shared?, supervisor))
}

type Started = (Child, ChildStdin, ChildStdout, OwnedFd);

fn start(program: &Path, arguments: &[OsString], log: &Path) -> io::Result<Started> {
    // QEMU's own complaints belong with the guest's.
    let complaints = File::options().append(true).open(log)?;
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program)
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
