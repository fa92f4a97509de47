//! A running machine: its QEMU, its control link, its serial log.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use faultline_lab_init::frame::Message;

use crate::cache::Cache;
use crate::exec::{Exec, Output, Process};
use crate::initramfs::{self, Contents, InitramfsError};
use crate::kernel::Kernel;
use crate::machine::{Accel, Machine, PortForward};
use crate::supervisor::{Shared, supervise};
use crate::{accel, artifacts, clock, emulator, qemu};

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
            loadable: &kernel.loadable,
            files: &machine.files,
            shares: shares.collect(),
        };
        initramfs::write(&contents, initramfs.reopen()?)?;
        let log = cache.new_log("serial")?;
        let forwards = resolve(&machine.forwards)?;
        let files = qemu::Files { kernel: &kernel.image, initramfs: initramfs.path(), serial_log: &log };
        let emulator = emulator::choose(cache, machine, accel);
        let arguments = qemu::arguments(machine, accel, &emulator, &forwards, &files);
        let began = clock::now();
        let (shared, supervisor) = supervise(emulator.program, arguments, log).map_err(BootError::Qemu)?;
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
        let _ = self.shared.link().send(0, Message::Shutdown);
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
