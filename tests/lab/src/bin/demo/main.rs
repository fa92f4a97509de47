//! `cargo demo`: the main job, seen on a real kernel.
#![forbid(unsafe_code)]

mod ground;
mod keep;
mod show;

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use faultline_lab::{
    Cache, Disk, HostFile, KernelId, Machine, Progress, artifacts, disk, kernel,
    packages::{self, Purpose},
    static_bins,
};
use ground::{Host, agreed};
use show::Show;

/// Shows one experiment on a real kernel: a committed file makes the mounts of one container fail with
/// "Cannot allocate memory", and of no other.
///
/// The node is a machine of the lab, so nothing happens to this one.
///
/// Exit status: 0 when what was seen is what the documentation promises, 1 when it is not, 2 when it could not be
/// set up.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  cargo demo\n  cargo demo --kernel 6.12\n  cargo demo --keep")]
struct Demo {
    /// The lab's kernel: 6.1, 6.12, or the path of an image.
    #[arg(long, default_value = "6.1")]
    kernel: KernelId,
    /// Seconds that each act is shown.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Leave it running until Ctrl-C; edits of the experiment's file take effect live.
    #[arg(long)]
    keep: bool,
    /// Use this machine as the node, as root. Asks first.
    #[arg(long, conflicts_with = "kernel")]
    on_host: bool,
}

fn main() -> ExitCode {
    let demo = Demo::parse();
    match demo.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text += &format!(": {cause}");
                source = cause.source();
            }
            let _ = writeln!(io::stderr(), "demo: {text}");
            ExitCode::from(2)
        }
    }
}

impl Demo {
    fn run(&self) -> Result<bool, Box<dyn Error>> {
        let cache = Cache::from_env();
        let progress = Progress::stderr(&cache);
        packages::ensure(&[Purpose::Boot, Purpose::Build, Purpose::Disk], &progress)?;
        let programs = Programs::build(&progress)?;
        if self.on_host {
            return self.on_host(&programs);
        }
        let kernel = kernel(&self.kernel, &progress)?;
        let image = disk::ext4(&cache, 64, &progress)?;
        let machine = Machine {
            memory_mib: 1024,
            disks: vec![Disk { image, persistent: false }],
            files: programs.files(),
            ..Machine::default()
        };
        let vm = machine.boot(&kernel)?;
        progress.note(&format!("Linux {} booted in {:.1} s", vm.release(), vm.boot_time().as_secs_f64()));
        let show = Show {
            ground: &vm,
            programs: "/bin",
            device: "/dev/sdc",
            seconds: self.seconds,
            keep: self.keep,
        };
        vm_device(&vm)?;
        let held = show.run()?;
        vm.shutdown()?;
        Ok(held)
    }

    fn on_host(&self, programs: &Programs) -> Result<bool, Box<dyn Error>> {
        if !rustix::process::geteuid().is_root() {
            return Err("attaching probes to this machine's kernel needs root".into());
        }
        let question = "The demo will attach probes to THIS machine's kernel, make the cgroup /sys/fs/cgroup/pods with \
                        two processes in it, and make a loop device. Go on?";
        if !agreed(question) {
            return Err("not agreed to: nothing was done".into());
        }
        let image = disk::ext4(&Cache::from_env(), 64, &Progress::silent())?;
        let device =
            ground::Ground::sh(&Host, &format!("losetup --find --show --read-only {}", image.display()))?;
        let folder =
            programs.faultline.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let show = Show {
            ground: &Host,
            programs: &folder,
            device: &device,
            seconds: self.seconds,
            keep: self.keep,
        };
        let held = show.run();
        ground::Ground::sh(&Host, &format!("losetup --detach {device}"))?;
        Ok(held?)
    }
}

/// The sample program's device is `/dev/sdc`: a link to the machine's disk.
fn vm_device(vm: &faultline_lab::Vm) -> io::Result<()> {
    ground::Ground::sh(vm, "ln -s /dev/vda /dev/sdc").map(drop)
}

/// The programs of the demo, static, so that any Linux runs them.
struct Programs {
    faultline: PathBuf,
    victim: PathBuf,
}

impl Programs {
    fn build(progress: &Progress) -> Result<Self, Box<dyn Error>> {
        let step = progress.step("demo-programs", "building faultline and the sample program");
        let mut built = static_bins(&["faultline", "victim"], false)?.into_iter();
        let (Some(faultline), Some(victim)) = (built.next(), built.next()) else {
            return Err("cargo built something else".into());
        };
        step.done();
        Ok(Self { faultline, victim })
    }

    fn files(&self) -> Vec<HostFile> {
        let file = |host: &PathBuf, guest: &str| HostFile { host: host.clone(), guest: guest.to_owned() };
        let examples = artifacts::workspace().join("examples/guardrails");
        vec![
            file(&self.faultline, "/bin/faultline"),
            file(&self.victim, "/bin/victim"),
            file(&examples.join("cap-limits.yaml"), "/demo/guardrails/cap-limits.yaml"),
            file(&examples.join("modules/cap_limits.wasm"), "/demo/guardrails/modules/cap_limits.wasm"),
        ]
    }
}
