//! Many predicates, made up over this kernel's own types: the verifier takes the programs of all of them.

mod chains;

use std::fs;

use faultline_ebpf::btf::{Btf, Param, Type};
use faultline_node_agent::kernel::{Kernel as _, ProbeSpec};

use crate::world::{Vary, World, failing_mounts};

/// Functions that are in every kernel from 5.15 on and lead to many kinds of structures.
const FUNCTIONS: [&str; 6] =
    ["path_mount", "d_alloc_parallel", "vfs_read", "do_filp_open", "vfs_statx", "__alloc_skb"];

/// Predicates for each function: nearly as many as one can carry.
const EACH: usize = 60;

/// Containers that share them: each takes 16 probes.
const CONTAINERS: usize = 4;

/// Longest way from a parameter to a value.
const HOPS: usize = 5;

/// As in the other tests of programs: a tenth of what the verifier allows.
const VERIFIED: u32 = 100_000;

/// The same numbers each time.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A comparison of what some way from a parameter leads to; none where the dice led nowhere.
fn comparison(btf: &Btf, params: &[Param<'_>], dice: &mut Dice) -> Option<String> {
    let param = params.get(dice.below(params.len()))?;
    let (mut way, mut id) = (param.name.to_owned(), param.type_id);
    for _ in 0..HOPS {
        let aggregate = match btf.type_of(id)? {
            Type::Int { bytes: 1 | 2 | 4 | 8, .. } | Type::Bool => {
                let op = ["==", "!=", "<", ">=", "&", "+", "%"][dice.below(7)];
                return Some(format!("({way} {op} {}) != 0", 1 + dice.below(1000)));
            }
            Type::Array { of, length } if length > 0 => {
                way = format!("{way}[{}]", dice.below(length as usize));
                id = of;
                continue;
            }
            Type::Pointer(to) => match btf.type_of(to)? {
                Type::Int { bytes: 1, .. } => {
                    return Some(format!("STRNCMP({way}, \"ab\", {})", 1 + dice.below(3)));
                }
                Type::Aggregate { id, .. } => {
                    way += "->";
                    id
                }
                _ => return Some(format!("!{way}")),
            },
            Type::Aggregate { id, .. } => {
                way += ".";
                id
            }
            _ => return None,
        };
        let fields = btf.fields(aggregate);
        let (name, field) = fields.get(dice.below(fields.len().max(1)))?;
        way += name;
        id = field.type_id;
    }
    None
}

/// A condition of four comparisons over what the parameters lead to.
pub(crate) fn predicate(btf: &Btf, params: &[Param<'_>], dice: &mut Dice) -> String {
    let mut all = Vec::new();
    while all.len() < 4 {
        all.extend(
            comparison(btf, params, dice).filter(|text| !text.contains("->.") && !text.ends_with('>')),
        );
    }
    let [a, b, c, d] = &all[..] else { unreachable!("four were made") };
    match dice.below(4) {
        0 => format!("{a} && {b} || {c} && !({d})"),
        1 => format!("({a} ? {b} : {c}) == ({d})"),
        2 => format!("({a}) + ({b}) + ({c}) * 3 > ({d})"),
        _ => format!("{a} || {b} || {c}"),
    }
}

#[test]
fn the_verifier_takes_hundreds_of_predicates_over_this_kernels_own_types() {
    let Some(mut world) = World::new() else { return };
    let (target, mut victim) = world.container("target");
    let mut scopes = vec![target];
    scopes.extend((1..CONTAINERS).map(|nth| world.cgroup(&format!("c{nth}"))));
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let mut dice = Dice(1);
    let mut taken = 0;
    for function in FUNCTIONS {
        let id = btf.functions(function).next().unwrap_or_else(|| panic!("no {function}"));
        let params = btf.params(id).unwrap();
        let specs: Vec<ProbeSpec> = (0..EACH)
            .map(|nth| {
                let text = predicate(&btf, &params, &mut dice);
                failing_mounts(&scopes[nth % CONTAINERS]).frames(&[function]).when(&text)
            })
            .collect();
        for (spec, outcome) in specs.iter().zip(world.engine.converge(&specs)) {
            let text = &spec.call_chain.frames[0].predicate.as_ref().unwrap().text;
            assert!(outcome.result.is_ok(), "{function}: {text}: {:?}", outcome.result);
            taken += 1;
        }
        for program in world.engine.programs() {
            assert!(program.verified < VERIFIED, "{program:?}");
        }
        // Whatever they say of it, the container lives on.
        let tally = victim.ask("mount 5 1");
        assert_eq!(tally.ok + tally.failed, 5);
    }
    assert_eq!(taken, EACH * FUNCTIONS.len());
}
