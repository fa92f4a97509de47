//! The control port: what the host asks for, one frame after the other.

use std::fs::{self, File, OpenOptions};
use std::io;

use faultline_lab_init::PORT_NAME;
use faultline_lab_init::frame::{self, Frame, Message};
use faultline_lab_init::link::Link;

use crate::processes::Processes;
use crate::setup::SetupError;

/// Serves until the host says stop or is gone.
pub(crate) fn serve() -> Result<(), SetupError> {
    let mut port = open_port()?;
    let fail = |error: &dyn std::error::Error| SetupError::Control(error.to_string());
    let link = Link::new(port.try_clone().map_err(|e| fail(&e))?);
    let processes = Processes::start(&link);
    link.send(0, Message::Hello(release())).map_err(|e| fail(&e))?;
    while let Some(frame) = frame::read(&mut port).map_err(|e| fail(&e))? {
        let Some(Frame { channel, message }) = link.deliver(frame).map_err(|e| fail(&e))? else { continue };
        match message {
            Message::Exec(command) => processes.exec(channel, &command).map_err(|e| fail(&e))?,
            Message::Signal(signal) => processes.signal(channel, signal),
            Message::Resize(size) => processes.resize(channel, size),
            Message::Shutdown => return Ok(()),
            _ => return Err(SetupError::Control("the host sent what only a guest sends".into())),
        }
    }
    Ok(())
}

fn open_port() -> Result<File, SetupError> {
    let ports = fs::read_dir("/sys/class/virtio-ports").map_err(|_| SetupError::Port(PORT_NAME))?;
    let named = |entry: &fs::DirEntry| {
        fs::read_to_string(entry.path().join("name")).is_ok_and(|name| name.trim() == PORT_NAME)
    };
    let port = ports.flatten().find(named).ok_or(SetupError::Port(PORT_NAME))?;
    let path = std::path::Path::new("/dev").join(port.file_name());
    let open: io::Result<File> = OpenOptions::new().read(true).write(true).open(path);
    open.map_err(|error| SetupError::Control(error.to_string()))
}

fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}
