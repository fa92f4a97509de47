//! Whose programs are on our functions beside ours. Another's program can hide ours: of several `fmod_ret` programs on a
//! function the youngest runs first, and where it fails the call no other is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::engine::Engine;
use super::links::{self, At, Link};
use super::sys;

/// Where the kernel lists all kprobes, whoever made them.
const KPROBES: &str = "/sys/kernel/debug/kprobes/list";

/// Where it lists the functions that its own fault injection makes fail.
const FAILING: &str = "/sys/kernel/debug/fail_function/inject";

/// A kprobe at the entry of a function may sit behind its first instruction, `endbr64`.
const ENTRY: u64 = 4;

/// A function that programs of ours are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    /// As the kernel spells it, without its module.
    pub(super) name: String,
    pub(super) module: Option<String>,
    /// Among the types of its module, or of the kernel.
    pub(super) btf_id: u32,
    pub(super) address: u64,
    /// How many kprobes on it are ours.
    pub(super) kprobes: usize,
    /// The link of our gate on it.
    pub(super) gate: Option<u32>,
}

/// What is attached anywhere and is not ours, at one instant.
#[derive(Debug, Default)]
pub(super) struct Others {
    links: Vec<Link>,
    /// What types are called, by number.
    types: BTreeMap<u32, String>,
    /// Where kprobes are, ours too.
    kprobes: Vec<u64>,
    failing: BTreeSet<String>,
}

impl Others {
    /// Looks for all but the links `ours`. What this process may not see, or the kernel does not show, is not there.
    pub(super) fn look(ours: &BTreeSet<u32>) -> Self {
        let mut links = links::all().unwrap_or_default();
        links.retain(|link| !ours.contains(&link.id));
        let types = links.iter().filter_map(|link| match link.at {
            At::Function { types, .. } => Some(types),
            _ => None,
        });
        let types: BTreeSet<u32> = types.collect();
        let named = |types: u32| Some((types, links::name_of_types(types).ok()??));
        let types = types.into_iter().filter_map(named).collect();
        let list = |path| fs::read_to_string(path).unwrap_or_default();
        Self { links, types, kprobes: kprobes(&list(KPROBES)), failing: failing(&list(FAILING)) }
    }

    /// What is on a function beside ours, in words.
    pub(super) fn on(&self, seat: &Seat) -> Vec<String> {
        let named: Vec<_> =
            self.links.iter().filter_map(|link| Some((link, self.way(link, seat)?))).collect();
        let mut others: Vec<String> = named.iter().map(|(link, how)| told(link, how, seat)).collect();
        let is_failing = self.failing.contains(&seat.name);
        if is_failing {
            others.push("the kernel's own fault injection, fail_function".to_owned());
        }
        let single = named.iter().filter(|(_, how)| ["kprobe", "kretprobe"].contains(how)).count();
        let known = single + usize::from(is_failing) + seat.kprobes;
        let there = self.kprobes.iter().filter(|address| is_entry(**address, seat)).count();
        match there.saturating_sub(known) {
            0 => {}
            1 => others.push("a kprobe of which the kernel does not say whose it is".to_owned()),
            many => others.push(format!("{many} kprobes of which the kernel does not say whose they are")),
        }
        others
    }

    /// How a link leads to a function, where it does.
    fn way(&self, link: &Link, seat: &Seat) -> Option<&'static str> {
        match &link.at {
            At::Function { how, types, id } => {
                let object = self.types.get(types)?;
                let wanted = seat.module.as_deref().unwrap_or(faultline_ebpf::symbol::KERNEL);
                (object == wanted && *id == seat.btf_id).then_some(*how)
            }
            At::Address { how, addresses } => {
                addresses.iter().any(|address| is_entry(*address, seat)).then_some(*how)
            }
            At::Elsewhere => None,
        }
    }
}

fn told(link: &Link, how: &str, seat: &Seat) -> String {
    let name = sys::name_of_program(link.program).ok().flatten().unwrap_or_default();
    let told = format!("{how} program {} ({name})", link.program);
    if how == "fmod_ret" && seat.gate.is_some_and(|gate| link.id > gate) {
        format!("{told}, younger than ours: where it fails a call, ours is not asked")
    } else {
        told
    }
}

impl Engine {
    /// What is on the functions of this engine beside its own programs, by their names.
    pub(super) fn others(&self) -> BTreeMap<String, Vec<String>> {
        let ours = self.lives().filter_map(super::programs::Live::link_id).collect();
        let others = Others::look(&ours);
        let seats = self.functions.seats().chain(self.gates.seats());
        seats.map(|(name, seat)| (name, others.on(&seat))).collect()
    }
}

fn is_entry(address: u64, seat: &Seat) -> bool {
    seat.address != 0 && address.checked_sub(seat.address).is_some_and(|offset| offset <= ENTRY)
}

/// Address, kind, function with offset, module, state.
fn kprobes(list: &str) -> Vec<u64> {
    let address = |line: &str| {
        let address = line.split_ascii_whitespace().next()?;
        (!line.contains("[GONE]")).then(|| u64::from_str_radix(address, 16).ok())?
    };
    list.lines().filter_map(address).collect()
}

fn failing(list: &str) -> BTreeSet<String> {
    list.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(kprobes: usize) -> Seat {
        let (name, address) = ("path_mount".to_owned(), 0xffff_ffff_8100_0010);
        Seat { name, module: None, btf_id: 7, address, kprobes, gate: None }
    }

    fn others(links: Vec<Link>) -> Others {
        let list = "ffffffff81000014  k  path_mount+0x4    [FTRACE]\n\
                    ffffffff81000010  r  path_mount+0x0    [DISABLED][FTRACE]\n\
                    ffffffff81000010  k  path_mount+0x0    [GONE]\nffffffff81000030  k  path_mount+0x20\n";
        let types = [(1, "vmlinux"), (2, "ext4")].map(|(id, name)| (id, name.to_owned())).into();
        Others { links, types, kprobes: kprobes(list), ..Others::default() }
    }

    #[test]
    fn kprobes_that_nobody_accounts_for_are_told_and_ours_are_not() {
        let told = |kprobes| others(Vec::new()).on(&seat(kprobes));
        assert_eq!(told(2), [""; 0]);
        assert_eq!(told(1), ["a kprobe of which the kernel does not say whose it is"]);
        assert_eq!(told(0), ["2 kprobes of which the kernel does not say whose they are"]);
        let failing = Others { failing: failing("path_mount\n"), ..others(Vec::new()) };
        assert_eq!(failing.on(&seat(1)), ["the kernel's own fault injection, fail_function"]);
    }

    #[test]
    fn a_link_leads_to_the_function_that_it_names_in_the_object_that_it_names() {
        let link = |at| Link { id: 9, program: 0, at };
        let way = |at, module: Option<&str>| {
            let seat = Seat { module: module.map(str::to_owned), ..seat(2) };
            others(Vec::new()).way(&link(at), &seat)
        };
        let at = |types, id| At::Function { how: "fentry", types, id };
        assert_eq!(way(at(1, 7), None), Some("fentry"));
        assert_eq!(way(at(2, 7), Some("ext4")), Some("fentry"));
        for (at, module) in [(at(1, 8), None), (at(2, 7), None), (at(1, 7), Some("ext4")), (at(3, 7), None)] {
            assert_eq!(way(at, module), None);
        }
        let at = |address| At::Address { how: "kprobe", addresses: vec![1, address] };
        assert_eq!(way(at(0xffff_ffff_8100_0014), None), Some("kprobe"));
        assert_eq!([way(at(0xffff_ffff_8100_0015), None), way(at(0), None)], [None, None]);
    }
}
