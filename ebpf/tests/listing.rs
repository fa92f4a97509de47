//! The programs as text, for a kernel that exists only here.
#![expect(clippy::unwrap_used, reason = "the fixture is complete")]

use faultline_ebpf::Target;
use faultline_ebpf::btf::{Btf, BtfBuilder};
use faultline_ebpf::codegen::{
    ChainFunction, Hook, Predicate, cgroup_made, cgroup_removed, chain_entry, chain_exit, counter,
    counter_of_process, gate,
};
use faultline_ebpf::facts::{Facts, TargetFacts};
use faultline_ebpf::predicate::{Ir, Op, Space};

mod common;

/// The least a kernel's BTF must hold.
fn kernel() -> BtfBuilder {
    let (mut btf, [word, flags, pointer]) = common::kernel();
    btf.function("should_failslab", &[("s", pointer), ("gfpflags", flags)]);
    btf.function("should_fail_alloc_page", &[("gfp_mask", flags), ("order", word)]);
    btf.function("should_fail_bio", &[("bio", pointer)]);
    btf
}

fn facts() -> (Btf, Facts) {
    let btf = Btf::parse(kernel().build()).unwrap();
    let facts = Facts::from_btf(&btf).unwrap();
    (btf, facts)
}

fn mount() -> ChainFunction {
    ChainFunction {
        name: "__x64_sys_mount".into(),
        number: 1,
        hook: Hook::Trampoline { btf_id: 77 },
        address: 0xffff_ffff_8120_0000,
        span: 10,
    }
}

#[test]
fn the_gate_of_a_slab_fault_reads_as_it_decides() {
    let (btf, facts) = facts();
    let target = TargetFacts::from_btf(&btf, Target::Slab).unwrap();
    insta::assert_snapshot!(gate(&facts, &target, &[], 3).unwrap().listing());
}

#[test]
fn the_programs_of_a_chain_function() {
    let (_, facts) = facts();
    let (entry, exit) =
        (chain_entry(&facts, &mount(), &[], 4).unwrap(), chain_exit(&facts, &mount()).unwrap());
    insta::assert_snapshot!(format!("{}\n{}", entry.listing(), exit.listing()));
}

#[test]
fn the_programs_that_follow_cgroups() {
    let (_, facts) = facts();
    let (made, removed) = (cgroup_made(&facts, 2).unwrap(), cgroup_removed(&facts, 2).unwrap());
    insta::assert_snapshot!(format!("{}\n{}", made.listing(), removed.listing()));
}

#[test]
fn the_program_that_counts_calls() {
    insta::assert_snapshot!(counter("path_mount", 78).unwrap().listing());
}

#[test]
fn the_program_that_counts_the_calls_of_one_process() {
    insta::assert_snapshot!(counter_of_process("path_mount", 78, 4321).unwrap().listing());
}

#[test]
fn gates_differ_by_where_the_flags_are_and_what_they_answer() {
    let (btf, facts) = facts();
    let listing =
        |target| gate(&facts, &TargetFacts::from_btf(&btf, target).unwrap(), &[], 3).unwrap().listing();
    let (slab, page, bio) = (listing(Target::Slab), listing(Target::Page), listing(Target::Bio));
    assert!(slab.contains("u64[r6+8]") && slab.contains("r1 = -12"));
    assert!(page.contains("u64[r6+0]") && !page.contains("r1 = -12"));
    assert!(!bio.contains("allocation flags") && bio.contains("r1 = -5"));
}

#[test]
fn a_kernel_that_lacks_a_fact_is_told_which() {
    let btf = Btf::parse(BtfBuilder::new().build()).unwrap();
    assert_eq!(Facts::from_btf(&btf).unwrap_err().to_string(), "no __preempt_count, nor pcpu_hot");
    let target = TargetFacts::from_btf(&btf, Target::Bio).unwrap_err();
    assert_eq!(target.to_string(), "no should_fail_bio");
}

#[test]
fn a_program_evaluates_what_its_probes_ask_for_once_and_then_lets_them_pass() {
    let (_, facts) = facts();
    let name = Ir::Load {
        address: Box::new(Ir::Argument(0)),
        offset: 8,
        bytes: 8,
        signed: false,
        space: Space::Kernel,
    };
    let bananas =
        Ir::SameBytes { address: Box::new(name), bytes: b"bananas\0".to_vec(), space: Space::Kernel };
    let large = Ir::binary(Op::Lt, Ir::Const(4096), Ir::Argument(1));
    let predicates = [Predicate { number: 1, condition: bananas }, Predicate { number: 3, condition: large }];
    insta::assert_snapshot!(chain_entry(&facts, &mount(), &predicates, 4).unwrap().listing());
}
