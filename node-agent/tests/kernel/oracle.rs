//! What predicates come to in this kernel, against what they come to in Rust, over the same memory.

use std::cell::Cell;
use std::fs;

use faultline_api::Predicate;
use faultline_ebpf::btf::{Btf, Kind, Param};
use faultline_ebpf::predicate::{Function, Ir, Memory, Space, Unread, read};
use faultline_node_agent::kernel::{Counters, Kernel as _, ProbeSpec};

use crate::corpus::{Dice, predicate};
use crate::victim::Victim;
use crate::victim::known::{Arguments, LENGTH, arguments, memory};
use crate::world::{Vary, World, failing_mounts};

/// Predicates on one function at a time, and the containers that share them: each takes 16 probes.
const EACH: usize = 60;
const CONTAINERS: usize = 4;

/// Calls with other memory for each predicate.
const CALLS: u64 = 4;

/// Structs of every kernel that have members of many kinds.
const STRUCTS: [[&str; 4]; 3] = [
    ["inode", "bio", "sk_buff", "file"],
    ["dentry", "super_block", "cred", "page"],
    ["vm_area_struct", "request_queue", "net_device", "signal_struct"],
];

/// Bytes of `data` that the kernel copies.
const PAGE: usize = 4096;

/// The lowest address that a process can have, and the first behind its last.
const LOWEST: u64 = 0x1_0000;
const HIGHEST: u64 = (1 << 47) - 4096;

/// Addresses of what is somewhere in the kernel.
const REGISTERS: u64 = 0xffff_c900_1111_0000;
const DATA: u64 = 0xffff_8880_2222_0000;
const ELSEWHERE: u64 = 0xffff_8880_3333_0000;

/// What a call's predicates see, as far as it is known.
struct Seen<'a> {
    btf: &'a Btf,
    address: u64,
    memory: Vec<u8>,
    call: Arguments,
    is_syscall: bool,
    /// Whether anything was asked for that is not known here.
    is_unknown: Cell<bool>,
}

impl Seen<'_> {
    fn new<'a>(btf: &'a Btf, seed: u64, address: u64, is_syscall: bool) -> Seen<'a> {
        let (memory, call) = (memory(seed, address), arguments(seed));
        Seen { btf, address, memory, call, is_syscall, is_unknown: Cell::new(false) }
    }

    fn unknown(&self) -> Option<u8> {
        self.is_unknown.set(true);
        Some(0)
    }

    /// A byte of the system call's registers.
    fn register(&self, offset: u64) -> Option<u8> {
        let registers = self.btf.find(Kind::Struct, "pt_regs").unwrap();
        let is_there = |name: &&str| {
            let start = u64::from(self.btf.field(registers, name).unwrap().bit_offset / 8);
            (start..start + 8).contains(&offset)
        };
        let Some(nth) = ["di", "si", "dx", "r10", "r8"].iter().position(is_there) else {
            return self.unknown();
        };
        let Arguments { source, target, kind, flags, data } = self.call;
        let within = |at: usize| self.address + at as u64;
        let words = [within(source), within(target), within(kind), flags.into(), within(data)];
        Some(words[nth].to_le_bytes()[(offset % 8) as usize])
    }
}

impl Memory for Seen<'_> {
    fn argument(&self, nth: u16) -> u64 {
        match (self.is_syscall, nth) {
            (true, 0) => REGISTERS,
            (false, 3) => 0,
            (false, 4) => DATA,
            _ => ELSEWHERE,
        }
    }

    fn current(&self) -> u64 {
        ELSEWHERE
    }

    fn byte(&self, space: Space, address: u64) -> Option<u8> {
        let within = address.checked_sub(self.address).filter(|at| *at < LENGTH as u64);
        match space {
            Space::User if let Some(at) = within => Some(self.memory[at as usize]),
            Space::User if (LOWEST..HIGHEST).contains(&address) => self.unknown(),
            Space::User => None,
            // What no kernel has at all: addresses of processes, and those that are none.
            Space::Kernel if address < 0xffff_8000_0000_0000 => None,
            Space::Kernel if (REGISTERS..REGISTERS + 168).contains(&address) => {
                self.register(address - REGISTERS)
            }
            Space::Kernel if (DATA..DATA + PAGE as u64).contains(&address) => {
                Some(self.memory[self.call.data + (address - DATA) as usize])
            }
            Space::Kernel => self.unknown(),
        }
    }
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Holds,
    Fails,
    Unread,
}

/// What the oracle says; none where it cannot know.
fn expected(condition: &Ir, seen: &Seen<'_>) -> Option<Answer> {
    seen.is_unknown.set(false);
    let answer = match condition.evaluate(seen) {
        Ok(0) => Answer::Fails,
        Ok(_) => Answer::Holds,
        Err(Unread) => Answer::Unread,
    };
    (!seen.is_unknown.get()).then_some(answer)
}

/// What the programs counted of one call.
fn answered(before: Counters, after: Counters) -> Answer {
    let more =
        (after.matches > before.matches, after.rejected - before.rejected, after.unread - before.unread);
    match more {
        (true, 0, 0) => Answer::Holds,
        (false, 1, 0) => Answer::Fails,
        (false, 0, 1) => Answer::Unread,
        _ => panic!("not one entry: {before:?} and {after:?}"),
    }
}

/// How often each answer was given, and how often the oracle could not know.
#[derive(Debug, Default)]
struct Agreed {
    answers: [usize; 3],
    unknown: usize,
}

/// One function with as many predicates as it can carry, over calls that a container makes.
struct Round<'a> {
    btf: &'a Btf,
    function: &'a str,
    parameters: Option<&'a str>,
    order: &'a str,
}

impl Round<'_> {
    fn run(
        &self,
        world: &mut World,
        victims: &mut [(std::path::PathBuf, Victim)],
        texts: &[String],
        agreed: &mut Agreed,
    ) {
        let id = self.btf.functions(self.function).next().unwrap();
        let is_syscall = self.function.starts_with("__x64_sys_");
        let compiled = |text: &String| {
            let predicate = Predicate { text: text.clone(), parameters: self.parameters.map(str::to_owned) };
            read(Function { btf: self.btf, id, is_syscall }, &predicate)
                .unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
        };
        let conditions: Vec<Ir> = texts.iter().map(compiled).collect();
        let spec = |(nth, text): (usize, &String)| {
            let spec = failing_mounts(&victims[nth % CONTAINERS].0).frames(&[self.function]).when(text);
            let spec = spec.probability(0);
            match self.parameters {
                Some(parameters) => spec.declared(parameters),
                None => spec,
            }
        };
        let specs: Vec<ProbeSpec> = texts.iter().enumerate().map(spec).collect();
        world.arm(&specs);
        for seed in 0..CALLS {
            let before = world.engine.counters();
            let mut calls = Vec::new();
            for (_, victim) in victims.iter_mut() {
                let address = victim.ask(&format!("{} {seed}", self.order)).place;
                calls.push(Seen::new(self.btf, seed, address, is_syscall));
            }
            let after = world.engine.counters();
            for (nth, (spec, condition)) in specs.iter().zip(&conditions).enumerate() {
                let answer = answered(before[&spec.id], after[&spec.id]);
                match expected(condition, &calls[nth % CONTAINERS]) {
                    Some(expected) => {
                        assert_eq!(answer, expected, "{}: {} with {seed}", self.function, texts[nth]);
                        agreed.answers[answer as usize] += 1;
                    }
                    None => agreed.unknown += 1,
                }
            }
        }
    }
}

/// Predicates over members of these structs, wherever `names` say that there are such.
fn texts(btf: &Btf, names: &[String], structs: &[&str], dice: &mut Dice) -> Vec<String> {
    let ids = structs.iter().map(|name| btf.find(Kind::Struct, name).unwrap_or_else(|| panic!("no {name}")));
    let params: Vec<Param<'_>> =
        names.iter().zip(ids).map(|(name, type_id)| Param { name, type_id }).collect();
    (0..EACH).map(|_| predicate(btf, &params, dice)).collect()
}

#[test]
fn predicates_come_to_what_the_oracle_says_over_the_same_memory() {
    let Some(mut world) = World::new() else { return };
    let mut victims: Vec<_> = (0..CONTAINERS).map(|nth| world.container(&format!("c{nth}"))).collect();
    let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
    let mut dice = Dice(7);
    let (mut of_callers, mut of_kernels) = (Agreed::default(), Agreed::default());
    for structs in STRUCTS {
        let [a, b, c, e] = structs;
        let parameters =
            format!("struct {a} *a, struct {b} *b, struct {c} *c, unsigned long d, struct {e} *e");
        let round =
            Round { btf: &btf, function: "__x64_sys_mount", parameters: Some(&parameters), order: "known" };
        let names = ["(*a)", "(*b)", "(*c)", "(*e)"].map(str::to_owned);
        let texts: Vec<_> = texts(&btf, &names, &structs, &mut dice)
            .into_iter()
            .map(|text| if dice.below(4) == 0 { format!("d % 3 == 1 || {text}") } else { text })
            .collect();
        round.run(&mut world, &mut victims, &texts, &mut of_callers);
    }
    for structs in &STRUCTS[..2] {
        let round = Round { btf: &btf, function: "path_mount", parameters: None, order: "known-inside" };
        let names = structs.map(|name| format!("(*(struct {name} *)data_page)"));
        let texts = texts(&btf, &names, structs, &mut dice);
        round.run(&mut world, &mut victims, &texts, &mut of_kernels);
    }
    println!("callers' memory {of_callers:?}, the kernel's {of_kernels:?}");
    for Agreed { answers, unknown } in [of_callers, of_kernels] {
        assert!(answers.iter().all(|times| *times > 40), "{answers:?}");
        assert!(unknown * 4 < answers.iter().sum(), "{unknown} beside {answers:?}");
    }
}
