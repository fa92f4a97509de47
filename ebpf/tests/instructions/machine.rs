//! A machine that runs whole programs: registers, stacks, the engine's maps and as much of a kernel as they ask for.

use std::collections::BTreeMap;

use faultline_ebpf::asm::{MapId, Program};

use crate::semantics::{alu, jumps, width};

/// Distance between regions of memory: addresses below it are those of contexts.
const REGION: u32 = 40;
const FRAMES: u64 = 0x100;
const PREEMPT: u64 = 0x200;
const TASK: u64 = 0x201;
/// Offset of `task_struct.signal`.
const SIGNAL: usize = 24;
/// Offset of `task_struct.tgid`.
const TGID: usize = 16;
/// Offset of `task_struct.nivcsw`.
const PREEMPTED: usize = 80;
/// More instructions than any program takes.
const FUEL: usize = 1 << 20;

/// What outlives a program.
pub(crate) struct Kernel {
    /// The values of the maps, one behind the other; what is a kernel variable or a struct is another region.
    pub(crate) maps: BTreeMap<MapId, Vec<u8>>,
    /// Size of a value of the maps that programs look up.
    pub(crate) sizes: BTreeMap<MapId, usize>,
    /// Whether the task has its storage.
    pub(crate) known: bool,
    /// How often a stack was taken.
    pub(crate) walks: usize,
}

/// What the program finds around it.
pub(crate) struct Scene<'a> {
    pub(crate) context: u64,
    pub(crate) arguments: [u64; 2],
    pub(crate) stack: &'a [u64],
    /// Whether the task loses its CPU while its stack is taken.
    pub(crate) is_preempted: bool,
    /// The kernel's count of what keeps the CPU from being taken.
    pub(crate) preempt_count: u32,
    pub(crate) favours: &'a dyn Fn(usize) -> bool,
}

/// A program under way.
struct Run<'a> {
    kernel: &'a mut Kernel,
    scene: &'a Scene<'a>,
    code: Vec<[u8; 8]>,
    registers: [u64; 11],
    frames: Vec<[u8; 512]>,
    /// How often the task was preempted.
    preempted: u64,
}

/// Runs a program to its end, and returns its answer.
pub(crate) fn run(program: &Program, kernel: &mut Kernel, scene: &Scene<'_>) -> u64 {
    let code = program.link(|map| map as i32);
    let code = code.chunks_exact(8).map(|insn| insn.try_into().unwrap()).collect();
    // What nobody wrote is not to be relied on.
    let registers = [0xdead_dead_dead_dead; 11];
    let mut run = Run { kernel, scene, code, registers, frames: Vec::new(), preempted: 7 };
    run.registers[1] = scene.context;
    run.function(0)
}

impl Run<'_> {
    fn function(&mut self, mut at: usize) -> u64 {
        let kept = self.registers;
        self.frames.push([0xaa; 512]);
        self.registers[10] = (FRAMES + self.frames.len() as u64) << REGION;
        for _ in 0..FUEL {
            let [code, registers, low, high, imm @ ..] = self.code[at];
            let (dst, src) = (usize::from(registers & 15), usize::from(registers >> 4));
            let (off, imm) = (i16::from_le_bytes([low, high]), i32::from_le_bytes(imm));
            let right = if code & 8 == 0 { i64::from(imm) as u64 } else { self.registers[src] };
            let jump = at.wrapping_add_signed(isize::from(off) + 1);
            at += 1;
            match code {
                0x18 => {
                    self.registers[dst] = self.wide(src, imm, at);
                    at += 1;
                }
                0x85 if src == 1 => {
                    let there = at.checked_add_signed(imm as isize).unwrap();
                    self.registers[0] = self.function(there);
                }
                0x85 => self.helper(imm),
                0x95 => {
                    self.frames.pop();
                    let answer = self.registers[0];
                    self.registers = kept;
                    return answer;
                }
                0x05 => at = jump,
                0xdb => self.atomic(dst, src, off, imm),
                _ => match code & 7 {
                    7 => self.registers[dst] = alu(code & 0xf0, self.registers[dst], right),
                    5 if jumps(code & 0xf0, self.registers[dst], right) => at = jump,
                    5 => {}
                    1 => {
                        self.registers[dst] =
                            self.load(self.registers[src].wrapping_add_signed(off.into()), code);
                    }
                    _ => {
                        let value = if code & 7 == 2 { i64::from(imm) as u64 } else { self.registers[src] };
                        self.store(self.registers[dst].wrapping_add_signed(off.into()), code, value);
                    }
                },
            }
        }
        panic!("no end");
    }

    fn wide(&self, kind: usize, low: i32, at: usize) -> u64 {
        let high = u64::from(u32::from_le_bytes(self.code[at][4..8].try_into().unwrap()));
        match kind {
            0 => high << 32 | u64::from(low as u32),
            1 => low as u64,
            2 => (low as u64 + 1) << REGION | high,
            _ => PREEMPT << REGION,
        }
    }

    fn helper(&mut self, number: i32) {
        let [_, first, second, third, ..] = self.registers;
        self.registers[0] = match number {
            1 => self.look_up(first, second),
            7 => {
                if (self.scene.favours)(self.registers[9] as usize) {
                    0
                } else {
                    99
                }
            }
            14 => 77,
            67 => {
                self.kernel.walks += 1;
                let taken = self.scene.stack.len().min(third as usize / 8);
                for (at, address) in self.scene.stack[..taken].iter().enumerate() {
                    self.store(second + 8 * at as u64, 0x18, *address);
                }
                self.preempted += u64::from(self.scene.is_preempted);
                8 * taken as u64
            }
            80 => 1,
            113 => {
                for at in 0..second {
                    let byte = self.load(third + at, 0x10);
                    self.store(first + at, 0x10, byte);
                }
                0
            }
            // A task has no name here.
            115 => 0,
            125 => 1000,
            154 => first,
            156 => {
                self.kernel.known |= self.registers[4] == 1;
                if self.kernel.known { (MapId::Tasks as u64 + 1) << REGION } else { 0 }
            }
            158 => TASK << REGION,
            other => panic!("helper {other}"),
        };
        self.registers[1..6].fill(0xdead_dead_dead_dead);
    }

    /// Keys are indices, but for hash tables, which hold one entry here, or none of whom to spare.
    fn look_up(&mut self, map: u64, key: u64) -> u64 {
        let id = MapId::ALL.into_iter().find(|id| *id as u64 == map).unwrap();
        if id == MapId::Spared {
            return 0;
        }
        let hashed = matches!(id, MapId::Members | MapId::Budgets);
        let index = if hashed { 0 } else { self.load(key, 0x00) };
        ((map + 1) << REGION) + index * self.kernel.sizes[&id] as u64
    }

    fn atomic(&mut self, dst: usize, src: usize, off: i16, imm: i32) {
        let address = self.registers[dst].wrapping_add_signed(off.into());
        let (old, right) = (self.load(address, 0x18), self.registers[src]);
        match imm {
            0 => self.store(address, 0x18, old.wrapping_add(right)),
            0xf1 => {
                if old == self.registers[0] {
                    self.store(address, 0x18, right);
                }
                self.registers[0] = old;
            }
            other => panic!("atomic {other:#x}"),
        }
    }

    fn load(&self, address: u64, code: u8) -> u64 {
        let (region, at) = (address >> REGION, (address & ((1 << REGION) - 1)) as usize);
        let mut word = [0; 8];
        let word_of = &mut word[..width(code)];
        match region {
            0 => {
                let bytes = self.scene.arguments.map(u64::to_le_bytes).concat();
                let start = (address - self.scene.context) as usize;
                let bytes =
                    bytes.get(start..start + word_of.len()).map_or(vec![0; word_of.len()], <[u8]>::to_vec);
                word_of.copy_from_slice(&bytes);
            }
            PREEMPT => word_of.copy_from_slice(&self.scene.preempt_count.to_le_bytes()),
            // Nothing is set in a task or what hangs on it, but its number, how often it lost its CPU, and the pointer to
            // its signals.
            TASK if at == TGID => word_of.copy_from_slice(&77_u32.to_le_bytes()),
            TASK if at == PREEMPTED => word_of.copy_from_slice(&self.preempted.to_le_bytes()),
            TASK if at == SIGNAL => word_of.copy_from_slice(&(TASK << REGION).to_le_bytes()),
            TASK => {}
            FRAMES.. => {
                let (frame, start) = place(address);
                word_of.copy_from_slice(&self.frames[frame][start..][..word_of.len()]);
            }
            map => word_of.copy_from_slice(&self.map(map)[at..at + word_of.len()]),
        }
        u64::from_le_bytes(word)
    }

    fn map(&self, region: u64) -> &[u8] {
        let id = MapId::ALL.into_iter().find(|id| *id as u64 + 1 == region).unwrap();
        &self.kernel.maps[&id]
    }

    fn store(&mut self, address: u64, code: u8, value: u64) {
        let bytes = &value.to_le_bytes()[..width(code)];
        let (region, at) = (address >> REGION, (address & ((1 << REGION) - 1)) as usize);
        if region >= FRAMES - 1 {
            let (frame, start) = place(address);
            self.frames[frame][start..start + bytes.len()].copy_from_slice(bytes);
        } else {
            let id = MapId::ALL.into_iter().find(|id| *id as u64 + 1 == region).unwrap();
            let map = self.kernel.maps.get_mut(&id).unwrap();
            map[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

/// The frame of an address below the frame pointer of the function at that depth, and where in it.
fn place(address: u64) -> (usize, usize) {
    let frame = (address >> REGION) - FRAMES;
    let below = (1_u64 << REGION) - (address & ((1 << REGION) - 1));
    (frame as usize, 512 - below as usize)
}
