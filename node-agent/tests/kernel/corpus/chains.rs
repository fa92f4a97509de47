//! Chains with predicates, made up over this kernel's own types, and those of the examples: the verifier takes their
//! programs, by either mechanism.

use std::fs;
use std::path::Path;

use faultline_api::{CallChain, Content, Fault, Frame, Predicate, decode};
use faultline_ebpf::btf::Btf;
use faultline_ebpf::layout::MAX_FRAMES;
use faultline_node_agent::kernel::{FaultKind, Kernel as _, Kprobes, ProbeError};

use super::{Dice, FUNCTIONS, predicate};
use crate::world::{World, programs_left};

/// Chains for each mechanism, the first of which is as long as can be.
const CHAINS: usize = 4;

/// Frames of the others.
const FRAMES: usize = 5;

/// How programs are attached where the kernel gives a choice, and where not.
const MECHANISMS: [Kprobes; 2] =
    [Kprobes { gates: false, frames: false }, Kprobes { gates: true, frames: true }];

/// On a kernel that cannot inject, all of a chain but its gate can be had.
fn is_taken(world: &mut World, fault: FaultKind, chain: &CallChain) {
    let is_injectable = world.engine.preflight().usable(fault).is_ok();
    let rehearsal = world.engine.rehearse(fault, chain);
    for at in &rehearsal.frames {
        assert_eq!(at.problem, None, "{chain:?}");
        assert!(at.attached.is_some(), "{chain:?}");
    }
    match &rehearsal.target.problem {
        None => assert!(is_injectable, "{rehearsal:?}"),
        Some(problem) => {
            assert!(!is_injectable && matches!(problem, ProbeError::Fault { .. }), "{chain:?}: {problem}");
        }
    }
    assert_eq!(rehearsal.problems, []);
    assert_eq!(rehearsal.frames.len(), chain.frames.len());
}

fn made_up(btf: &Btf, dice: &mut Dice, frames: usize) -> (FaultKind, CallChain) {
    let fault = FaultKind::ALL[dice.below(FaultKind::ALL.len())];
    let frames = (0..frames).map(|_| frame(btf, dice)).collect();
    let target = about(btf, fault.function(), dice);
    (fault, CallChain { frames, target })
}

/// Half of the frames have a predicate, and functions come up more than once.
fn frame(btf: &Btf, dice: &mut Dice) -> Frame {
    let Some(function) = FUNCTIONS.get(dice.below(FUNCTIONS.len() + 1)) else {
        let text = format!("STRCMP(type, \"ext4\") || flags & {}", 1 << dice.below(12));
        let parameters = "char *source, char *target, char *type, unsigned long flags".to_owned();
        let predicate = Predicate { text, parameters: Some(parameters) };
        return Frame { function: "mount".to_owned(), predicate: Some(predicate) };
    };
    let predicate = if dice.below(2) == 0 { about(btf, function, dice) } else { None };
    Frame { function: (*function).to_owned(), predicate }
}

fn about(btf: &Btf, function: &str, dice: &mut Dice) -> Option<Predicate> {
    let params = btf.params(btf.functions(function).next()?)?;
    Some(Predicate { text: predicate(btf, &params, dice), parameters: None })
}

#[test]
fn either_mechanism_takes_chains_that_are_made_up_with_predicates_over_this_kernels_own_types() {
    let Some(mut world) = World::any() else { return };
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let mut dice = Dice(2);
    for kprobes in MECHANISMS {
        world.with_kprobes(kprobes);
        for nth in 0..CHAINS {
            let frames = if nth == 0 { MAX_FRAMES } else { dice.below(FRAMES + 1) };
            let (fault, chain) = made_up(&btf, &mut dice, frames);
            is_taken(&mut world, fault, &chain);
        }
    }
    assert_eq!(programs_left(), [""; 0]);
}

#[test]
fn either_mechanism_takes_every_example() {
    let Some(mut world) = World::any() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/experiments");
    let mut chains = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for document in decode(fs::read(&path).unwrap()).documents {
            let Content::Experiment(experiment) = document.content else { panic!("{}", path.display()) };
            let fault = match experiment.fault {
                Fault::Slab => FaultKind::Slab,
                Fault::Page => FaultKind::Page,
                Fault::Bio => FaultKind::Bio,
            };
            chains.push((fault, experiment.call_chain));
        }
    }
    assert!(!chains.is_empty());
    for kprobes in MECHANISMS {
        world.with_kprobes(kprobes);
        for (fault, chain) in &chains {
            is_taken(&mut world, *fault, chain);
        }
    }
}
