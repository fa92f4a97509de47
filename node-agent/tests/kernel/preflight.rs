//! What the preflight says, and that it is so: each verdict is confirmed by trying to inject.

use std::fs;
use std::io::Write as _;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

use faultline_api::CallChain;
use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::counter;
use faultline_node_agent::kernel::{
    CallCounter, EngineConfig, FaultKind, FaultVerdict, Kernel, Obstacle, Preflight, ProbeError, Unusable,
    preflight, rehearse,
};
use flate2::{Compression, write::GzEncoder};
use rustix::mount::{UnmountFlags, mount_bind, unmount};

use crate::world::{Vary, World, failing_mounts, programs_left};

/// What a victim does to come to the target of a fault, and the frame that it does it in.
fn way_to(kind: FaultKind) -> (&'static str, &'static str) {
    match kind {
        FaultKind::Slab => ("mount 5 1", "__x64_sys_mount"),
        FaultKind::Page => ("pwrite 5", "__x64_sys_pwrite64"),
        FaultKind::Bio => ("direct-read 5", "__x64_sys_pread64"),
    }
}

#[test]
fn a_fault_that_is_usable_is_injected_and_one_that_is_not_is_refused_for_the_same_reason() {
    let Some(mut world) = World::any() else { return };
    let (target, mut victim) = world.container("target");
    for verdict in world.engine.preflight().faults {
        println!("{verdict:?}");
        let (work, frame) = way_to(verdict.kind);
        let spec = failing_mounts(&target).fault(verdict.kind).frames(&[frame]).times(3);
        let outcome = world.engine.converge(std::slice::from_ref(&spec)).remove(0).result;
        let Err(reason) = verdict.mechanism else {
            outcome.unwrap();
            let tally = victim.ask(work);
            assert_eq!((tally.failed, world.counters(&spec).injections), (3, 3), "{verdict:?} {tally:?}");
            continue;
        };
        let function = verdict.kind.function().to_owned();
        assert_eq!(outcome, Err(ProbeError::Fault { function, reason }));
        assert!(world.engine.programs().is_empty());
    }
    world.engine.converge(&[]);
    assert_eq!(programs_left(), [""; 0]);
}

#[test]
fn on_a_full_kernel_every_function_was_seen_to_be_called() {
    let Some(world) = World::new() else { return };
    for FaultVerdict { kind, mechanism, untried, others } in world.engine.preflight().faults {
        assert!(mechanism.is_ok() && untried.is_none(), "{kind:?}: {mechanism:?} {untried:?}");
        assert_eq!(others, [""; 0], "{kind:?}");
    }
}

#[test]
fn without_the_options_one_target_is_gone_one_is_passed_by_for_its_clone_and_one_works() {
    let Some(world) = World::without_options() else { return };
    let report = world.engine.preflight();
    let verdict = |kind| report.fault(kind).unwrap().clone();
    let clone = Some("should_failslab.constprop.0".to_owned());
    assert_eq!(verdict(FaultKind::Slab).mechanism, Err(Unusable::NeverCalled { clone }));
    let option = "CONFIG_FAIL_PAGE_ALLOC is not set".to_owned();
    assert_eq!(verdict(FaultKind::Page).mechanism, Err(Unusable::Missing { option }));
    let bio = verdict(FaultKind::Bio);
    assert!(bio.mechanism.is_ok() && bio.untried.is_none(), "{bio:?}");
}

#[test]
fn the_function_that_is_passed_by_can_be_attached_to_and_sees_nothing() {
    let Some(world) = World::without_options() else { return };
    let (_, mut victim) = world.container("target");
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let id = btf.functions("should_failslab").next().unwrap();
    let counter = CallCounter::attach(&counter("should_failslab", id).unwrap()).unwrap();
    assert_eq!(victim.ask("pwrite 20").ok, 20);
    assert_eq!(counter.total(), 0);
}

/// A file that stands in place of another while this lives.
struct Cover(PathBuf);

impl Cover {
    fn put(lie: &Path, over: &Path) -> Self {
        mount_bind(lie, over).unwrap();
        Self(over.to_owned())
    }
}

impl Drop for Cover {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Every option that verdicts name is turned into its opposite.
fn opposite(truth: &str) -> String {
    let options = ["FAILSLAB", "FAIL_PAGE_ALLOC", "FAIL_MAKE_REQUEST", "FUNCTION_ERROR_INJECTION"];
    let lies = options.map(|option| match truth.contains(&format!("CONFIG_{option}=y\n")) {
        true => format!("# CONFIG_{option} is not set\n"),
        false => format!("CONFIG_{option}=y\n"),
    });
    lies.concat()
}

#[test]
fn a_configuration_that_lies_changes_no_verdict() {
    let Some(world) = World::any() else { return };
    let told = |report: &Preflight| -> Vec<_> {
        let kind = |verdict: &FaultVerdict| verdict.mechanism.as_ref().map_err(discriminant).cloned();
        report.faults.iter().map(kind).collect()
    };
    let honest = world.engine.preflight();
    let folder = tempfile::tempdir().unwrap();
    let lie = opposite(&configuration());
    let packed = folder.path().join("config.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&packed).unwrap(), Compression::fast());
    encoder.write_all(lie.as_bytes()).unwrap();
    encoder.finish().unwrap();
    let plain = PathBuf::from("/boot").join(format!("config-{}", honest.release));
    let _cover = match Path::new("/proc/config.gz") {
        shown if shown.exists() => Some(Cover::put(&packed, shown)),
        _ => None,
    };
    let was = fs::read(&plain).ok();
    fs::create_dir_all("/boot").unwrap();
    fs::write(&plain, &lie).unwrap();
    let deceived = preflight(&world.config);
    match was {
        Some(bytes) => fs::write(&plain, bytes).unwrap(),
        None => fs::remove_file(&plain).unwrap(),
    }
    println!("{deceived:#?}");
    assert_eq!(configuration_lies(&deceived), configuration_lies(&honest).map(|_| true));
    assert_eq!(told(&deceived), told(&honest));
}

/// What this kernel's configuration says, where it says anything.
fn configuration() -> String {
    let mut text = String::new();
    if let Ok(file) = fs::File::open("/proc/config.gz") {
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    }
    text
}

/// Whether a reason quotes the configuration as contradicting it; absent where no reason names an option.
fn configuration_lies(report: &Preflight) -> Option<bool> {
    let quoted = report.faults.iter().filter_map(|verdict| match &verdict.mechanism {
        Err(Unusable::Missing { option } | Unusable::NotInjectable { option }) => Some(option),
        _ => None,
    });
    quoted.map(|option| option.starts_with("although")).next()
}

#[test]
fn a_rehearsal_says_what_a_converge_would_and_leaves_nothing_behind() {
    let Some(mut world) = World::any() else { return };
    let (target, mut victim) = world.container("target");
    let good = failing_mounts(&target).fault(FaultKind::Bio).frames(&["pread64", "submit_bio_noacct"]);
    let no_such = good.clone().frames(&["submit_bio_noacc"]);
    let wrong = good.clone().when("bio->bi_no_such == 1");
    let slab = failing_mounts(&target).frames(&["mount"]);
    for spec in [good, no_such, wrong, slab] {
        let rehearsal = world.engine.rehearse(spec.fault, &spec.call_chain);
        println!("{rehearsal:#?}");
        assert!(world.engine.programs().is_empty(), "{:?}", world.engine.programs());
        let outcome = world.engine.converge(std::slice::from_ref(&spec)).remove(0).result;
        assert_eq!(rehearsal.reasons().next(), outcome.as_ref().err());
        assert_eq!(rehearsal.is_usable(), outcome.is_ok());
        let points = rehearsal.frames.iter().filter(|at| at.problem.is_none());
        assert!(points.clone().all(|at| at.attached.is_some()), "{rehearsal:?}");
        world.engine.converge(&[]);
    }
    let work = if Path::new("/dev/vda").exists() { "direct-read 5" } else { "pwrite 5" };
    assert_eq!(victim.ask(work).ok, 5);
    assert_eq!(programs_left(), [""; 0]);
}

#[test]
fn a_rehearsal_beside_a_probe_that_is_in_force_does_not_touch_it() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let spec = failing_mounts(&target);
    world.arm(std::slice::from_ref(&spec));
    let before = world.engine.programs().len();
    let other = failing_mounts(&target).fault(FaultKind::Page).frames(&["__x64_sys_pwrite64"]);
    assert!(world.engine.rehearse(other.fault, &other.call_chain).is_usable());
    assert_eq!(world.engine.programs().len(), before);
    assert_eq!((victim.ask("mount 5 1").failed, victim.ask("pwrite 5").ok), (5, 5));
}

#[test]
fn without_a_bpf_file_system_the_kernel_is_judged_all_the_same() {
    let Some(world) = World::any() else { return };
    let honest = world.engine.preflight();
    let config = EngineConfig { pins: "/tmp/no-bpffs".into(), ..world.config.clone() };
    let (report, rehearsals) = rehearse(&config, &[(FaultKind::Slab, CallChain::default())]);
    let told: Vec<&str> = report.obstacles.iter().map(Obstacle::text).collect();
    assert!(told.len() == 1 && told[0].contains("no bpf file system at /tmp"), "{told:?}");
    assert_eq!(report.faults, honest.faults);
    assert!(report.could_tell() && !rehearsals[0].is_usable());
    assert_eq!(programs_left(), [""; 0]);
}
