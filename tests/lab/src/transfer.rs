//! Files into and out of a running guest, with busybox's own tools at its end.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::exec::{Exec, Process};
use crate::vm::{Vm, VmError};

/// For one file or folder: a gigabyte at the pace of an emulated machine.
const LIMIT: Duration = Duration::from_secs(120);

impl Vm {
    /// Copies a file into the guest; its permissions are kept, folders are made.
    ///
    /// # Errors
    /// When either side cannot read or write it.
    pub fn put(&self, host: impl AsRef<Path>, guest: &str) -> Result<(), VmError> {
        use std::os::unix::fs::PermissionsExt;
        let fail = |error: io::Error| failed(host.as_ref().display(), error);
        let mut from = File::open(&host).map_err(fail)?;
        let mode = from.metadata().map_err(fail)?.permissions().mode() & 0o777;
        const PUT: &str =
            r#"mkdir -p "$(dirname "$0")" && cat > "$0.part" && chmod "$1" "$0.part" && mv "$0.part" "$0""#;
        let mut process = self.exec(Exec::new(["sh", "-c", PUT, guest, &format!("{mode:o}")]))?;
        let copied = process.stdin.take().map_or(Ok(0), |mut to| io::copy(&mut from, &mut to));
        // Why the guest stopped reading is in its own words.
        finish(process, guest)?;
        copied.map(drop).map_err(fail)
    }

    /// Copies a file out of the guest.
    ///
    /// # Errors
    /// When either side cannot read or write it.
    pub fn get(&self, guest: &str, host: impl AsRef<Path>) -> Result<(), VmError> {
        let fail = |error: io::Error| failed(host.as_ref().display(), error);
        let mut process = self.exec(Exec::new(["cat", guest]))?;
        let mut to = File::create(&host).map_err(fail)?;
        if let Some(mut from) = process.stdout.take() {
            io::copy(&mut from, &mut to).map_err(fail)?;
        }
        finish(process, guest)
    }

    /// Copies a file or a whole folder out of the guest, into a folder of the host under its own name.
    ///
    /// # Errors
    /// When either side cannot read or write it.
    pub fn collect(&self, guest: &str, into: impl AsRef<Path>) -> Result<(), VmError> {
        let fail = |error: io::Error| failed(into.as_ref().display(), error);
        fs::create_dir_all(&into).map_err(fail)?;
        let path = Path::new(guest);
        let folder = path.parent().unwrap_or(Path::new("/")).display().to_string();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut process = self.exec(Exec::new(["tar", "-c", "-C", &folder, &name]))?;
        let mut tar = Command::new("tar")
            .arg("-x")
            .arg("-C")
            .arg(into.as_ref())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(fail)?;
        if let (Some(mut from), Some(mut to)) = (process.stdout.take(), tar.stdin.take()) {
            io::copy(&mut from, &mut to).map_err(fail)?;
        }
        finish(process, guest)?;
        let status = tar.wait().map_err(fail)?;
        if status.success() { Ok(()) } else { Err(failed(guest, "tar could not unpack it")) }
    }
}

fn finish(process: Process, guest: &str) -> Result<(), VmError> {
    let output = process.output(Some(LIMIT))?;
    if output.success() {
        return Ok(());
    }
    Err(failed(guest, String::from_utf8_lossy(&output.stderr).trim()))
}

fn failed(path: impl ToString, reason: impl ToString) -> VmError {
    VmError::Copy { path: path.to_string(), reason: reason.to_string() }
}
