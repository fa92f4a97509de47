//! What names in chains mean on this machine: its types and those of its modules, its symbol table, the modules that
//! are loaded.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use faultline_ebpf::btf::Btf;
use faultline_ebpf::predicate::UNDESCRIBED;
use faultline_ebpf::symbol::{Modules, Name, Objects, Symbol, Table, Unresolved, spellings};

use super::error::ProbeError;
use super::host;
use super::modules::{self, Identity, identity};
use super::symbols::{self, Symbols};

/// The kernel's own types. Read when first asked for and let go with the converge: kept, they would be most of the
/// agent's memory.
#[derive(Default)]
pub(super) struct Types(OnceCell<Result<Arc<Btf>, ProbeError>>);

impl Types {
    pub(super) fn get(&self) -> Result<&Arc<Btf>, ProbeError> {
        self.0.get_or_init(read_types).as_ref().map_err(Clone::clone)
    }

    /// Those that a function is described with.
    pub(super) fn of(&self, symbol: &Symbol) -> Result<Arc<Btf>, ProbeError> {
        let module = symbol.module.as_ref().map(|module| self.of_module(module)).transpose()?.flatten();
        module.map_or_else(|| self.get().cloned(), Ok)
    }

    /// Those of a module that is loaded; `None` where the kernel shows none.
    fn of_module(&self, module: &str) -> Result<Option<Arc<Btf>>, ProbeError> {
        let kernel = Arc::clone(self.get()?);
        let Ok(bytes) = std::fs::read(Path::new(host::BTF).with_file_name(module)) else { return Ok(None) };
        let split = Btf::parse_split(bytes, kernel);
        let split = split.map_err(|error| trouble(&format!("parse the types of {module}"), error))?;
        Ok(Some(Arc::new(split)))
    }
}

fn read_types() -> Result<Arc<Btf>, ProbeError> {
    let bytes = std::fs::read(host::BTF).map_err(|error| trouble("read the kernel's BTF", error))?;
    Btf::parse(bytes).map(Arc::new).map_err(|error| trouble("parse the kernel's BTF", error))
}

pub(super) fn trouble(what: &str, reason: impl ToString) -> ProbeError {
    ProbeError::Kernel { what: what.to_owned(), reason: reason.to_string() }
}

/// A function of this machine's kernel.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) symbol: Symbol,
    /// Where it starts.
    pub(super) address: u64,
    /// Of the module that it is in.
    pub(super) module: Option<Identity>,
}

/// Looks names up: in what is known of the symbol table, and the others in types and symbol table.
pub(super) fn look_up(
    names: &[&str],
    types: &Types,
    symbols: &mut Symbols,
) -> Vec<(String, Result<Found, ProbeError>)> {
    let plain = symbols.find(names).into_iter().zip(names);
    let (known, others): (Vec<_>, Vec<_>) = plain.partition(|(symbol, _)| symbol.is_some());
    let others: Vec<&str> = others.into_iter().map(|(_, name)| *name).collect();
    let known = known.into_iter().filter_map(|(symbol, name)| Some(((*name).to_owned(), Ok(found(symbol?)))));
    known.chain(look_closer(&others, types, symbols)).collect()
}

/// Looks names up in types and symbol table, each read once; the table once more where one is unknown, for the names
/// that are offered instead.
fn look_closer(
    names: &[&str],
    types: &Types,
    symbols: &mut Symbols,
) -> Vec<(String, Result<Found, ProbeError>)> {
    if names.is_empty() {
        return Vec::new();
    }
    let found = Looking::at(names, types, symbols)
        .map(|looking| names.iter().map(|name| looking.find(name)).collect());
    let found: Vec<_> = found.unwrap_or_else(|error| names.iter().map(|_| Err(error.clone())).collect());
    names.iter().map(|name| (*name).to_owned()).zip(found).collect()
}

fn found(symbol: Symbol) -> Found {
    let module = symbol.module.as_deref().and_then(identity);
    Found { address: symbol.address.unwrap_or_default(), symbol, module }
}

/// What names are looked up in.
struct Looking<'a> {
    kernel: &'a Btf,
    modules: Modules,
    table: Table,
}

impl<'a> Looking<'a> {
    fn at(names: &[&str], types: &'a Types, symbols: &mut Symbols) -> Result<Self, ProbeError> {
        let table = symbols.renew(names.iter().flat_map(|name| spellings(Name::parse(name).function)));
        let table = table.map_err(unread)?;
        let wanted: BTreeSet<String> = names
            .iter()
            .flat_map(|name| {
                let name = Name::parse(name);
                let places = spellings(name.function).map(|spelling| places(&table, &spelling));
                places.into_iter().flatten().chain(name.module())
            })
            .collect();
        let loaded = if wanted.is_empty() { Ok(BTreeSet::new()) } else { modules::live() };
        let loaded = loaded.map_err(|error| trouble(&format!("read {}", modules::LIST), error))?;
        let described = |name: &String| Ok((name.clone(), types.of_module(name)?));
        let modules = wanted.intersection(&loaded).map(described).collect::<Result<_, ProbeError>>()?;
        Ok(Self { kernel: types.get()?, modules, table })
    }

    fn find(&self, name: &str) -> Result<Found, ProbeError> {
        let objects = Objects { kernel: self.kernel, modules: &self.modules, table: Some(&self.table) };
        match objects.find(name) {
            Ok(symbol) => Ok(found(symbol)),
            Err(Unresolved::Untyped { name, module, address }) => {
                Ok(found(Symbol { name, module, id: UNDESCRIBED, address: Some(address) }))
            }
            Err(unresolved) if unresolved.candidates().next().is_none() => Err(unresolved.into()),
            Err(unresolved) => {
                let table = symbols::read(unresolved.candidates().map(str::to_owned)).map_err(unread)?.0;
                Err(unresolved.only_in(&table).into())
            }
        }
    }
}

/// The modules that have a function of that name.
fn places(table: &Table, name: &str) -> Vec<String> {
    table.places(name).flatten().map(str::to_owned).collect()
}

fn unread(error: std::io::Error) -> ProbeError {
    trouble(&format!("read {}", symbols::TABLE), error)
}
