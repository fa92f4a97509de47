//! `lab run` and `lab shell`.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::Args;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::machine::MachineArgs;
use super::{CliError, Context};
use crate::exec::{Exec, Process};
use crate::machine::{HostFile, Machine};
use crate::vm::{Vm, VmError};
use crate::{Exit, StreamReader, WindowSize};

/// Between two looks at the size of the terminal: a person does not see the delay.
const RESIZE_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    machine: MachineArgs,
    /// A file or folder of the guest to bring back afterwards, into the folder named by --out
    #[arg(long, value_name = "GUEST", requires = "out")]
    collect: Vec<String>,
    /// Where to put what is brought back
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Seconds the command may take
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
    /// A command of the guest (busybox's, or a file put there), or the path of a static executable or script
    /// of the host, which is put there
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Shell {
    #[command(flatten)]
    machine: MachineArgs,
    /// What to run instead of the shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Run {
    pub(super) fn execute(self, context: &Context) -> Result<u8, CliError> {
        let mut machine = self.machine.machine(context)?;
        let command = ship(self.command, &mut machine)?;
        let vm = self.machine.boot(&machine, context)?;
        let code = stream(&vm, Exec::new(command), Some(Duration::from_secs(self.timeout)), true)?;
        if let Some(out) = &self.out {
            for path in &self.collect {
                vm.collect(path, out)?;
            }
        }
        vm.shutdown()?;
        Ok(code)
    }
}

impl Shell {
    pub(super) fn execute(self, context: &Context) -> Result<u8, CliError> {
        let mut machine = self.machine.machine(context)?;
        let given = if self.command.is_empty() { vec!["sh".into(), "-l".into()] } else { self.command };
        let command = ship(given, &mut machine)?;
        let vm = self.machine.boot(&machine, context)?;
        for forward in &machine.forwards {
            let host = vm.host_port(forward.guest).unwrap_or(forward.host);
            context.progress.note(&format!("127.0.0.1:{host} is port {} of the guest", forward.guest));
        }
        let code = if io::stdin().is_terminal() {
            interactive(&vm, Exec::new(command))?
        } else {
            stream(&vm, Exec::new(command), None, true)?
        };
        vm.shutdown()?;
        Ok(code)
    }
}

/// A command that is a file of the host goes into the guest with the machine.
fn ship(mut command: Vec<String>, machine: &mut Machine) -> Result<Vec<String>, CliError> {
    let Some(program) = command.first_mut() else { return Ok(command) };
    let in_guest = machine.files.iter().any(|file| file.guest == *program)
        || machine.shares.iter().any(|share| Path::new(program.as_str()).starts_with(&share.guest))
        || ["/bin/", "/sbin/", "/usr/"].iter().any(|folder| program.starts_with(folder));
    if in_guest || !program.contains('/') || !Path::new(program).is_file() {
        return Ok(command);
    }
    let host = fs::canonicalize(&*program)?;
    if !crate::packages::runs_alone(&host) {
        return Err(CliError::Dynamic(program.clone()));
    }
    let name = host.file_name().unwrap_or_default().to_string_lossy().into_owned();
    *program = format!("/opt/{name}");
    machine.files.push(HostFile { host, guest: program.clone() });
    Ok(command)
}

/// Runs a command with the lab's own streams and returns its exit code.
pub(super) fn stream(vm: &Vm, exec: Exec, limit: Option<Duration>, with_input: bool) -> Result<u8, CliError> {
    let mut process = vm.exec(exec)?;
    if let Some(input) = process.stdin.take().filter(|_| with_input) {
        // Left behind when the command ends first: it may wait for a terminal.
        thread::spawn(move || copy(io::stdin(), input));
    }
    let takers = [carry(process.stdout.take(), io::stdout), carry(process.stderr.take(), io::stderr)];
    let (exit, _) = process.wait_with(takers, limit)?;
    Ok(exit_code(exit))
}

/// As a shell has it.
fn exit_code(exit: Exit) -> u8 {
    match exit {
        Exit::Code(code) => code.to_le_bytes()[0],
        Exit::Signal(signal) => 128 + signal.to_le_bytes()[0],
    }
}

fn interactive(vm: &Vm, exec: Exec) -> Result<u8, CliError> {
    let terminal = std::env::var("TERM").unwrap_or_else(|_| "linux".into());
    let mut process = vm.exec(exec.env("TERM", terminal).terminal(window_size()))?;
    let _raw = RawMode::enter()?;
    if let Some(input) = process.stdin.take() {
        thread::spawn(move || copy(io::stdin(), input));
    }
    let takers = [carry(process.stdout.take(), io::stdout), carry(process.stderr.take(), io::stderr)];
    follow_size(&process)?;
    let (exit, _) = process.wait_with(takers, None)?;
    Ok(exit_code(exit))
}

fn carry<W: Write + 'static>(
    from: Option<StreamReader>,
    to: impl FnOnce() -> W + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || from.map_or((), |from| copy(from, to())))
}

/// Passes changes of the terminal's size on until the process ends.
fn follow_size(process: &Process) -> Result<(), VmError> {
    let mut size = window_size();
    loop {
        if process.try_wait(RESIZE_INTERVAL)?.is_some() {
            return Ok(());
        }
        let now = window_size();
        if now != size {
            size = now;
            process.resize(size)?;
        }
    }
}

/// A terminal that does not know its size says zero.
fn window_size() -> WindowSize {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    size.map_or(WindowSize { rows: 24, columns: 80 }, |size| WindowSize {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// Copies until either side ends, flushing what arrives at once: a person is watching.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
            break;
        }
    }
}

/// The terminal passes every key on as it is, until this is dropped.
struct RawMode(Termios);

impl RawMode {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_a_shell() {
        assert_eq!(exit_code(Exit::Code(3)), 3);
        assert_eq!(exit_code(Exit::Signal(9)), 137);
    }

    #[test]
    fn a_program_of_the_host_is_put_into_the_guest_and_one_of_the_guest_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("probe");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let mut machine = Machine::default();
        assert_eq!(ship(vec!["uname".into(), "-a".into()], &mut machine).unwrap(), ["uname", "-a"]);
        assert_eq!(ship(vec!["/bin/sh".into()], &mut machine).unwrap(), ["/bin/sh"]);
        assert!(machine.files.is_empty());
        let path = script.display().to_string();
        assert_eq!(ship(vec![path, "-v".into()], &mut machine).unwrap(), ["/opt/probe", "-v"]);
        assert_eq!(machine.files[0].guest, "/opt/probe");
    }

    #[test]
    fn a_program_with_libraries_is_refused() {
        // The host's own env is one: distributions link it so. This test's own program may be static.
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("env");
        fs::copy("/usr/bin/env", &program).unwrap();
        let program = program.display().to_string();
        assert!(matches!(ship(vec![program], &mut Machine::default()), Err(CliError::Dynamic(_))));
    }
}
