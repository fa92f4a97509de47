//! From a name to a function.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::nearest::nearest;
use super::{KERNEL, Name, Symbol, Table, Unresolved, spellings};
use crate::btf::Btf;

/// How many names like an unknown one are looked for: some of them may not be attachable.
const CANDIDATES: usize = 24;

/// Modules by name, each with its types; `None` for those that are loaded and describe none.
pub type Modules = BTreeMap<String, Option<Arc<Btf>>>;

/// Where functions are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Objects<'a> {
    /// The kernel's own types.
    pub kernel: &'a Btf,
    /// Modules: of a running kernel those that are loaded and that the names may be about.
    pub modules: &'a Modules,
    /// What the symbol table says of the [`spellings`] of the names; `None` away from a running kernel, where the types
    /// are all there is.
    pub table: Option<&'a Table>,
}

/// The functions of one name in the kernel or in one module.
struct Seen<'a> {
    module: Option<&'a str>,
    /// Of its types.
    ids: Vec<u32>,
    addresses: Vec<u64>,
    copy: Option<String>,
    /// Those of its types that are not alike.
    differ: bool,
}

/// Where a function may be: a module, or the kernel itself, and what types are known of it.
type Place<'a> = (Option<&'a str>, Option<&'a Btf>);

impl<'a> Objects<'a> {
    /// The function that a name means.
    ///
    /// # Errors
    /// Why there is none, or none that programs can be attached to.
    pub fn find(&self, written: &str) -> Result<Symbol, Unresolved> {
        let name = Name::parse(written);
        let searched = self.searched(&name)?;
        let mut reason = None;
        for spelling in spellings(name.function) {
            let seen: Vec<_> =
                searched.iter().map(|(module, types)| self.see(*module, *types, &spelling)).collect();
            let there: Vec<_> = seen.iter().filter(|seen| self.count(seen) > 0).collect();
            match there.as_slice() {
                [] => reason = reason.or_else(|| self.gone(&spelling, &seen, &searched)),
                [one] => return self.one(one, &spelling),
                several => return Err(self.ambiguous(&spelling, several)),
            }
        }
        Err(reason.unwrap_or_else(|| {
            let [own, call] = spellings(name.function);
            let meant = if super::call(name.function).is_some() { call } else { own };
            Unresolved::Unknown { name: written.to_owned(), nearest: self.nearest(&meant, &searched) }
        }))
    }

    /// The types in which a function is looked for.
    fn searched(&self, name: &Name<'_>) -> Result<Vec<Place<'a>>, Unresolved> {
        let kernel = (None, Some(self.kernel));
        let modules = self.modules.iter().map(|(name, types)| (Some(name.as_str()), types.as_deref()));
        match name.module() {
            None => Ok([kernel].into_iter().chain(modules).collect()),
            Some(module) if module == KERNEL => Ok(vec![kernel]),
            Some(module) => {
                let named: Vec<_> = modules.filter(|(name, _)| *name == Some(module.as_str())).collect();
                if named.is_empty() { Err(self.no_module(module, name.function)) } else { Ok(named) }
            }
        }
    }

    fn no_module(&self, module: String, function: &str) -> Unresolved {
        let is_built_in = |name: &String| self.count(&self.see(None, Some(self.kernel), name)) > 0;
        Unresolved::NoModule { module, function: spellings(function).into_iter().find(is_built_in) }
    }

    fn see(&self, module: Option<&'a str>, types: Option<&'a Btf>, name: &str) -> Seen<'a> {
        let mut ids: Vec<u32> = types.iter().flat_map(|types| types.functions(name)).collect();
        let mut listed = self.table.map(|table| table.listed(name, module)).unwrap_or_default();
        // What a module shares with its kernel, name and prototype, is described only once: there.
        if ids.is_empty() && module.is_some() && types.is_some() && !listed.addresses.is_empty() {
            ids = self.kernel.functions(name).take(1).collect();
        }
        let differ = types.is_some_and(|types| !types.are_alike(&ids));
        let copy = listed.clone.take().or_else(|| listed.cold.take());
        Seen { module, ids, addresses: listed.addresses, copy, differ }
    }

    /// How many functions there are.
    fn count(&self, seen: &Seen<'_>) -> usize {
        if self.table.is_some() { seen.addresses.len() } else { usize::from(!seen.ids.is_empty()) }
    }

    /// There is a single place that has it.
    fn one(&self, seen: &Seen<'_>, name: &str) -> Result<Symbol, Unresolved> {
        let name = name.to_owned();
        if seen.addresses.contains(&0) {
            return Err(Unresolved::Hidden { name });
        }
        if seen.addresses.len() > 1 || seen.differ {
            return Err(self.ambiguous(&name, &[seen]));
        }
        let address = seen.addresses.first().copied();
        let module = seen.module.map(str::to_owned);
        match (seen.ids.first(), address) {
            (Some(id), _) => Ok(Symbol { name, module, id: *id, address }),
            (None, address) => Err(Unresolved::Untyped { name, module, address: address.unwrap_or(0) }),
        }
    }

    fn ambiguous(&self, name: &str, several: &[&Seen<'_>]) -> Unresolved {
        let place = |seen: &&Seen<'_>| {
            let place = seen.module.unwrap_or(KERNEL).to_owned();
            std::iter::repeat_n(place, self.count(seen))
        };
        Unresolved::Ambiguous { name: name.to_owned(), places: several.iter().flat_map(place).collect() }
    }

    /// What is left of a function that is not there.
    fn gone(
        &self,
        name: &str,
        seen: &[Seen<'_>],
        searched: &[(Option<&'a str>, Option<&'a Btf>)],
    ) -> Option<Unresolved> {
        let nearest = || {
            let mut nearest = self.nearest(name, searched);
            nearest.retain(|other| Name::parse(other).function != name);
            nearest
        };
        let name = name.to_owned();
        if let Some(copy) = seen.iter().find_map(|seen| seen.copy.clone()) {
            return Some(Unresolved::Copied { name, copy, nearest: nearest() });
        }
        let described = seen.iter().any(|seen| !seen.ids.is_empty());
        described.then(|| Unresolved::Inlined { name, nearest: nearest() })
    }

    fn nearest(&self, name: &str, searched: &[(Option<&'a str>, Option<&'a Btf>)]) -> Vec<String> {
        let names = searched.iter().flat_map(|(module, types)| {
            let names = types.iter().flat_map(|types| types.function_names());
            names.map(|name| (*module, name))
        });
        nearest(name, names, CANDIDATES)
    }
}
