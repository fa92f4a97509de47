//! What can be said of a program without running it: what the kernel's verifier refuses before it follows a single path.

use std::collections::{BTreeMap, BTreeSet};

/// Stack of a function together with those that it calls.
const STACK: usize = 512;

/// Functions that call each other at a time.
const CALLS: usize = 8;

const WIDE: u8 = 0x18;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const JUMP: u8 = 0x05;

struct Insn {
    code: u8,
    dst: usize,
    src: usize,
    off: i64,
    imm: i32,
}

impl Insn {
    fn calls_local(&self) -> bool {
        self.code == CALL && self.src == 1
    }
}

/// One function of a program.
struct Function {
    calls: BTreeSet<usize>,
    stack: usize,
}

/// Panics unless every jump leads to an instruction of its function, every instruction can be reached, every function
/// ends, and registers, stack and constants are what they may be.
pub fn check(code: &[u8]) {
    assert!(code.len().is_multiple_of(8) && !code.is_empty(), "{} bytes", code.len());
    let insns: Vec<Insn> = code.chunks_exact(8).map(decoded).collect();
    let target = |at: usize, off: i64| at.checked_add_signed(isize::try_from(off + 1).unwrap()).unwrap();
    let calls = insns.iter().enumerate().filter(|(_, insn)| insn.calls_local());
    let starts: BTreeSet<usize> = calls.map(|(at, insn)| target(at, insn.imm.into())).chain([0]).collect();
    let ends = starts.iter().skip(1).copied().chain([insns.len()]);
    let functions = starts.iter().zip(ends).map(|(start, end)| (*start, function(&insns, *start..end)));
    let functions: BTreeMap<usize, Function> = functions.collect();
    assert!(stack(&functions, 0, CALLS) <= STACK, "too much stack");
}

fn decoded(bytes: &[u8]) -> Insn {
    let bytes: [u8; 8] = bytes.try_into().unwrap();
    let [code, registers, low, high, imm @ ..] = bytes;
    Insn {
        code,
        dst: usize::from(registers & 15),
        src: usize::from(registers >> 4),
        off: i16::from_le_bytes([low, high]).into(),
        imm: i32::from_le_bytes(imm),
    }
}

fn function(insns: &[Insn], range: std::ops::Range<usize>) -> Function {
    let mut found = Function { calls: BTreeSet::new(), stack: 0 };
    let (mut reached, mut open) = (BTreeSet::new(), vec![range.start]);
    while let Some(at) = open.pop() {
        assert!(range.contains(&at), "instruction {at} is none of the function at {range:?}");
        if !reached.insert(at) {
            continue;
        }
        let insn = &insns[at];
        one(insn, at);
        found.stack = found.stack.max(stack_of(insns, at));
        let jump = |off: i64| at.checked_add_signed(isize::try_from(off + 1).unwrap()).unwrap();
        match insn.code {
            EXIT => {}
            JUMP => open.push(jump(insn.off)),
            WIDE => {
                assert_eq!(insns[at + 1].code, 0, "the other half of a wide load at {at}");
                reached.insert(at + 1);
                open.push(at + 2);
            }
            CALL => {
                if insn.calls_local() {
                    found.calls.insert(jump(insn.imm.into()));
                }
                open.push(at + 1);
            }
            code if code & 7 == JUMP => open.extend([at + 1, jump(insn.off)]),
            _ => open.push(at + 1),
        }
    }
    assert_eq!(reached.len(), range.len(), "instructions of {range:?} that nothing reaches");
    found
}

/// Fields of one instruction.
fn one(insn: &Insn, at: usize) {
    let Insn { code, dst, src, imm, .. } = insn;
    assert!(*dst <= 10 && *src <= 10, "a register of instruction {at}");
    match code & 7 {
        7 => {
            assert!(*dst < 10, "the frame pointer is written at {at}");
            let by_constant = code & 8 == 0;
            match code & 0xf0 {
                0x30 | 0x90 if by_constant => assert_ne!(*imm, 0, "a division by 0 at {at}"),
                0x60 | 0x70 | 0xc0 if by_constant => {
                    assert!((0..64).contains(imm), "a shift by {imm} at {at}");
                }
                0x00..=0x70 | 0x90..=0xc0 => {}
                other => panic!("operation {other:#x} at {at}"),
            }
        }
        1 => assert!(*dst < 10 && code & 0xe0 == 0x60, "load {code:#x} at {at}"),
        2 | 3 => assert!(matches!(code & 0xe0, 0x60 | 0xc0), "store {code:#x} at {at}"),
        5 => assert!(code & 0xf0 <= 0xd0, "jump {code:#x} at {at}"),
        0 => assert_eq!(*code, WIDE, "instruction {code:#x} at {at}"),
        other => panic!("class {other} at {at}"),
    }
}

/// Bytes of stack that an instruction reaches down to.
fn stack_of(insns: &[Insn], at: usize) -> usize {
    let insn = &insns[at];
    let depth = match insn.code & 7 {
        1 if insn.src == 10 => -insn.off,
        2 | 3 if insn.dst == 10 => -insn.off,
        // An address of something on the stack is made of two instructions.
        7 if insn.code == 0xbf && insn.src == 10 => match insns.get(at + 1) {
            Some(next) if next.code == 0x07 && next.dst == insn.dst => -i64::from(next.imm),
            _ => return 0,
        },
        _ => return 0,
    };
    assert!(depth > 0, "an access above the frame at {at}");
    usize::try_from(depth).unwrap()
}

fn stack(functions: &BTreeMap<usize, Function>, at: usize, calls: usize) -> usize {
    assert!(calls > 0, "calls are nested too deep");
    let Function { calls: called, stack: own } = &functions[&at];
    let deepest = called.iter().map(|at| stack(functions, *at, calls - 1)).max().unwrap_or(0);
    // As the verifier counts.
    own.next_multiple_of(32).max(32) + deepest
}
