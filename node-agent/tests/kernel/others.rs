//! Programs of others on the functions of a chain and on a target: told, with who they are as far as the kernel says.

use std::fs;

use faultline_ebpf::asm::{Asm, Attach, Reg};
use faultline_ebpf::btf::Btf;
use faultline_node_agent::kernel::{Alone, Engine, Kernel, Kprobes};

use crate::world::{Vary, World, failing_mounts};

const SLAB: &str = "should_failslab";

/// The kernel's own way to make functions fail.
const FAIL_FUNCTION: &str = "/sys/kernel/debug/fail_function/inject";

/// A program that does nothing.
fn idle(place: Attach, function: &str) -> Alone {
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let id = match place {
        Attach::Kprobe { .. } => 0,
        _ => btf.functions(function).next().unwrap(),
    };
    let mut asm = Asm::new();
    asm.mov(Reg::R0, 0);
    asm.exit();
    Alone::attach(&asm.finish("stranger", place, id).unwrap()).unwrap()
}

fn address(function: &str) -> u64 {
    let table = fs::read_to_string("/proc/kallsyms").unwrap();
    let line = table.lines().find(|line| line.ends_with(&format!(" T {function}"))).unwrap();
    u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()
}

fn kprobe(function: &str) -> Alone {
    idle(Attach::Kprobe { function: function.into(), address: address(function) }, function)
}

/// What is told of each function of the only probe, with programs' numbers left out.
fn told(world: &mut World) -> Vec<(String, Vec<String>)> {
    let spec = failing_mounts(std::path::Path::new("/nowhere"));
    let spec = world.engine.rehearse(spec.fault, &spec.frames(&["path_mount"]).call_chain);
    let points = spec.frames.into_iter().chain([spec.target]).map(|at| at.attached.unwrap());
    points.map(|point| (point.function, without_numbers(&point.others))).collect()
}

fn without_numbers(others: &[String]) -> Vec<String> {
    let word = |word: &str| if word.parse::<u32>().is_ok() { "N".to_owned() } else { word.to_owned() };
    others.iter().map(|other| other.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn programs_of_others_are_told_of_the_function_that_they_are_on_and_ours_are_not() {
    let Some(mut world) = World::new() else { return };
    for kprobes in [false, true] {
        world.with_kprobes(Kprobes { gates: kprobes, frames: kprobes });
        let on_none = |function: &str| (function.to_owned(), Vec::<String>::new());
        assert_eq!(told(&mut world), [on_none("path_mount"), on_none(SLAB)]);
        let entry = idle(Attach::Entry("path_mount".to_owned()), "path_mount");
        let exit = idle(Attach::Exit(SLAB.to_owned()), SLAB);
        let expected = [
            ("path_mount".to_owned(), vec!["fentry program N (stranger)".to_owned()]),
            (SLAB.to_owned(), vec!["fexit program N (stranger)".to_owned()]),
        ];
        assert_eq!(told(&mut world), expected);
        drop((entry, exit));
    }
}

#[test]
fn an_older_program_on_a_target_is_asked_after_ours_and_a_younger_one_before_it() {
    let Some(mut world) = World::new() else { return };
    let (target, _victim) = world.container("target");
    let modify = || idle(Attach::ModifyReturn(SLAB.to_owned()), SLAB);
    let older = modify();
    let preflight = Engine::open(&world.config).unwrap().preflight();
    let alone = |kind| without_numbers(&preflight.fault(kind).unwrap().others);
    let spec = failing_mounts(&target);
    assert_eq!(alone(spec.fault), ["fmod_ret program N (stranger)"]);
    let mut others = || {
        let outcome = world.engine.converge(std::slice::from_ref(&spec)).remove(0);
        without_numbers(&outcome.result.unwrap().points.pop().unwrap().others)
    };
    assert_eq!(others(), ["fmod_ret program N (stranger)"]);
    let younger = modify();
    let hides = "fmod_ret program N (stranger), younger than ours: where it fails a call, ours is not asked";
    assert_eq!(others(), ["fmod_ret program N (stranger)", hides]);
    drop((older, younger));
    assert_eq!(others(), [""; 0]);
}

#[test]
fn a_kprobe_of_others_is_told_with_its_program_where_the_kernel_says_and_without_elsewhere() {
    let Some(mut world) = World::new() else { return };
    let release = world.engine.preflight().release;
    let expected = if release.starts_with("6.1.") {
        "a kprobe of which the kernel does not say whose it is"
    } else {
        "kprobe program N (stranger)"
    };
    for frames in [false, true] {
        world.with_kprobes(Kprobes { gates: false, frames });
        let probe = kprobe("path_mount");
        assert_eq!(told(&mut world)[0].1, [expected]);
        drop(probe);
    }
}

#[test]
fn the_kernels_own_fault_injection_on_a_target_is_told() {
    let Some(mut world) = World::new() else { return };
    fs::write(FAIL_FUNCTION, SLAB).unwrap();
    let points = told(&mut world);
    fs::write(FAIL_FUNCTION, format!("!{SLAB}")).unwrap();
    assert_eq!(points[1].1, ["the kernel's own fault injection, fail_function"]);
    assert_eq!(told(&mut world)[1].1, [""; 0]);
}
