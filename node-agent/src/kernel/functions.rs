//! The chain functions in use: each carries an entry and an exit program, whatever the number of probes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use faultline_api::{Frame, Predicate};
use faultline_ebpf::asm::{AsmError, Program};
use faultline_ebpf::codegen::{ChainFunction, Hook, chain_entry, chain_exit};
use faultline_ebpf::facts::Facts;
use faultline_ebpf::layout::MAX_FUNCTIONS;
use faultline_ebpf::layout::globals::Unit;
use faultline_ebpf::layout::task::SITE_SPAN;
use faultline_ebpf::predicate::{Function as Signature, UNDESCRIBED};
use faultline_ebpf::symbol::Symbol;

use super::engine::Kprobes;
use super::error::ProbeError;
use super::fitting::fitting;
use super::gates::FORCED;
use super::hot::{Newcomer, too_hot};
use super::kprobes;
use super::lookup::{Found, Types, look_up};
use super::maps::Maps;
use super::modules::{Identity, identity};
use super::others::Seat;
use super::predicates::{Numbers, Predicates, compile};
use super::preflight::Mechanism;
use super::programs::{AttachError, Live, Loaded};
use super::spec::AttachPoint;
use super::symbols::Symbols;

/// `BPF_MAX_TRAMP_LINKS`, in the kernel's bpf.h.
const CROWDED: &str = "as many programs as the kernel allows on one function, 38, are attached to it already";

/// A function with its programs. The entry program goes first, so that none is left alone. Whenever a program comes to or
/// goes from the function, activations under way leave past its exit programs; the records they leave behind are found
/// out by tags and stack.
#[derive(Debug)]
struct Function {
    /// `None` until it is given one with its predicates.
    entry: Option<Live>,
    exit: Live,
    at: ChainFunction,
    symbol: Symbol,
    /// Which of the modules that came under its name it is in.
    module: Option<Identity>,
    mechanism: Mechanism,
    predicates: Predicates,
}

/// The programs of a function that no chain names any more, detached. Its number stays its own.
#[derive(Debug)]
struct Idle {
    entry: Arc<Loaded>,
    exit: Arc<Loaded>,
    at: ChainFunction,
    predicates: Predicates,
}

/// What there are 256 of.
pub(super) const CHAIN_FUNCTIONS: &str = "chain functions";

/// How many functions stay loaded when no chain names them any more: an experiment that comes again does not have the
/// verifier look at the same programs again.
const MOST_IDLE: usize = 16;

/// All functions in use.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// By address: a function carries one pair of programs however often and however spelt chains name it. Two pairs
    /// would take each other's records for activations that are over.
    live: BTreeMap<u64, Function>,
    /// What the names in chains mean.
    meant: BTreeMap<String, u64>,
    /// Those that were in use, the latest last. None is in a module: it could be elsewhere by now.
    idle: VecDeque<Idle>,
    /// Those whose modules are gone. Probes in force may wait for their numbers until the converge is over.
    gone: Vec<Function>,
    /// Calls per second and CPU that a function may have when it is first wanted; absent: any number.
    hottest: Option<u64>,
}

/// What attaching draws on.
pub(super) struct Ground<'a> {
    pub(super) facts: &'a Facts,
    pub(super) maps: &'a Maps,
    pub(super) generation: &'a mut u64,
    pub(super) types: &'a Types,
    pub(super) symbols: &'a mut Symbols,
    pub(super) kprobes: Kprobes,
}

/// Why functions of modules carry kprobes: trampolines would keep the module from being unloaded
/// (`bpf_trampoline_module_get` of 5.15 to 6.3, `prog->aux->mod` since), and before 6.4 the kernel attached them to
/// whatever function of that name it found first.
const HOLDS_MODULES: &str = "fentry/fexit: they would hold the module";

/// Why a kprobe cannot evaluate a predicate.
const BEYOND_REGISTERS: &str =
    "it asks for a parameter that is not in a register, and a kprobe has only those";

impl Ground<'_> {
    /// Attaches a program that was loaded under a generation of its own.
    pub(super) fn attach_loaded(&mut self, program: &Arc<Loaded>) -> Result<Live, AttachError> {
        *self.generation += 1;
        program.attach()
    }

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

/// What chains ask for.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    /// The functions that they name, each with the predicates that frames on it have.
    functions: BTreeMap<&'a str, BTreeSet<&'a Predicate>>,
    /// The functions of each, in the order in which they are given numbers.
    chains: Vec<BTreeSet<&'a str>>,
}

impl<'a> Wanted<'a> {
    /// One chain more. It is given what the ones before it leave.
    pub(super) fn add(&mut self, frames: &'a [Frame]) {
        for frame in frames {
            self.functions.entry(&frame.function).or_default().extend(&frame.predicate);
        }
        self.chains.push(frames.iter().map(|frame| frame.function.as_str()).collect());
    }
}

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
        self.part_with_gone();
        let fresh: Vec<&str> =
            wanted.functions.keys().copied().filter(|name| !self.meant.contains_key(*name)).collect();
        let mut resolved = Resolved::new();
        let known: BTreeSet<u64> = self.live.keys().copied().collect();
        let found = if fresh.is_empty() { Vec::new() } else { look_up(&fresh, ground.types, ground.symbols) };
        let mut strangers = BTreeMap::new();
        for (name, found) in found {
            match found {
                Ok(found) => {
                    self.meant.insert(name, found.address);
                    strangers.insert(found.address, found);
                }
                Err(error) => drop(resolved.insert(name, Err(error))),
            }
        }
        let left_out = self.left_out(wanted, &strangers);
        // Several names may mean one function: it is given the predicates of all at once.
        for (address, names) in self.names(wanted) {
            let all = names.iter().filter_map(|name| wanted.functions.get(name)).flatten().copied().collect();
            let carried = match (self.live.get_mut(&address), strangers.get(&address), names.as_slice()) {
                (Some(function), ..) => function.carry(&all, ground),
                (None, Some(_), _) if left_out.contains(&address) => Err(full()),
                (None, Some(found), [name, ..]) => self.meet(name, found, &all, ground),
                _ => continue,
            };
            resolved.extend(names.iter().map(|name| ((*name).to_owned(), carried.clone())));
        }
        self.meant.retain(|_, address| self.live.contains_key(address));
        resolved.extend(self.turn_away_hot(&known));
        resolved
    }

    /// A module that was unloaded has taken its functions with it, also where it is loaded again by now.
    fn part_with_gone(&mut self) {
        let is_gone = |function: &Function| {
            let module = function.symbol.module.as_ref();
            module.is_some_and(|module| identity(module) != function.module)
        };
        self.gone.extend(self.live.extract_if(.., |_, function| is_gone(function)).map(|(_, gone)| gone));
        self.meant.retain(|_, address| self.live.contains_key(address));
    }

    /// None carried yet; functions that are called more often than `hottest` will not be.
    pub(super) fn with_hottest(hottest: Option<u64>) -> Self {
        Self { hottest, ..Self::default() }
    }

    /// Detaches what is not `known` and called too often. All are measured at once, before any probe refers to them.
    fn turn_away_hot(&mut self, known: &BTreeSet<u64>) -> Resolved {
        let Some(hottest) = self.hottest else { return Resolved::new() };
        let newcomers = self.live.iter().filter(|(address, _)| !known.contains(address));
        let newcomers = newcomers.filter_map(|(address, function)| {
            let (btf_id, name) = (function.symbol.id, &function.at.name);
            Some(Newcomer { address: *address, btf_id, name, entry: function.entry.as_ref()? })
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

    /// Of the functions that were found, those that go without a number. A chain with a function that was not found comes
    /// to nothing, so it takes its turn after all others.
    fn left_out(&self, wanted: &Wanted<'_>, found: &BTreeMap<u64, Found>) -> BTreeSet<u64> {
        let lacks_one = |at: &&u64| {
            let found = found.get(at).filter(|_| !self.live.contains_key(at));
            found.is_some_and(|found| self.former(&found.symbol).is_none())
        };
        let lacking = |chain: &BTreeSet<&str>| -> BTreeSet<u64> {
            chain.iter().filter_map(|name| self.meant.get(*name)).filter(lacks_one).copied().collect()
        };
        let is_whole = |chain: &&BTreeSet<&str>| chain.iter().all(|name| self.meant.contains_key(*name));
        let (whole, rest): (Vec<_>, Vec<_>) = wanted.chains.iter().partition(is_whole);
        let lacking: Vec<BTreeSet<u64>> = whole.into_iter().chain(rest).map(lacking).collect();
        let room = usize::from(MAX_FUNCTIONS).saturating_sub(self.live.len() + self.gone.len());
        let fitting = fitting(&lacking, room);
        lacking.into_iter().flatten().filter(|at| !fitting.contains(at)).collect()
    }

    /// The functions that names mean, each with those names.
    fn names<'a>(&self, wanted: &Wanted<'a>) -> BTreeMap<u64, Vec<&'a str>> {
        let mut names: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for name in wanted.functions.keys() {
            if let Some(address) = self.meant.get(*name) {
                names.entry(*address).or_default().push(name);
            }
        }
        names
    }

    /// A function that was found carries its programs from now on.
    fn meet(
        &mut self,
        name: &str,
        found: &Found,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Result<Carried, ProbeError> {
        let (function, predicates) = self.attach(name, found, wanted, ground)?;
        let carried = function.carried(predicates);
        self.live.insert(found.address, function);
        Ok(carried)
    }

    /// Detaches all but the `used` ones.
    pub(super) fn keep(&mut self, used: &BTreeSet<&str>) {
        self.meant.retain(|name, _| used.contains(name.as_str()));
        let is_unused = |address: &u64, _: &mut Function| !self.meant.values().any(|meant| meant == address);
        self.idle.extend(self.live.extract_if(.., is_unused).filter_map(|(_, function)| function.detach()));
        self.idle.drain(..self.idle.len().saturating_sub(MOST_IDLE));
        self.gone.clear();
    }

    /// Where programs of ours are, each with its name.
    pub(super) fn seats(&self) -> impl Iterator<Item = (String, Seat)> {
        self.live.iter().map(|(address, Function { at, symbol, mechanism, .. })| {
            let kprobes = if matches!(mechanism, Mechanism::Kprobes { .. }) { 2 } else { 0 };
            let (name, module) = (symbol.name.clone(), symbol.module.clone());
            (
                at.name.clone(),
                Seat { name, module, btf_id: symbol.id, address: *address, kprobes, gate: None },
            )
        })
    }

    /// The programs attached.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Live> {
        self.live.values().flat_map(|function| function.entry.iter().chain([&function.exit]))
    }

    /// The one that it had before its module was loaded anew, which probes in force wait for; or else a free one.
    fn number(&mut self, symbol: &Symbol) -> Option<u16> {
        let number = self.unused_number(symbol);
        if number.is_some() {
            return number;
        }
        self.idle.clear();
        self.unused_number(symbol)
    }

    /// The number that the function had before its module was loaded anew.
    fn former(&self, symbol: &Symbol) -> Option<u16> {
        let is_same = |function: &&Function| {
            (&function.symbol.name, &function.symbol.module) == (&symbol.name, &symbol.module)
        };
        self.gone.iter().find(is_same).map(|function| function.at.number)
    }

    fn unused_number(&self, symbol: &Symbol) -> Option<u16> {
        let all = || self.live.values().chain(&self.gone);
        let idle = self.idle.iter().map(|idle| idle.at.number);
        let taken: BTreeSet<u16> = all().map(|function| function.at.number).chain(idle).collect();
        self.former(symbol).or_else(|| (1..=MAX_FUNCTIONS).find(|number| !taken.contains(number)))
    }

    /// By a trampoline, or else by kprobes.
    fn attach(
        &mut self,
        name: &str,
        found: &Found,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Result<(Function, Numbers), ProbeError> {
        let again = self.idle.iter().position(|idle| idle.at.address == found.address);
        let again = again.and_then(|nth| self.idle.remove(nth));
        if let Some(attached) = again.and_then(|idle| idle.attach(found, wanted, ground)) {
            return Ok(attached);
        }
        let number = self.number(&found.symbol).ok_or_else(full)?;
        let Found { ref symbol, address, .. } = *found;
        let at = |hook, span| ChainFunction { name: symbol.to_string(), number, hook, address, span };
        let hook = Hook::Trampoline { btf_id: symbol.id };
        let trampoline = match (symbol.id, ground.kprobes.frames) {
            (UNDESCRIBED, _) => Err("fentry/fexit: the kernel's types do not describe it".to_owned()),
            (_, true) => Err(FORCED.to_owned()),
            _ if symbol.module.is_some() => Err(HOLDS_MODULES.to_owned()),
            _ => Function::pair(found, at(hook, SITE_SPAN), Mechanism::Trampoline, wanted, ground)
                .map_err(|error| format!("fentry/fexit: {}", reason(&error))),
        };
        trampoline.or_else(|instead| {
            let refused = |error: String| {
                let reason = format!("{instead}; kprobe/kretprobe: {error}");
                ProbeError::NotAttachable { name: name.to_owned(), reason }
            };
            kprobes::traced(&symbol.name).map_err(|error| refused(error.to_owned()))?;
            let span = ground.symbols.size(address);
            let mechanism = Mechanism::Kprobes { instead: instead.clone() };
            Function::pair(found, at(Hook::Kprobe { address }, span), mechanism, wanted, ground)
                .map_err(|error| refused(error.to_string()))
        })
    }
}

impl Idle {
    /// Attaches both programs again, where the entry program has all predicates that are wanted. `None`: they are of no
    /// use. The generation of the entry program still stands: no other has had the number since.
    fn attach(
        self,
        found: &Found,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Option<(Function, Numbers)> {
        let numbers = self.predicates.numbers(wanted)?;
        let exit = ground.attach_loaded(&self.exit).ok()?;
        let entry = Some(ground.attach_loaded(&self.entry).ok()?);
        let Found { symbol, module, .. } = found.clone();
        let Self { at, predicates, .. } = self;
        let mechanism = Mechanism::Trampoline;
        Some((Function { entry, exit, at, symbol, module, mechanism, predicates }, numbers))
    }
}

impl Function {
    /// The exit program first: the other way round, activations under way would leave records behind.
    fn pair(
        found: &Found,
        at: ChainFunction,
        mechanism: Mechanism,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Result<(Self, Numbers), AttachError> {
        let (_, exit) = ground.attach(|facts, _| chain_exit(facts, &at))?;
        let Found { symbol, module, .. } = found.clone();
        let predicates = Predicates::default();
        let mut function = Self { entry: None, exit, at, symbol, module, mechanism, predicates };
        let numbers = function.renew(wanted, ground)?;
        Ok((function, numbers))
    }

    /// Its number, and those of the predicates that are wanted.
    fn carry(
        &mut self,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Result<Carried, ProbeError> {
        let numbers = self.renew(wanted, ground).map_err(|error| not_attachable(&self.at.name, &error))?;
        Ok(self.carried(numbers))
    }

    fn carried(&self, predicates: Numbers) -> Carried {
        let (function, mechanism) = (self.at.name.clone(), self.mechanism.clone());
        let point = AttachPoint { function, mechanism, others: Vec::new() };
        Carried { number: self.at.number, predicates, point }
    }

    /// The entry program is replaced where it lacks predicates that are wanted: the new one is attached, takes over, and
    /// only then the old one goes. The exit program stays as it is.
    fn renew(
        &mut self,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Result<Numbers, AttachError> {
        let Self { entry, at, symbol, predicates, .. } = self;
        let types = ground.types;
        let is_syscall = symbol.is_syscall();
        let compile = |predicate: &Predicate| {
            let types = types.of(symbol)?;
            let condition = compile(Signature { btf: &types, id: symbol.id, is_syscall }, predicate)?;
            if !at.hook.finds(&types, symbol.id, &condition) {
                let text = predicate.text.clone();
                return Err(ProbeError::Predicate { text, reason: BEYOND_REGISTERS.to_owned() });
            }
            Ok(condition)
        };
        let attach = |predicates: &[_]| {
            ground.attach(|facts, generation| chain_entry(facts, at, predicates, generation))
        };
        let renewed = predicates.renew(entry.is_some(), wanted, compile, attach)?;
        if let Some((generation, live)) = renewed.program {
            ground.maps.globals.store(Unit::Function(at.number).offset(), generation);
            *entry = Some(live);
        }
        Ok(renewed.numbers)
    }

    /// Its programs, to be attached another time; none of those that are to be had in one place only until then.
    fn detach(self) -> Option<Idle> {
        let Self { entry, exit, at, predicates, mechanism, .. } = self;
        let idle = Idle { entry: entry?.detach(), exit: exit.detach(), at, predicates };
        (mechanism == Mechanism::Trampoline).then_some(idle)
    }
}

fn full() -> ProbeError {
    ProbeError::Full { what: CHAIN_FUNCTIONS, max: usize::from(MAX_FUNCTIONS) }
}

fn not_attachable(name: &str, error: &AttachError) -> ProbeError {
    ProbeError::NotAttachable { name: name.to_owned(), reason: reason(error) }
}

fn reason(error: &AttachError) -> String {
    if error.is_crowded() { CROWDED.to_owned() } else { error.to_string() }
}
