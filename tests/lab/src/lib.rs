//! The lab: real Linux kernels in QEMU, for tests, for the demo, and as an everyday tool.
//!
//! ```no_run
//! use std::time::Duration;
//! use faultline_lab::{Cache, Exec, KernelId, Machine, Progress, kernel};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kernel = kernel(&KernelId::V6_1, &Progress::stderr(&Cache::from_env()))?;
//! let vm = Machine { cpus: 4, ..Machine::default() }.boot(&kernel)?;
//! let output = vm.run(Exec::shell("uname -r; ls /sys/fs/cgroup"), Duration::from_secs(10))?;
//! assert!(output.success());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod accel;
pub mod apt;
pub mod artifacts;
mod bcc;
mod cache;
pub mod cli;
pub mod clock;
mod cpio;
pub mod disk;
mod emulator;
mod exec;
mod initramfs;
pub mod kernel;
mod machine;
pub mod packages;
mod progress;
pub mod prometheus;
mod qemu;
pub mod registry;
mod supervisor;
mod transfer;
mod vm;

pub use artifacts::{Artifact, ArtifactError, ArtifactKind, static_bins, static_build};
pub use cache::{Cache, Lock};
pub use exec::{Exec, Output, Process};
pub use faultline_lab_init::frame::{Exit, WindowSize};
pub use faultline_lab_init::link::{StreamReader, StreamWriter};
pub use initramfs::InitramfsError;
pub use kernel::{Kernel, KernelError, KernelId, kernel};
pub use machine::{Accel, Disk, HostFile, Machine, PortForward, Share};
pub use progress::{Progress, Step};
pub use vm::{BootError, Vm, VmError};
