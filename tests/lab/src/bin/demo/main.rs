//! `cargo demo`: the main job, seen on a real kernel.
#![forbid(unsafe_code)]

mod ground;
mod keep;
mod show;

use std::{
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use clap::Parser;
use faultline_lab::{
    Cache, Disk, HostFile, KernelId, Machine, Progress, artifacts, disk, kernel,
    packages::{self, Purpose},
    static_bins,
};
use ground::{Ground, Host, agreed};
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
                        two processes in it and the directory /demo, and make a loop device; all of it is removed at the \
                        end. Go on?";
        if !agreed(question) {
            return Err("not agreed to: nothing was done".into());
        }
        let host = Host::default();
        programs.can_inject(&host)?;
        let image = disk::ext4(&Cache::from_env(), 64, &Progress::silent())?;
        for file in programs.files().iter().filter(|file| file.guest.starts_with("/demo/")) {
            let folder = Path::new(&file.guest).parent().unwrap_or(Path::new("/demo"));
            fs::create_dir_all(folder)?;
            fs::copy(&file.host, &file.guest)?;
        }
        let device = host.sh(&format!("losetup --find --show --read-only {}", image.display()))?;
        let folder =
            programs.faultline.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let show = Show {
            ground: &host,
            programs: &folder,
            device: &device,
            seconds: self.seconds,
            keep: self.keep,
        };
        let held = show.run();
        host.end();
        // What was killed while its file system was mounted left that behind.
        host.sh(&format!(
            "umount /demo/mnt-target /demo/mnt-neighbour 2>/dev/null; losetup --detach {device}; rm -r /demo; \
             rmdir /sys/fs/cgroup/pods/chaos-mount/* /sys/fs/cgroup/pods/chaos-mount /sys/fs/cgroup/pods"
        ))?;
        Ok(held?)
    }
}

/// The sample program's device is `/dev/sdc`: a link to the machine's disk.
fn vm_device(vm: &faultline_lab::Vm) -> io::Result<()> {
    Ground::sh(vm, "ln -s /dev/vda /dev/sdc").map(drop)
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

    /// Refuses, before anything is done, a machine on which the demo could only fail.
    fn can_inject(&self, host: &Host) -> Result<(), Box<dyn Error>> {
        if host.sh("stat -fc %T /sys/fs/cgroup")? != "cgroup2fs" {
            return Err("nothing was done: /sys/fs/cgroup is no cgroup v2 hierarchy on this machine".into());
        }
        let preflight = Command::new(&self.faultline).arg("preflight").output()?;
        if preflight.status.success() {
            return Ok(());
        }
        let said = [preflight.stdout, preflight.stderr].concat();
        Err(format!("nothing was done: this kernel cannot inject\n{}", String::from_utf8_lossy(&said)).into())
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
