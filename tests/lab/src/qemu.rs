//! QEMU's command line.

use std::ffi::OsString;
use std::path::Path;

use faultline_lab_init::PORT_NAME;

use crate::emulator::{Emulator, Threads};
use crate::machine::{Accel, Machine, PortForward};

/// The binary, from Debian's and Ubuntu's qemu-system-x86.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// The lab's own words, before the machine's: reset at once when the kernel panics; no address
/// randomisation or mitigations, which make instruction counts jump; no check that the timer ticks in
/// time, which an emulated one on a busy host may fail; warnings and their call traces on the console,
/// and nothing less, for its emulation is slow.
const COMMAND_LINE: &str =
    "console=ttyS0 reboot=k,t panic=-1 nokaslr mitigations=off no_timer_check loglevel=5";

/// The files of one boot.
pub(crate) struct Files<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) initramfs: &'a Path,
    pub(crate) serial_log: &'a Path,
}

/// All arguments. The control port is QEMU's own stdin and stdout: no socket to name, guard or clean up.
pub(crate) fn arguments(
    machine: &Machine,
    accel: Accel,
    emulator: &Emulator,
    forwards: &[PortForward],
    files: &Files<'_>,
) -> Vec<OsString> {
    let mut line = Line::default();
    for folder in &emulator.firmware {
        line.option("-L", folder);
    }
    line.words("-nodefaults -no-user-config -no-reboot -display none -vga none -machine pc -cpu max");
    line.words(accelerator(machine, accel, emulator.threads));
    line.option("-m", format!("{}M", machine.memory_mib));
    line.option("-smp", if machine.icount { 1 } else { machine.cpus }.to_string());
    line.option("-kernel", files.kernel);
    line.option("-initrd", files.initramfs);
    line.option("-append", command_line(machine));
    line.option("-serial", with_path("file:", files.serial_log));
    line.words("-chardev stdio,id=control,signal=off -device virtio-serial-pci");
    line.option("-device", format!("virtserialport,chardev=control,name={PORT_NAME}"));
    line.option("-netdev", network(forwards));
    // An empty romfile: the firmware has nothing to boot from the network.
    line.words("-device virtio-net-pci,netdev=net,romfile=");
    for (index, share) in machine.shares.iter().enumerate() {
        let readonly = format!("local,id=share{index},security_model=none,readonly=on,multidevs=remap,path=");
        line.option("-fsdev", with_path(&readonly, &share.host));
        line.option("-device", format!("virtio-9p-pci,fsdev=share{index},mount_tag=share{index}"));
    }
    for (index, disk) in machine.disks.iter().enumerate() {
        let snapshot = if disk.persistent { "off" } else { "on" };
        let drive = format!("if=none,format=raw,id=disk{index},snapshot={snapshot},file=");
        line.option("-drive", with_path(&drive, &disk.image));
        line.option("-device", format!("virtio-blk-pci,drive=disk{index}"));
    }
    line.0
}

fn accelerator(machine: &Machine, accel: Accel, threads: Threads) -> &'static str {
    match (machine.icount, accel, threads) {
        (true, ..) => "-accel tcg -icount shift=0,sleep=off",
        (false, Accel::Kvm, _) => "-accel kvm",
        (false, Accel::Tcg | Accel::Auto, Threads::Many) => "-accel tcg,thread=multi",
        (false, Accel::Tcg | Accel::Auto, Threads::One) => "-accel tcg,thread=single",
    }
}

fn command_line(machine: &Machine) -> String {
    let tsc = if machine.icount { " tsc=reliable" } else { "" };
    format!("{COMMAND_LINE}{tsc} {}", machine.append)
}

fn network(forwards: &[PortForward]) -> String {
    let forward =
        |PortForward { host, guest }: &PortForward| format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}");
    format!("user,id=net{}", forwards.iter().map(forward).collect::<String>())
}

/// In QEMU's options a comma in a path is written twice.
fn with_path(option: &str, path: &Path) -> OsString {
    OsString::from(format!("{option}{}", path.to_string_lossy().replace(',', ",,")))
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn words(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(OsString::from));
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([OsString::from(name), value.into()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Disk, Share};

    fn arguments_of(machine: &Machine, accel: Accel) -> String {
        let path = Path::new("/x");
        let files = Files { kernel: path, initramfs: path, serial_log: path };
        let forwards = [PortForward { host: 4000, guest: 80 }];
        let emulator =
            Emulator { program: PROGRAM.into(), firmware: vec!["/firmware".into()], threads: Threads::One };
        let arguments = arguments(machine, accel, &emulator, &forwards, &files);
        arguments.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn counting_instructions_means_one_cpu_and_no_kvm() {
        let machine = Machine { icount: true, cpus: 4, ..Machine::default() };
        let line = arguments_of(&machine, Accel::Kvm);
        assert!(line.contains("-accel tcg -icount shift=0,sleep=off"), "{line}");
        assert!(line.contains("-smp 1 ") && line.contains("tsc=reliable"), "{line}");
    }

    #[test]
    fn cpus_that_take_turns_share_a_thread() {
        let line = arguments_of(&Machine::default(), Accel::Tcg);
        assert!(line.contains("-accel tcg,thread=single") && line.contains("-L /firmware "), "{line}");
    }

    #[test]
    fn the_callers_words_come_after_the_labs_own() {
        let machine = Machine { append: "mitigations=auto".into(), ..Machine::default() };
        let line = arguments_of(&machine, Accel::Tcg);
        assert!(line.find("mitigations=off") < line.find("mitigations=auto"), "{line}");
    }

    #[test]
    fn disks_forget_unless_asked_not_to_and_ports_stay_on_loopback() {
        let disks = vec![
            Disk { image: "/a,b".into(), persistent: false },
            Disk { image: "/c".into(), persistent: true },
        ];
        let shares = vec![Share { host: "/src".into(), guest: "/src".into() }];
        let line = arguments_of(&Machine { disks, shares, ..Machine::default() }, Accel::Tcg);
        assert!(line.contains("snapshot=on,file=/a,,b") && line.contains("snapshot=off,file=/c"), "{line}");
        assert!(line.contains("hostfwd=tcp:127.0.0.1:4000-:80"), "{line}");
        assert!(line.contains("readonly=on") && line.contains("path=/src"), "{line}");
    }
}
