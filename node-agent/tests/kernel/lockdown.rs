//! A machine that was booted with `lockdown=confidentiality`: Debian's kernel can, the lab's own cannot.

use std::fs;

use faultline_ebpf::asm::{Asm, Attach, Reg};
use faultline_node_agent::kernel::{Alone, Engine, EngineConfig, FaultKind, Obstacle, OpenError, preflight};
use rustix::mount::{MountFlags, mount};

#[test]
fn a_kernel_in_lockdown_is_refused_by_that_name_and_would_refuse_us() {
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if !line.split_whitespace().any(|word| word == "lockdown=confidentiality") {
        eprintln!("SKIPPED: needs a machine of the lab: --kernel stock --append lockdown=confidentiality");
        return;
    }
    mount("securityfs", "/sys/kernel/security", "securityfs", MountFlags::empty(), None).unwrap();
    let said = "kernel lockdown is confidentiality: tracing programs are forbidden";
    let report = preflight(&EngineConfig::default());
    assert_eq!(report.lockdown, "confidentiality");
    assert!(report.could_tell());
    let told: Vec<&str> = report.obstacles.iter().map(Obstacle::text).collect();
    assert!(told.contains(&said), "{told:?}");
    for kind in FaultKind::ALL {
        let reason = report.usable(kind).unwrap_err().to_string();
        assert!(reason.contains(said), "{kind:?}: {reason}");
    }
    assert!(matches!(Engine::open(&EngineConfig::default()), Err(OpenError::Lockdown { .. })));

    let table = fs::read_to_string("/proc/kallsyms").unwrap();
    let slab = table.lines().find(|line| line.ends_with(" T should_failslab")).unwrap();
    let address = u64::from_str_radix(slab.split(' ').next().unwrap(), 16).unwrap();
    let mut asm = Asm::new();
    asm.mov(Reg::R0, 0);
    asm.exit();
    let place = Attach::Kprobe { function: "should_failslab".to_owned(), address };
    let refusal = Alone::attach(&asm.finish("locked_out", place, 0).unwrap()).unwrap_err();
    assert!(refusal.is(rustix::io::Errno::PERM.raw_os_error()), "{refusal}");
}
