//! The processes the host started, and the orphans that become init's.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use faultline_lab_init::frame::{self, Exit, Message, Stream, WindowSize};
use faultline_lab_init::link::Link;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus};
use rustix::pty::{OpenptFlags, openpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Where a command without a slash is looked for.
const PATH: &str = "/bin:/sbin:/usr/bin:/usr/sbin";

/// The table of running processes, shared with the thread that reaps them.
pub(crate) struct Processes {
    link: Arc<Link>,
    table: Mutex<HashMap<Pid, Running>>,
    started: Condvar,
}

struct Running {
    channel: u32,
    terminal: Option<File>,
}

impl Processes {
    /// An empty table and its reaper.
    pub(crate) fn start(link: &Arc<Link>) -> Arc<Self> {
        let processes = Arc::new(Self {
            link: Arc::clone(link),
            table: Mutex::new(HashMap::new()),
            started: Condvar::new(),
        });
        let reaper = Arc::clone(&processes);
        thread::spawn(move || reaper.reap());
        processes
    }

    /// Starts a command and the threads that carry its streams; tells the host when it cannot start.
    pub(crate) fn exec(&self, channel: u32, command: &frame::Command) -> io::Result<()> {
        // Held while spawning: a failed exec is a child that std waits for itself, and the reaper
        // must neither take that one nor meet one that is not in the table yet.
        let mut table = self.table();
        let started = match command.terminal {
            Some(size) => spawn_on_terminal(command, size),
            None => spawn(command, Command::new(program(command)).args(arguments(command)))
                .map(|child| (child, None)),
        };
        let (child, terminal) = match started {
            Ok(started) => started,
            Err(error) => return self.link.send(channel, Message::Failed(error.to_string())),
        };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let copy = terminal.as_ref().map(File::try_clone).transpose()?;
            table.insert(pid, Running { channel, terminal: copy });
        }
        self.started.notify_all();
        self.carry_streams(channel, child, terminal)
    }

    /// Sends a signal to the whole group of the channel's process.
    pub(crate) fn signal(&self, channel: u32, signal: i32) {
        let table = self.table();
        let Some((pid, _)) = table.iter().find(|(_, running)| running.channel == channel) else { return };
        if let Some(signal) = Signal::from_named_raw(signal) {
            // A group that is gone has been told to the host, or is about to be.
            let _ = rustix::process::kill_process_group(*pid, signal);
        }
    }

    /// Gives the channel's terminal another size.
    pub(crate) fn resize(&self, channel: u32, size: WindowSize) {
        let table = self.table();
        let running = table.values().find(|running| running.channel == channel);
        if let Some(terminal) = running.and_then(|running| running.terminal.as_ref()) {
            let _ = tcsetwinsize(terminal, window(size));
        }
    }

    fn carry_streams(&self, channel: u32, mut child: Child, terminal: Option<File>) -> io::Result<()> {
        let stdin = self.link.reader(channel, Stream::Stdin);
        let stdout = self.link.writer(channel, Stream::Stdout);
        match terminal {
            Some(terminal) => {
                // A terminal's end cannot be closed for one direction; the host ends a shell by hanging up.
                pump(stdin, terminal.try_clone()?);
                pump(terminal, stdout);
            }
            None => {
                let stderr = self.link.writer(channel, Stream::Stderr);
                if let (Some(input), Some(output), Some(errors)) =
                    (child.stdin.take(), child.stdout.take(), child.stderr.take())
                {
                    pump(stdin, input);
                    pump(output, stdout);
                    pump(errors, stderr);
                }
            }
        }
        Ok(())
    }

    /// Waits without taking, then takes everything under the lock that spawning holds.
    fn reap(&self) {
        loop {
            let peek = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            if rustix::process::waitid(WaitId::All, peek).is_err() {
                self.wait_for_a_start();
                continue;
            }
            let mut table = self.table();
            while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                let Some(running) = table.remove(&pid) else { continue };
                // Its input has nowhere to go any more.
                self.link.end((running.channel, Stream::Stdin));
                let _ = self.link.send(running.channel, Message::Exit(exit(status)));
            }
        }
    }

    /// There are no children at all: only a start changes that.
    fn wait_for_a_start(&self) {
        let table = self.table();
        if table.is_empty() {
            drop(self.started.wait(table).unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Pid, Running>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn program(command: &frame::Command) -> &str {
    command.argv.first().map_or("", String::as_str)
}

fn arguments(command: &frame::Command) -> &[String] {
    command.argv.get(1..).unwrap_or_default()
}

fn spawn(command: &frame::Command, to_run: &mut Command) -> io::Result<Child> {
    let cwd = if command.cwd.is_empty() { "/" } else { &command.cwd };
    to_run
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/root"), ("TERM", "linux")])
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .current_dir(cwd);
    if command.terminal.is_none() {
        to_run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    }
    to_run.spawn()
}

/// `setsid -c` makes a session with the terminal as its own, which std cannot without unsafe code.
fn spawn_on_terminal(command: &frame::Command, size: WindowSize) -> io::Result<(Child, Option<File>)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::unlockpt(&ours)?;
    let theirs: OwnedFd = rustix::pty::ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    tcsetwinsize(&ours, window(size))?;
    let mut setsid = Command::new("/bin/busybox");
    setsid.args(["setsid", "-c"]).args(&command.argv);
    setsid.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs);
    let child = spawn(command, &mut setsid)?;
    Ok((child, Some(File::from(ours))))
}

fn window(size: WindowSize) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Copies until either side ends; both are dropped, and so closed, then.
fn pump(mut from: impl io::Read + Send + 'static, mut to: impl io::Write + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = vec![0; frame::MAX_PAYLOAD];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    });
}

fn exit(status: WaitStatus) -> Exit {
    match status.terminating_signal() {
        Some(signal) => Exit::Signal(signal),
        None => Exit::Code(status.exit_status().unwrap_or_default()),
    }
}
