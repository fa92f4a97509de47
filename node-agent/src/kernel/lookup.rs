//! What names in chains mean on this machine: its types and those of its modules, its symbol table, the modules that
//! are loaded.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use faultline_ebpf::btf::Btf;
use faultline_ebpf::predicate::UNDESCRIBED;
use faultline_ebpf::symbol::{Modules, Name, Objects, Symbol, Table, Unresolved, spellings};

use super::error::ProbeError;
use super::{host, symbols};

/// Where the kernel lists its modules.
const MODULES: &str = "/proc/modules";

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

/// What tells a module from one of the same name that is loaded after it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64);

/// That of a module; `None` where it is not loaded. The kernel makes its folder anew, under a number of its own, each
/// time that it is.
pub(super) fn identity(module: &str) -> Option<Identity> {
    let folder = std::fs::metadata(Path::new("/sys/module").join(module)).ok()?;
    Some(Identity(folder.ino()))
}

/// Looks names up in types and symbol table, each read once; the table once more where one is unknown, for the names
/// that are offered instead.
pub(super) fn look_up(names: &[&str], types: &Types) -> Vec<(String, Result<Found, ProbeError>)> {
    let found =
        Looking::at(names, types).map(|looking| names.iter().map(|name| looking.find(name)).collect());
    let found: Vec<_> = found.unwrap_or_else(|error| names.iter().map(|_| Err(error.clone())).collect());
    names.iter().map(|name| (*name).to_owned()).zip(found).collect()
}

/// What names are looked up in.
struct Looking<'a> {
    kernel: &'a Btf,
    modules: Modules,
    table: Table,
}

impl<'a> Looking<'a> {
    fn at(names: &[&str], types: &'a Types) -> Result<Self, ProbeError> {
        let table = read_table(names.iter().flat_map(|name| spellings(Name::parse(name).function)))?;
        let wanted: BTreeSet<String> = names
            .iter()
            .flat_map(|name| {
                let name = Name::parse(name);
                let places = spellings(name.function).map(|spelling| places(&table, &spelling));
                places.into_iter().flatten().chain(name.module())
            })
            .collect();
        let loaded = if wanted.is_empty() { BTreeSet::new() } else { loaded()? };
        let described = |name: &String| Ok((name.clone(), types.of_module(name)?));
        let modules = wanted.intersection(&loaded).map(described).collect::<Result<_, ProbeError>>()?;
        Ok(Self { kernel: types.get()?, modules, table })
    }

    fn find(&self, name: &str) -> Result<Found, ProbeError> {
        let objects = Objects { kernel: self.kernel, modules: &self.modules, table: Some(&self.table) };
        match objects.find(name) {
            Ok(symbol) => {
                let module = symbol.module.as_deref().and_then(identity);
                Ok(Found { address: symbol.address.unwrap_or_default(), symbol, module })
            }
            Err(Unresolved::Untyped { name, module, address }) => {
                let identity = module.as_deref().and_then(identity);
                let at = Some(address);
                let symbol = Symbol { name, module, id: UNDESCRIBED, address: at, is_shared: false };
                Ok(Found { symbol, address, module: identity })
            }
            Err(unresolved) if unresolved.candidates().next().is_none() => Err(unresolved.into()),
            Err(unresolved) => {
                let table = read_table(unresolved.candidates().map(str::to_owned))?;
                Err(unresolved.only_in(&table).into())
            }
        }
    }
}

/// The modules that have a function of that name.
fn places(table: &Table, name: &str) -> Vec<String> {
    table.places(name).flatten().map(str::to_owned).collect()
}

fn read_table(names: impl Iterator<Item = String>) -> Result<Table, ProbeError> {
    symbols::read(names).map_err(|error| trouble(&format!("read {}", symbols::TABLE), error))
}

/// The modules that are loaded and initialised.
fn loaded() -> Result<BTreeSet<String>, ProbeError> {
    match std::fs::read_to_string(MODULES) {
        Ok(list) => Ok(live(&list)),
        // A kernel without modules.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(trouble(&format!("read {MODULES}"), error)),
    }
}

/// Name, size, users, their names, state, address: those whose state is `Live`.
fn live(list: &str) -> BTreeSet<String> {
    let live = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (name, state) = (fields.next()?, fields.nth(3)?);
        (state == "Live").then(|| name.to_owned())
    };
    list.lines().filter_map(live).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_comes_or_goes_is_not_loaded() {
        let list = "ext4 1011712 1 - Live 0xffffffffc0a00000\n\
                    jbd2 196608 1 ext4, Live 0xffffffffc0900000 (E)\n\
                    coming 16384 0 - Loading 0xffffffffc0800000\nbroken\n";
        assert_eq!(live(list), ["ext4", "jbd2"].map(str::to_owned).into());
    }
}
