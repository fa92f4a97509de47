//! A command to run in a guest, and the running process.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use faultline_lab_init::frame::{Command, Exit, Message, Stream, WindowSize};
use faultline_lab_init::link::{StreamReader, StreamWriter};

use crate::clock;
use crate::supervisor::Shared;
use crate::vm::VmError;

/// How long output may still come after a process ended, from children that it left behind.
const LEFTOVER_OUTPUT: Duration = Duration::from_secs(2);

/// A command to run in a guest.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    command: Command,
    cgroup: Option<String>,
}

/// What a finished process left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Everything it wrote.
    pub stdout: Vec<u8>,
    /// Everything it complained of.
    pub stderr: Vec<u8>,
}

impl Exec {
    /// Program and arguments; a name without a slash is one of busybox's.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        Self { command: Command { argv, ..Command::default() }, cgroup: None }
    }

    /// A line for busybox's shell.
    #[must_use]
    pub fn shell(script: &str) -> Self {
        Self::new(["sh", "-c", script])
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.command.env.push((name.into(), value.into()));
        self
    }

    /// Starts in this folder of the guest.
    #[must_use]
    pub fn cwd(mut self, folder: impl Into<String>) -> Self {
        self.command.cwd = folder.into();
        self
    }

    /// Runs in this cgroup, a path below /sys/fs/cgroup, which is made if it is not there.
    #[must_use]
    pub fn in_cgroup(mut self, path: &str) -> Self {
        self.cgroup = Some(path.trim_matches('/').into());
        self
    }

    /// Gives it a terminal of this size; its errors then come with its output.
    #[must_use]
    pub fn terminal(mut self, size: WindowSize) -> Self {
        self.command.terminal = Some(size);
        self
    }

    fn into_command(self) -> Command {
        let Self { mut command, cgroup } = self;
        if let Some(cgroup) = cgroup {
            const ENTER: &str = r#"mkdir -p "$0" && echo $$ > "$0/cgroup.procs" && exec "$@""#;
            let enter = ["/bin/sh", "-c", ENTER].map(String::from);
            let folder = format!("/sys/fs/cgroup/{cgroup}");
            command.argv = enter.into_iter().chain([folder]).chain(command.argv).collect();
        }
        command
    }
}

impl Output {
    /// Whether it exited with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// Its output as text, without white space at either end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().into()
    }
}

/// A process in the guest. Dropping it lets it run on, with its output discarded.
pub struct Process {
    shared: Arc<Shared>,
    channel: u32,
    /// Its input; dropping it is the end of input.
    pub stdin: Option<StreamWriter>,
    /// Its output.
    pub stdout: Option<StreamReader>,
    /// Its error output; nothing comes here when it has a terminal.
    pub stderr: Option<StreamReader>,
}

impl Process {
    pub(crate) fn start(shared: &Arc<Shared>, exec: Exec) -> Result<Self, VmError> {
        let channel = shared.new_channel();
        let link = shared.link();
        let process = Self {
            shared: Arc::clone(shared),
            channel,
            stdin: Some(link.writer(channel, Stream::Stdin)),
            stdout: Some(link.reader(channel, Stream::Stdout)),
            stderr: Some(link.reader(channel, Stream::Stderr)),
        };
        process.send(Message::Exec(exec.into_command()))?;
        Ok(process)
    }

    /// Sends a signal to its process group.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn signal(&self, signal: i32) -> Result<(), VmError> {
        self.send(Message::Signal(signal))
    }

    /// Tells it that its terminal has another size.
    ///
    /// # Errors
    /// When the machine is gone.
    pub fn resize(&self, size: WindowSize) -> Result<(), VmError> {
        self.send(Message::Resize(size))
    }

    /// Waits until it ends. Something must take its output meanwhile, or it may wait for that.
    ///
    /// # Errors
    /// When it could not be started, the machine dies, or the limit passes.
    pub fn wait(&self, limit: Option<Duration>) -> Result<Exit, VmError> {
        self.shared.wait_for_exit(self.channel, limit)
    }

    /// Waits this long for it to end; `None` when it has not.
    ///
    /// # Errors
    /// When it could not be started or the machine dies.
    pub fn try_wait(&self, limit: Duration) -> Result<Option<Exit>, VmError> {
        self.shared.try_wait_for_exit(self.channel, limit)
    }

    /// Waits until it ends and its output was taken by these threads. Output of children that it left
    /// behind is waited for a moment only.
    pub(crate) fn wait_with<T>(
        &self,
        takers: [JoinHandle<T>; 2],
        limit: Option<Duration>,
    ) -> Result<(Exit, [Option<T>; 2]), VmError> {
        let exit = self.wait(limit)?;
        let (link, streams) = (self.shared.link(), [Stream::Stdout, Stream::Stderr]);
        let mut until = clock::now() + LEFTOVER_OUTPUT;
        while takers.iter().any(|taker| !taker.is_finished()) && clock::now() < until {
            if streams.iter().any(|stream| link.unread((self.channel, *stream)) > 0) {
                // Whoever takes it is slow, and more may wait in the guest.
                until = clock::now() + LEFTOVER_OUTPUT;
            }
            thread::sleep(Duration::from_millis(1));
        }
        for stream in streams {
            link.end((self.channel, stream));
        }
        // A thread only panics if the lab has a bug; how the process ended is known all the same.
        Ok((exit, takers.map(|taker| taker.join().ok())))
    }

    /// Closes its input, takes all its output and waits until it ends.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn output(mut self, limit: Option<Duration>) -> Result<Output, VmError> {
        drop(self.stdin.take());
        let takers = [collect(self.stdout.take()), collect(self.stderr.take())];
        let (exit, [stdout, stderr]) = self.wait_with(takers, limit)?;
        Ok(Output { exit, stdout: stdout.unwrap_or_default(), stderr: stderr.unwrap_or_default() })
    }

    fn send(&self, message: Message) -> Result<(), VmError> {
        self.shared.link().send(self.channel, message).map_err(|_: io::Error| self.shared.died())
    }
}

fn collect(stream: Option<StreamReader>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            // A stream of a machine that died ends early, which wait reports.
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_a_cgroup_enters_it_before_it_becomes_the_program() {
        let command = Exec::new(["/victim", "--fast"]).in_cgroup("/pods/a/").into_command();
        assert_eq!(command.argv[..2], ["/bin/sh", "-c"]);
        assert_eq!(command.argv[3..], ["/sys/fs/cgroup/pods/a", "/victim", "--fast"]);
    }
}
