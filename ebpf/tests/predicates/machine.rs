//! A machine that runs the instructions of one predicate: registers, a stack, and a memory that may refuse.

use faultline_ebpf::asm::AsmError;
use faultline_ebpf::codegen::{ChainFunction, Hook, Predicate, chain_entry};
use faultline_ebpf::facts::Facts;
use faultline_ebpf::predicate::{Ir, Memory, Space};

use crate::semantics::{alu, jumps, width};

/// Where the stack ends; it grows down from there.
const FRAME: u64 = 0x7000_0000_0000;
const STACK: usize = 512;
/// Where the function's arguments are.
pub(crate) const CONTEXT: u64 = 0x7100_0000_0000;
/// Where the programs' own words are: all 0 here.
const GLOBALS: u64 = 0x7200_0000_0000;
/// More instructions than any predicate takes.
const FUEL: usize = 1 << 20;

/// A real entry program that carries this predicate and no other.
pub(crate) fn program(facts: &Facts, condition: &Ir) -> Result<Vec<u8>, AsmError> {
    let function = ChainFunction {
        name: "f".into(),
        number: 1,
        hook: Hook::Trampoline { btf_id: 7 },
        address: 0xffff_ffff_8100_0000,
        span: 10,
    };
    let predicates = [Predicate { number: 1, condition: condition.clone() }];
    Ok(chain_entry(facts, &function, &predicates, 1)?.link(|_| 0))
}

/// What the predicate's function in that program answers.
pub(crate) fn answer<M: Memory>(program: &[u8], memory: &M) -> u64 {
    Machine::new(program, memory).run(Machine::<M>::last_function(program))
}

/// A machine at the start of a function.
struct Machine<'a, M> {
    code: Vec<[u8; 8]>,
    memory: &'a M,
    registers: [u64; 11],
    stack: [u8; STACK],
}

impl<'a, M: Memory> Machine<'a, M> {
    fn new(code: &[u8], memory: &'a M) -> Self {
        let code = code.chunks_exact(8).map(|insn| insn.try_into().unwrap()).collect();
        // What nobody wrote is not to be relied on.
        let mut registers = [0xdead_dead_dead_dead; 11];
        registers[1] = CONTEXT;
        registers[10] = FRAME;
        Self { code, memory, registers, stack: [0xaa; STACK] }
    }

    /// Where the function starts that the last local call of a program calls.
    fn last_function(code: &[u8]) -> usize {
        let mut calls =
            code.chunks_exact(8).enumerate().filter(|(_, insn)| insn[0] == 0x85 && insn[1] >> 4 == 1);
        let (at, call) = calls.next_back().unwrap();
        let distance = i32::from_le_bytes(call[4..8].try_into().unwrap());
        at.checked_add_signed(distance as isize + 1).unwrap()
    }

    /// Runs from `at` to the end of the function, and returns R0.
    fn run(mut self, mut at: usize) -> u64 {
        for _ in 0..FUEL {
            let [code, registers, low, high, imm @ ..] = self.code[at];
            let (dst, src) = (usize::from(registers & 15), usize::from(registers >> 4));
            let (off, imm) = (i16::from_le_bytes([low, high]), i32::from_le_bytes(imm));
            at += 1;
            let right = if code & 8 == 0 { i64::from(imm) as u64 } else { self.registers[src] };
            match code {
                0x18 => {
                    self.registers[dst] = self.wide(src, imm, at);
                    at += 1;
                }
                0x85 => self.helper(imm),
                0x95 => return self.registers[0],
                0x05 => at = at.checked_add_signed(off.into()).unwrap(),
                _ if code & 7 == 7 => self.registers[dst] = alu(code & 0xf0, self.registers[dst], right),
                _ if code & 7 == 5 => {
                    if jumps(code & 0xf0, self.registers[dst], right) {
                        at = at.checked_add_signed(off.into()).unwrap();
                    }
                }
                _ if code & 7 == 1 => {
                    let address = self.registers[src].wrapping_add_signed(off.into());
                    self.registers[dst] = self.load(address, width(code));
                }
                0x7b => {
                    let address = self.registers[dst].wrapping_add_signed(off.into());
                    self.store(address, &self.registers[src].to_le_bytes());
                }
                other => panic!("instruction {other:#x} at {}", at - 1),
            }
        }
        panic!("no end");
    }

    fn wide(&self, kind: usize, low: i32, at: usize) -> u64 {
        let high = u32::from_le_bytes(self.code[at][4..8].try_into().unwrap());
        match kind {
            0 => u64::from(high) << 32 | u64::from(low as u32),
            2 => GLOBALS + u64::from(high),
            kind => panic!("a wide load of kind {kind}"),
        }
    }

    fn load(&self, address: u64, bytes: usize) -> u64 {
        let mut word = [0; 8];
        if !(GLOBALS..GLOBALS + 0x10000).contains(&address) {
            word[..bytes].copy_from_slice(&self.stack[place(address, bytes)]);
        }
        u64::from_le_bytes(word)
    }

    fn store(&mut self, address: u64, bytes: &[u8]) {
        self.stack[place(address, bytes.len())].copy_from_slice(bytes);
    }

    fn helper(&mut self, number: i32) {
        let [_, to, size, from, ..] = self.registers;
        self.registers[0] = match number {
            35 => self.memory.current(),
            112 => self.read(to, size, from, Space::User),
            113 => self.read(to, size, from, Space::Kernel),
            114 => self.read_text(to, size, from, Space::User),
            115 => self.read_text(to, size, from, Space::Kernel),
            other => panic!("helper {other}"),
        };
        self.registers[1..6].fill(0xdead_dead_dead_dead);
    }

    fn byte(&self, space: Space, address: u64) -> Option<u8> {
        if (CONTEXT..CONTEXT + 96).contains(&address) {
            assert_eq!(space, Space::Kernel);
            let at = address - CONTEXT;
            return Some(
                self.memory.argument(u16::try_from(at / 8).unwrap()).to_le_bytes()[(at % 8) as usize],
            );
        }
        self.memory.byte(space, address)
    }

    fn read(&mut self, to: u64, size: u64, from: u64, space: Space) -> u64 {
        let bytes: Option<Vec<u8>> = (0..size).map(|at| self.byte(space, from.wrapping_add(at))).collect();
        let failed = bytes.is_none();
        // As the kernel does: what could not be read is 0.
        self.store(to, &bytes.unwrap_or(vec![0; size as usize]));
        if failed { -14_i64 as u64 } else { 0 }
    }

    fn read_text(&mut self, to: u64, size: u64, from: u64, space: Space) -> u64 {
        let mut text: Vec<u8> = Vec::new();
        while (text.len() as u64) < size && text.last() != Some(&0) {
            match self.byte(space, from.wrapping_add(text.len() as u64)) {
                Some(byte) => text.push(byte),
                None => return -14_i64 as u64,
            }
        }
        *text.last_mut().unwrap() = 0;
        self.store(to, &text);
        text.len() as u64
    }
}

fn place(address: u64, bytes: usize) -> std::ops::Range<usize> {
    let start = STACK - usize::try_from(FRAME.checked_sub(address).expect("below the frame")).unwrap();
    start..start + bytes
}
