//! The chain functions in use: each carries an entry and an exit program, whatever the number of probes.

use std::collections::{BTreeMap, BTreeSet};

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::{ChainFunction, chain_entry, chain_exit};
use faultline_ebpf::facts::Facts;
use faultline_ebpf::layout::MAX_FUNCTIONS;
use faultline_ebpf::layout::globals::Unit;

use super::error::ProbeError;
use super::host;
use super::maps::Maps;
use super::programs::{AttachError, Live};
use super::symbols::{self, Symbol};

/// Names offered in place of one that does not exist.
const NEAREST: usize = 3;

/// A function with its programs. The entry program goes first: an activation that is under way then leaves
/// through an exit program that still settles it.
#[derive(Debug)]
struct Function {
    entry: Live,
    exit: Live,
    number: u16,
}

/// All functions in use.
#[derive(Debug, Default)]
pub(super) struct Functions {
    /// By BTF id: a function carries one pair of programs however often and however spelt chains name it. Two pairs
    /// would take each other's records for activations that are over.
    live: BTreeMap<u32, Function>,
    /// What the names in chains mean.
    meant: BTreeMap<String, u32>,
}

/// What attaching draws on.
pub(super) struct Ground<'a> {
    pub(super) facts: &'a Facts,
    pub(super) maps: &'a Maps,
    pub(super) generation: &'a mut u64,
}

/// Each name with its function's number, or why it has none.
pub(super) type Resolved = BTreeMap<String, Result<u16, ProbeError>>;

impl Functions {
    /// Attaches what is not attached yet.
    pub(super) fn ensure(&mut self, names: &BTreeSet<&str>, ground: &mut Ground<'_>) -> Resolved {
        let fresh: Vec<&str> = names.iter().copied().filter(|name| !self.meant.contains_key(*name)).collect();
        let numbers = self.meant.iter().filter_map(|(name, id)| Some((name, self.live.get(id)?.number)));
        let mut resolved: Resolved = numbers.map(|(name, number)| (name.clone(), Ok(number))).collect();
        if fresh.is_empty() {
            return resolved;
        }
        for (name, found) in look_up(&fresh) {
            let frame = found.and_then(|found| self.number_of(&name, &found, ground));
            resolved.insert(name, frame);
        }
        resolved
    }

    fn number_of(&mut self, name: &str, found: &Found, ground: &mut Ground<'_>) -> Result<u16, ProbeError> {
        let number = match self.live.get(&found.btf_id) {
            Some(function) => function.number,
            None => self.attach(name, found, ground)?,
        };
        self.meant.insert(name.to_owned(), found.btf_id);
        Ok(number)
    }

    /// Detaches all but the `used` ones.
    pub(super) fn keep(&mut self, used: &BTreeSet<&str>) {
        self.meant.retain(|name, _| used.contains(name.as_str()));
        self.live.retain(|id, _| self.meant.values().any(|meant| meant == id));
    }

    /// The programs attached.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Live> {
        self.live.values().flat_map(|function| [&function.entry, &function.exit])
    }

    fn attach(&mut self, name: &str, found: &Found, ground: &mut Ground<'_>) -> Result<u16, ProbeError> {
        let taken: BTreeSet<u16> = self.live.values().map(|function| function.number).collect();
        let number = (1..=MAX_FUNCTIONS).find(|number| !taken.contains(number));
        let full = ProbeError::Full { what: "chain functions", max: usize::from(MAX_FUNCTIONS) };
        let number = number.ok_or(full)?;
        *ground.generation += 1;
        let Found { name: ref spelt, btf_id, address } = *found;
        let function = ChainFunction { name: spelt.clone(), number, btf_id, address };
        let (exit, entry) = attach_both(&function, ground).map_err(|error| ProbeError::NotAttachable {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        ground.maps.globals.store(Unit::Function(number).offset(), *ground.generation);
        self.live.insert(btf_id, Function { entry, exit, number });
        Ok(number)
    }
}

/// The exit program first: the other way round, activations under way would leave records behind.
fn attach_both(function: &ChainFunction, ground: &Ground<'_>) -> Result<(Live, Live), AttachError> {
    let exit = Live::attach(&chain_exit(ground.facts, function, *ground.generation)?, ground.maps)?;
    let entry = Live::attach(&chain_entry(ground.facts, function, *ground.generation)?, ground.maps)?;
    Ok((exit, entry))
}

/// A function of this kernel.
struct Found {
    /// As the kernel spells it.
    name: String,
    btf_id: u32,
    address: u64,
}

/// Looks names up in BTF and symbol table, each read once and let go again: kept, they would be most of the
/// agent's memory.
fn look_up(names: &[&str]) -> Vec<(String, Result<Found, ProbeError>)> {
    let trouble = |what: &str, reason: String| ProbeError::Kernel { what: what.to_owned(), reason };
    let btf = std::fs::read(host::BTF)
        .map_err(|error| trouble("read the kernel's BTF", error.to_string()))
        .and_then(|bytes| {
            Btf::parse(bytes).map_err(|error| trouble("parse the kernel's BTF", error.to_string()))
        });
    let table = symbols::find(
        names.iter().flat_map(|name| spellings(name)).collect::<Vec<_>>().iter().map(String::as_str),
    )
    .map_err(|error| trouble("read /proc/kallsyms", error.to_string()));
    let find = |name: &str| {
        find_function(name, btf.as_ref().map_err(Clone::clone)?, table.as_ref().map_err(Clone::clone)?)
    };
    names.iter().map(|name| ((*name).to_owned(), find(name))).collect()
}

/// How a chain may spell a system call, the kernel's own way last.
fn spellings(name: &str) -> Vec<String> {
    let call = name.strip_prefix("sys_").or_else(|| name.strip_prefix("SyS_")).unwrap_or(name);
    vec![name.to_owned(), format!("__x64_sys_{call}")]
}

fn find_function(name: &str, btf: &Btf, table: &BTreeMap<String, Symbol>) -> Result<Found, ProbeError> {
    for name in spellings(name) {
        let Some(btf_id) = btf.functions(&name).next() else { continue };
        match table.get(&name).map(|symbol| symbol.addresses.as_slice()).unwrap_or_default() {
            [] => {}
            [0] => {
                return Err(ProbeError::NotAttachable { name, reason: "its address is hidden".to_owned() });
            }
            [address] => return Ok(Found { name, btf_id, address: *address }),
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
