//! The instructions of predicates against what predicates mean, over the same memory.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    reason = "the machine's words are what they are"
)]

use common::kernel;
use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::{ChainFunction, Hook, Predicate, chain_entry};
use faultline_ebpf::facts::Facts;
use faultline_ebpf::predicate::{Ir, Memory, Op, Space};
use proptest::prelude::*;

#[path = "../common/mod.rs"]
mod common;
mod machine;
#[path = "../common/semantics.rs"]
mod semantics;

/// Memory whose content follows from its addresses. Texts are short, some of it cannot be read, and no address is far
/// from one that can.
#[derive(Debug, Clone)]
struct Imagined {
    seed: u64,
    arguments: [u64; 4],
}

impl Memory for Imagined {
    fn argument(&self, nth: u16) -> u64 {
        self.arguments[usize::from(nth)]
    }

    fn current(&self) -> u64 {
        0xffff_8880_0000_4000
    }

    fn byte(&self, space: Space, address: u64) -> Option<u8> {
        let block = mixed(self.seed ^ address >> 5 ^ if space == Space::User { 1 << 60 } else { 0 });
        (!block.is_multiple_of(8)).then(|| b"ab\0\xff"[(mixed(block ^ address) % 4) as usize])
    }
}

fn mixed(word: u64) -> u64 {
    let word = (word ^ word >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ word >> 29
}

fn memory() -> impl Strategy<Value = Imagined> {
    let number = prop_oneof![any::<u64>(), 0u64..4, Just(u64::MAX), Just(1 << 63)];
    (any::<u64>(), prop::array::uniform4(number)).prop_map(|(seed, arguments)| Imagined { seed, arguments })
}

const OPS: [Op; 19] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::SignedDiv,
    Op::Rem,
    Op::SignedRem,
    Op::And,
    Op::Or,
    Op::Xor,
    Op::Shl,
    Op::Shr,
    Op::SignedShr,
    Op::Eq,
    Op::Ne,
    Op::Lt,
    Op::SignedLt,
    Op::Le,
    Op::SignedLe,
];

fn values() -> impl Strategy<Value = Ir> {
    let constant = prop_oneof![any::<i64>(), -3i64..70, Just(i64::MIN), Just(i64::from(i32::MAX) + 1)];
    let leaf = prop_oneof![
        3 => constant.prop_map(Ir::Const),
        3 => (0u16..4).prop_map(Ir::Argument),
        1 => Just(Ir::Current),
    ];
    leaf.prop_recursive(8, 64, 3, |inner| {
        let space = || prop_oneof![3 => Just(Space::Kernel), 1 => Just(Space::User)];
        let two = || (inner.clone(), inner.clone());
        prop_oneof![
            6 => (prop::sample::select(&OPS[..]), two())
                .prop_map(|(op, (left, right))| Ir::Binary(op, Box::new(left), Box::new(right))),
            3 => (inner.clone(), -40i64..4096, prop::sample::select(&[1u8, 2, 4, 8][..]), any::<bool>(), space())
                .prop_map(|(address, offset, bytes, signed, space)| Ir::Load {
                    address: Box::new(address),
                    offset,
                    bytes,
                    signed,
                    space,
                }),
            1 => (inner.clone(), 1u8..64, any::<bool>())
                .prop_map(|(of, bits, signed)| Ir::Narrow { of: Box::new(of), bits, signed }),
            2 => two().prop_map(|(left, right)| Ir::And(Box::new(left), Box::new(right))),
            2 => two().prop_map(|(left, right)| Ir::Or(Box::new(left), Box::new(right))),
            1 => (inner.clone(), two()).prop_map(|(condition, (then, otherwise))| {
                Ir::Choose(Box::new(condition), Box::new(then), Box::new(otherwise))
            }),
            1 => (inner.clone(), "[ab]{0,20}", any::<bool>(), space()).prop_map(|(address, text, whole, space)| {
                let mut bytes = text.into_bytes();
                if whole || bytes.is_empty() {
                    bytes.push(0);
                }
                Ir::SameBytes { address: Box::new(address), bytes, space }
            }),
        ]
    })
}

fn facts() -> Facts {
    Facts::from_btf(&Btf::parse(kernel().0.build()).unwrap()).unwrap()
}

/// The answer of the predicate's function in a real entry program.
fn answer(condition: &Ir, memory: &impl Memory) -> u64 {
    machine::answer(&machine::program(&facts(), condition).unwrap(), memory)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn instructions_answer_what_the_predicate_means(condition in values(), memory in memory()) {
        let meant = match condition.evaluate(&memory) {
            Ok(0) => 0,
            Ok(_) => 1,
            Err(_) => 2,
        };
        prop_assert_eq!(answer(&condition, &memory), meant);
    }
}

#[test]
fn both_kinds_of_answer_and_failed_reads_are_among_the_cases() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut answers = [0; 3];
    for _ in 0..500 {
        let (condition, memory) = (values(), memory()).new_tree(&mut runner).unwrap().current();
        answers[answer(&condition, &memory) as usize] += 1;
    }
    assert!(answers.iter().all(|times| *times > 25), "{answers:?}");
}

#[test]
fn more_values_wait_than_there_are_registers_for() {
    // A full tree of depth 6: six values wait at a time.
    let mut sum = Ir::Argument(0);
    for _ in 0..6 {
        let one = Ir::Load {
            address: Box::new(sum.clone()),
            offset: 0,
            bytes: 8,
            signed: false,
            space: Space::User,
        };
        sum = Ir::Binary(
            Op::Add,
            Box::new(sum),
            Box::new(Ir::Binary(Op::Xor, Box::new(one), Box::new(Ir::Argument(1)))),
        );
    }
    let memory = |seed| Imagined { seed, arguments: [5, 77, 0, 0] };
    let readable = (0..).map(memory).find(|memory| sum.evaluate(memory).is_ok()).unwrap();
    let value = sum.evaluate(&readable).unwrap();
    let equals = |to| Ir::Binary(Op::Eq, Box::new(sum.clone()), Box::new(Ir::Const(to)));
    assert_eq!(answer(&equals(value), &readable), 1);
    assert_eq!(answer(&equals(value ^ 1), &readable), 0);
}

#[test]
fn a_text_is_read_to_its_end_or_as_far_as_it_is_compared_and_no_further() {
    /// Three bytes, and nothing behind them.
    struct Edge(&'static [u8; 3]);
    impl Memory for Edge {
        fn argument(&self, _: u16) -> u64 {
            64
        }
        fn current(&self) -> u64 {
            0
        }
        fn byte(&self, _: Space, address: u64) -> Option<u8> {
            self.0.get(usize::try_from(address.checked_sub(64)?).ok()?).copied()
        }
    }
    for (memory, bytes, meant) in [
        (b"abc", "abc", 1),
        (b"abc", "abd", 0),
        (b"abc", "xbc", 0),
        (b"abc", "abc\0", 2),
        (b"ab\0", "ab\0", 1),
        (b"ab\0", "abcd", 0),
        (b"\0bc", "\0", 1),
        (b"\0bc", "a", 0),
        (b"abc", "a", 1),
        (b"abc", "\0", 0),
    ] {
        for space in [Space::Kernel, Space::User] {
            let bytes = bytes.as_bytes().to_vec();
            let same = Ir::SameBytes { address: Box::new(Ir::Argument(0)), bytes, space };
            let evaluated = same.evaluate(&Edge(memory)).map_or(2, |value| value as u64);
            assert_eq!(evaluated, meant, "{same:?} of {memory:?}");
            for (condition, meant) in [
                (same.clone(), meant),
                (Ir::binary(Op::Eq, same.clone(), Ir::Const(0)), if meant == 2 { 2 } else { 1 - meant }),
                (Ir::Or(Box::new(same.clone()), Box::new(Ir::Const(0))), meant),
            ] {
                assert_eq!(answer(&condition, &Edge(memory)), meant, "{condition:?} of {memory:?}");
            }
        }
    }
}

#[test]
fn predicates_that_are_too_long_for_a_program_are_an_error() {
    let text = Ir::SameBytes { address: Box::new(Ir::Current), bytes: vec![1; 63], space: Space::Kernel };
    let condition = (0..500).fold(text.clone(), |any, _| Ir::Or(Box::new(text.clone()), Box::new(any)));
    let of = |number| Predicate { number, condition: condition.clone() };
    let function = ChainFunction {
        name: "f".into(),
        number: 1,
        hook: Hook::Trampoline { btf_id: 7 },
        address: 0,
        span: 10,
    };
    assert!(chain_entry(&facts(), &function, &[of(1)], 1).is_ok());
    let error = chain_entry(&facts(), &function, &[of(1), of(2), of(3)], 1).map(|program| program.len());
    assert_eq!(error.unwrap_err().to_string(), "label `predicate` is too far away");
}
