//! Where the demo takes place: a machine of the lab, or this one.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError, mpsc::Sender},
    thread,
    time::Duration,
};

use faultline_lab::{Exec, Vm};

/// How long a short command may take.
const SHORT: Duration = Duration::from_secs(60);

/// A place to run commands in.
pub(crate) trait Ground {
    /// Runs a short shell script and returns what it prints.
    fn sh(&self, script: &str) -> io::Result<String>;
    /// Starts a shell script that goes on; each line it prints is sent with `prefix` before it.
    fn start(&self, script: &str, prefix: &'static str, lines: Sender<String>) -> io::Result<()>;
    /// Puts a file of this machine there, whole or not at all.
    fn put(&self, file: &Path, to: &str) -> io::Result<()>;
}

impl Ground for Vm {
    fn sh(&self, script: &str) -> io::Result<String> {
        let output = self.run(Exec::shell(script), SHORT).map_err(io::Error::other)?;
        if output.success() {
            return Ok(output.text());
        }
        Err(io::Error::other(format!("{script}: {}", String::from_utf8_lossy(&output.stderr))))
    }

    fn start(&self, script: &str, prefix: &'static str, lines: Sender<String>) -> io::Result<()> {
        let mut process = self.exec(Exec::shell(&format!("{script} 2>&1"))).map_err(io::Error::other)?;
        if let Some(output) = process.stdout.take() {
            forward(output, prefix, lines);
        }
        Ok(())
    }

    fn put(&self, file: &Path, to: &str) -> io::Result<()> {
        let aside = format!("{to}.aside");
        self.put(file, &aside).map_err(io::Error::other)?;
        self.sh(&format!("mv {aside} {to}")).map(drop)
    }
}

/// This machine itself. Started processes end with the demo, or before it by [`Host::end`].
#[derive(Default)]
pub(crate) struct Host(Mutex<Vec<Child>>);

impl Host {
    /// Ends what was started and waits until it is gone.
    pub(crate) fn end(&self) {
        for child in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            // One that has ended by itself is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Ground for Host {
    fn sh(&self, script: &str) -> io::Result<String> {
        let output = Command::new("sh").args(["-c", script]).stdin(Stdio::null()).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(io::Error::other(format!("{script}: {}", String::from_utf8_lossy(&output.stderr))))
    }

    fn start(&self, script: &str, prefix: &'static str, lines: Sender<String>) -> io::Result<()> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "sh", "-c", &format!("exec {script} 2>&1")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(output) = child.stdout.take() {
            forward(output, prefix, lines);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        Ok(())
    }

    fn put(&self, file: &Path, to: &str) -> io::Result<()> {
        let aside = format!("{to}.aside");
        fs::copy(file, &aside)?;
        fs::rename(aside, to)
    }
}

fn forward(output: impl Read + Send + 'static, prefix: &'static str, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(format!("{prefix}{line}")).is_err() {
                return;
            }
        }
    });
}

/// Asks on the terminal. Anything but `y` is no, and so is no terminal.
pub(crate) fn agreed(question: &str) -> bool {
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}
