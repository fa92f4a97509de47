//! The chain functions in use: each carries an entry and an exit program, whatever the number of probes.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use faultline_api::Predicate;
use faultline_ebpf::asm::{AsmError, Program};
use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::{ChainFunction, Hook, chain_entry, chain_exit};
use faultline_ebpf::facts::Facts;
use faultline_ebpf::layout::MAX_FUNCTIONS;
use faultline_ebpf::layout::globals::Unit;
use faultline_ebpf::layout::task::SITE_SPAN;
use faultline_ebpf::predicate::{Function as Signature, UNDESCRIBED};
use faultline_ebpf::symbol;

use super::engine::Kprobes;
use super::error::ProbeError;
use super::gates::FORCED;
use super::host;
use super::hot::{Newcomer, too_hot};
use super::kprobes;
use super::maps::Maps;
use super::predicates::{Numbers, Predicates, compile};
use super::preflight::Mechanism;
use super::programs::{AttachError, Live};
use super::spec::AttachPoint;
use super::symbols::{self, Symbol};

/// `BPF_MAX_TRAMP_LINKS`, in the kernel's bpf.h.
const CROWDED: &str = "as many programs as the kernel allows on one function, 38, are attached to it already";

/// Names offered in place of one that does not exist.
const NEAREST: usize = 3;

/// A function with its programs. The entry program goes first, so that none is left alone. Whenever a program comes to or
/// goes from the function, activations under way leave past its exit programs; the records they leave behind are found
/// out by tags and stack.
#[derive(Debug)]
struct Function {
    entry: Live,
    exit: Live,
    at: ChainFunction,
    /// Its BTF id, or [`UNDESCRIBED`].
    id: u32,
    mechanism: Mechanism,
    predicates: Predicates,
}

/// All functions in use.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// By address: a function carries one pair of programs however often and however spelt chains name it. Two pairs
    /// would take each other's records for activations that are over.
    live: BTreeMap<u64, Function>,
    /// What the names in chains mean.
    meant: BTreeMap<String, u64>,
    /// Calls per second and CPU that a function may have when it is first wanted; absent: any number.
    hottest: Option<u64>,
}

/// What attaching draws on.
pub(super) struct Ground<'a> {
    pub(super) facts: &'a Facts,
    pub(super) maps: &'a Maps,
    pub(super) generation: &'a mut u64,
    pub(super) types: &'a Types,
    pub(super) kprobes: Kprobes,
}

/// Why a kprobe cannot evaluate a predicate.
const BEYOND_REGISTERS: &str =
    "it asks for a parameter that is not in a register, and a kprobe has only those";

impl Ground<'_> {
    /// Attaches a program under a generation of its own.
    pub(super) fn attach(
        &mut self,
        program: impl FnOnce(&Facts, u64) -> Result<Program, AsmError>,
    ) -> Result<(u64, Live), AttachError> {
        *self.generation += 1;
        let live = Live::attach(&program(self.facts, *self.generation)?, self.maps)?;
        Ok((*self.generation, live))
    }
}

/// The kernel's own types. Read when first asked for and let go with the converge: kept, they would be most of the
/// agent's memory.
#[derive(Default)]
pub(super) struct Types(OnceCell<Result<Btf, ProbeError>>);

impl Types {
    pub(super) fn get(&self) -> Result<&Btf, ProbeError> {
        self.0.get_or_init(read_types).as_ref().map_err(Clone::clone)
    }
}

fn read_types() -> Result<Btf, ProbeError> {
    let bytes =
        std::fs::read(host::BTF).map_err(|error| trouble("read the kernel's BTF", error.to_string()))?;
    Btf::parse(bytes).map_err(|error| trouble("parse the kernel's BTF", error.to_string()))
}

fn trouble(what: &str, reason: String) -> ProbeError {
    ProbeError::Kernel { what: what.to_owned(), reason }
}

/// The functions that chains name, each with the predicates that frames on it have.
pub(super) type Wanted<'a> = BTreeMap<&'a str, BTreeSet<&'a Predicate>>;

/// A function that carries its programs, as steps of chains know it.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    /// Its number.
    pub(super) number: u16,
    /// Its predicates.
    pub(super) predicates: Numbers,
    /// Where and how its programs are attached.
    pub(super) point: AttachPoint,
}

/// Each name with its function, or why it has none.
pub(super) type Resolved = BTreeMap<String, Result<Carried, ProbeError>>;

impl Functions {
    /// Attaches what is not attached yet.
    pub(super) fn ensure(&mut self, wanted: &Wanted<'_>, ground: &mut Ground<'_>) -> Resolved {
        let fresh: Vec<&str> =
            wanted.keys().copied().filter(|name| !self.meant.contains_key(*name)).collect();
        let mut resolved = Resolved::new();
        let known: BTreeSet<u64> = self.live.keys().copied().collect();
        let found = if fresh.is_empty() { Vec::new() } else { look_up(&fresh, ground.types) };
        for (name, found) in found {
            match found.and_then(|found| self.meet(&name, found, ground)) {
                Ok(address) => drop(self.meant.insert(name, address)),
                Err(error) => drop(resolved.insert(name, Err(error))),
            }
        }
        resolved.extend(self.turn_away_hot(&known));
        // Several names may mean one function: it is given the predicates of all at once.
        for (address, names) in self.names(wanted) {
            let all = names.iter().filter_map(|name| wanted.get(name)).flatten().copied().collect();
            if let Some(function) = self.live.get_mut(&address) {
                let carried = function.carry(&all, ground);
                resolved.extend(names.iter().map(|name| ((*name).to_owned(), carried.clone())));
            }
        }
        resolved
    }

    /// None carried yet; functions that are called more often than `hottest` will not be.
    pub(super) fn with_hottest(hottest: Option<u64>) -> Self {
        Self { hottest, ..Self::default() }
    }

    /// Detaches what is not `known` and called too often. All are measured at once, before any probe refers to them.
    fn turn_away_hot(&mut self, known: &BTreeSet<u64>) -> Resolved {
        let Some(hottest) = self.hottest else { return Resolved::new() };
        let is_new = |address: &u64| !known.contains(address);
        let newcomers =
            self.live.iter().filter(|(address, _)| is_new(address)).map(|(address, function)| Newcomer {
                address: *address,
                btf_id: function.id,
                name: &function.at.name,
                entry: &function.entry,
            });
        let newcomers: Vec<_> = newcomers.collect();
        let hot = if newcomers.is_empty() { Vec::new() } else { too_hot(newcomers, hottest) };
        let mut refused = Resolved::new();
        for (address, rate) in hot {
            self.live.remove(&address);
            let names: Vec<_> = self.meant.extract_if(.., |_, meant| *meant == address).collect();
            let error = |name: &str| ProbeError::Hot { name: name.to_owned(), rate, hottest };
            refused.extend(names.into_iter().map(|(name, _)| (name.clone(), Err(error(&name)))));
        }
        refused
    }

    /// The functions that names mean, each with those names.
    fn names<'a>(&self, wanted: &Wanted<'a>) -> BTreeMap<u64, Vec<&'a str>> {
        let mut names: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for name in wanted.keys() {
            if let Some(address) = self.meant.get(*name) {
                names.entry(*address).or_default().push(name);
            }
        }
        names
    }

    /// A function that was found carries its programs from now on, as yet without predicates.
    fn meet(&mut self, name: &str, found: Found, ground: &mut Ground<'_>) -> Result<u64, ProbeError> {
        if !self.live.contains_key(&found.address) {
            let function = self.attach(name, &found, ground)?;
            self.live.insert(found.address, function);
        }
        Ok(found.address)
    }

    /// Detaches all but the `used` ones.
    pub(super) fn keep(&mut self, used: &BTreeSet<&str>) {
        self.meant.retain(|name, _| used.contains(name.as_str()));
        self.live.retain(|address, _| self.meant.values().any(|meant| meant == address));
    }

    /// The programs attached.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Live> {
        self.live.values().flat_map(|function| [&function.entry, &function.exit])
    }

    /// By a trampoline, or else by kprobes.
    fn attach(&self, name: &str, found: &Found, ground: &mut Ground<'_>) -> Result<Function, ProbeError> {
        let taken: BTreeSet<u16> = self.live.values().map(|function| function.at.number).collect();
        let number = (1..=MAX_FUNCTIONS).find(|number| !taken.contains(number));
        let full = ProbeError::Full { what: "chain functions", max: usize::from(MAX_FUNCTIONS) };
        let number = number.ok_or(full)?;
        let Found { name: ref spelt, id, address } = *found;
        let at = |hook, span| ChainFunction { name: spelt.clone(), number, hook, address, span };
        let trampoline = match (id, ground.kprobes.frames) {
            (UNDESCRIBED, _) => Err("fentry/fexit: the kernel's types do not describe it".to_owned()),
            (_, true) => Err(FORCED.to_owned()),
            (btf_id, false) => {
                Self::pair(at(Hook::Trampoline { btf_id }, SITE_SPAN), id, Mechanism::Trampoline, ground)
                    .map_err(|error| format!("fentry/fexit: {}", reason(&error)))
            }
        };
        trampoline.or_else(|instead| {
            let refused = |error: String| {
                let reason = format!("{instead}; kprobe/kretprobe: {error}");
                ProbeError::NotAttachable { name: name.to_owned(), reason }
            };
            kprobes::traced(spelt).map_err(|error| refused(error.to_owned()))?;
            let span =
                kprobes::size(address).map_err(|error| trouble("read /proc/kallsyms", error.to_string()))?;
            let mechanism = Mechanism::Kprobes { instead: instead.clone() };
            Self::pair(at(Hook::Kprobe { address }, span), id, mechanism, ground)
                .map_err(|error| refused(error.to_string()))
        })
    }

    /// The exit program first: the other way round, activations under way would leave records behind.
    fn pair(
        at: ChainFunction,
        id: u32,
        mechanism: Mechanism,
        ground: &mut Ground<'_>,
    ) -> Result<Function, AttachError> {
        let (_, exit) = ground.attach(|facts, _| chain_exit(facts, &at))?;
        let (generation, entry) =
            ground.attach(|facts, generation| chain_entry(facts, &at, &[], generation))?;
        ground.maps.globals.store(Unit::Function(at.number).offset(), generation);
        Ok(Function { entry, exit, at, id, mechanism, predicates: Predicates::default() })
    }
}

impl Function {
    /// Its number, and those of the predicates that are wanted. The entry program is replaced where it lacks some: the
    /// new one is attached, takes over, and only then the old one goes. The exit program stays as it is.
    fn carry(
        &mut self,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Result<Carried, ProbeError> {
        let Self { entry, at, id, mechanism, predicates, .. } = self;
        let id = *id;
        let types = ground.types;
        let is_syscall = symbol::is_syscall(&at.name);
        let compile = |predicate: &Predicate| {
            let condition = compile(Signature { btf: types.get()?, id, is_syscall }, predicate)?;
            let is_beyond = usize::from(condition.arguments()) > at.hook.arguments();
            if is_beyond || condition.arguments() > 0 && !at.hook.takes(types.get()?, id) {
                let text = predicate.text.clone();
                return Err(ProbeError::Predicate { text, reason: BEYOND_REGISTERS.to_owned() });
            }
            Ok(condition)
        };
        let attach = |predicates: &[_]| {
            ground.attach(|facts, generation| chain_entry(facts, at, predicates, generation))
        };
        let renewed = predicates
            .renew(true, wanted, compile, attach)
            .map_err(|error| not_attachable(&at.name, &error))?;
        if let Some((generation, live)) = renewed.program {
            ground.maps.globals.store(Unit::Function(at.number).offset(), generation);
            *entry = live;
        }
        let point = AttachPoint { function: at.name.clone(), mechanism: mechanism.clone() };
        Ok(Carried { number: at.number, predicates: renewed.numbers, point })
    }
}

fn not_attachable(name: &str, error: &AttachError) -> ProbeError {
    ProbeError::NotAttachable { name: name.to_owned(), reason: reason(error) }
}

fn reason(error: &AttachError) -> String {
    if error.is_crowded() { CROWDED.to_owned() } else { error.to_string() }
}

/// A function of this kernel.
struct Found {
    /// As the kernel spells it.
    name: String,
    /// Its BTF id, or [`UNDESCRIBED`].
    id: u32,
    address: u64,
}

/// Looks names up in BTF and symbol table, each read once.
fn look_up(names: &[&str], types: &Types) -> Vec<(String, Result<Found, ProbeError>)> {
    let spellings: Vec<String> = names.iter().flat_map(|name| symbol::spellings(name)).collect();
    let table = symbols::find(spellings.iter().map(String::as_str))
        .map_err(|error| trouble("read /proc/kallsyms", error.to_string()));
    let find = |name: &str| find_function(name, types.get()?, table.as_ref().map_err(Clone::clone)?);
    names.iter().map(|name| ((*name).to_owned(), find(name))).collect()
}

fn find_function(name: &str, btf: &Btf, table: &BTreeMap<String, Symbol>) -> Result<Found, ProbeError> {
    for name in symbol::spellings(name) {
        let id = btf.functions(&name).next().unwrap_or(UNDESCRIBED);
        match table.get(&name).map(|symbol| symbol.addresses.as_slice()).unwrap_or_default() {
            [] => {}
            [0] => {
                return Err(ProbeError::NotAttachable { name, reason: "its address is hidden".to_owned() });
            }
            [address] => return Ok(Found { name, id, address: *address }),
            several => return Err(ProbeError::AmbiguousFunction { name, count: several.len() }),
        }
    }
    Err(ProbeError::UnknownFunction { name: name.to_owned(), nearest: btf.nearest_functions(name, NEAREST) })
}

#[cfg(test)]
mod tests {
    use faultline_ebpf::btf::BtfBuilder;

    use super::*;

    fn lookup(name: &str, addresses: &[u64]) -> Result<Found, ProbeError> {
        let mut builder = BtfBuilder::new();
        builder.function("__x64_sys_mount", &[]);
        builder.function("path_mount", &[]);
        let btf = Btf::parse(builder.build()).unwrap();
        let symbol = Symbol { addresses: addresses.to_vec(), clone: None };
        let table = ["__x64_sys_mount", "path_mount"].map(|name| (name.to_owned(), symbol.clone())).into();
        find_function(name, &btf, &table)
    }

    #[test]
    fn every_spelling_of_a_system_call_finds_it() {
        for name in ["mount", "sys_mount", "SyS_mount", "__x64_sys_mount"] {
            assert_eq!(lookup(name, &[16]).map(|found| found.name), Ok("__x64_sys_mount".to_owned()));
        }
    }

    #[test]
    fn a_name_is_refused_when_it_is_unknown_hidden_or_shared() {
        let nearest = vec!["path_mount".to_owned()];
        let unknown = ProbeError::UnknownFunction { name: "path_muont".to_owned(), nearest };
        assert_eq!(lookup("path_muont", &[16]).err(), Some(unknown));
        assert!(matches!(lookup("path_mount", &[0]), Err(ProbeError::NotAttachable { .. })));
        assert!(matches!(
            lookup("path_mount", &[16, 32]),
            Err(ProbeError::AmbiguousFunction { count: 2, .. })
        ));
        assert!(matches!(lookup("path_mount", &[]), Err(ProbeError::UnknownFunction { .. })));
    }
}
