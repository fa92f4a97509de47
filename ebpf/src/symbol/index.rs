//! A kernel's symbol table, kept small: read once, and asked for every name.
//!
//! The kernel's own functions stay where they are for as long as it runs. Those of modules do not: of them only the names
//! are kept, for a name that a module has as well is not plain. Of names there are hashes: of 64 bits where they lead to a
//! function, which no two names of a table share by chance, and of half as many where they only lead back to the table.

use std::hash::{DefaultHasher, Hasher as _};

use super::table::Line;
use super::{KERNEL, Name, Symbol, spellings};
use crate::btf::Btf;

/// The functions that names plainly mean, and all names that need a closer look.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Of the kernel's own names, those that it has once and describes without doubt; sorted.
    plain: Box<[Plain]>,
    /// Its other names; sorted.
    others: Box<[u32]>,
    /// The names in modules; sorted.
    of_modules: Box<[u32]>,
    /// Where functions start, parts and copies included, in the kernel and in modules; sorted.
    starts: Box<[u32]>,
}

#[derive(Debug, Clone, Copy)]
struct Plain {
    hash: u64,
    address: u32,
    id: u32,
}

/// Lines of a symbol table on their way into an index.
#[derive(Debug, Default)]
pub struct Reading {
    /// Names in the kernel, and where they are; 0 where that is hidden.
    kernel: Vec<(u64, u32)>,
    modules: Vec<u32>,
    starts: Vec<u32>,
}

impl Reading {
    /// Takes a line in.
    pub fn take(&mut self, line: &Line<'_>) {
        if !line.is_code() {
            return;
        }
        let address = low(line.address).unwrap_or(0);
        self.starts.push(address);
        match line.module {
            None => self.kernel.push((hash(line.name), address)),
            Some(_) => self.modules.push(short(hash(line.name))),
        }
    }
}

impl Index {
    /// What was read of a kernel's table, with the kernel's types.
    #[must_use]
    pub fn new(reading: Reading, types: &Btf) -> Self {
        let Reading { mut kernel, modules, starts } = reading;
        kernel.sort_unstable();
        let mut described: Vec<_> = types.described().map(|(id, name)| (hash(name), id)).collect();
        described.sort_unstable();
        let (mut plain, mut others) = (Vec::new(), Vec::new());
        for same in kernel.chunk_by(|one, other| one.0 == other.0) {
            let Some((hash, _)) = same.first().copied() else { continue };
            let ids = described.iter().skip(described.partition_point(|(name, _)| *name < hash));
            let ids: Vec<u32> = ids.take_while(|(name, _)| *name == hash).map(|(_, id)| *id).collect();
            match (same, ids.first()) {
                ([(_, address)], Some(id)) if *address != 0 && types.are_alike(&ids) => {
                    plain.push(Plain { hash, address: *address, id: *id });
                }
                _ => others.push(short(hash)),
            }
        }
        Self {
            plain: plain.into(),
            others: sorted(others),
            of_modules: sorted(modules),
            starts: sorted(starts),
        }
    }

    /// What was read of the same kernel's table when other modules were loaded.
    pub fn renew(&mut self, reading: Reading) {
        self.of_modules = sorted(reading.modules);
        self.starts = sorted(reading.starts);
    }

    /// The function that a name plainly means: under its first spelling that there is at all, the kernel has a single one
    /// and describes it, and no module has one. `None`: that takes the whole table.
    #[must_use]
    pub fn find(&self, written: &str) -> Option<Symbol> {
        let name = Name::parse(written);
        let module = name.module();
        if module.as_ref().is_some_and(|module| module != KERNEL) {
            return None;
        }
        for spelling in spellings(name.function) {
            let hash = hash(&spelling);
            let is_shared = module.is_none() && contains(&self.of_modules, hash);
            if is_shared || contains(&self.others, hash) {
                return None;
            }
            if let Ok(nth) = self.plain.binary_search_by_key(&hash, |plain| plain.hash) {
                let Plain { address, id, .. } = *self.plain.get(nth)?;
                return Some(Symbol { name: spelling, module: None, id, address: Some(whole(address)) });
            }
        }
        None
    }

    /// How many bytes there are from a function's start to that of the next function: where the return addresses of its
    /// calls lie, but for what the compiler has put aside as cold.
    #[must_use]
    pub fn size(&self, address: u64) -> u32 {
        let Some(start) = low(address) else { return LONGEST };
        let next = self.starts.get(self.starts.partition_point(|other| *other <= start));
        // A function is not longer than that: what follows is no longer the code that it is in.
        next.map_or(LONGEST, |next| (next - start).min(LONGEST))
    }
}

/// In bytes.
const LONGEST: u32 = 1 << 20;

/// The code of a kernel for x86-64 and of its modules is in the highest 2 GiB.
const HIGH: u64 = 0xffff_ffff_0000_0000;

fn low(address: u64) -> Option<u32> {
    u32::try_from(address.checked_sub(HIGH)?).ok()
}

fn whole(address: u32) -> u64 {
    HIGH | u64::from(address)
}

/// Without a key: whoever may name functions gains nothing by two names that mean the same one.
fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name.as_bytes());
    hasher.finish()
}

#[expect(clippy::cast_possible_truncation, reason = "half of it")]
fn short(hash: u64) -> u32 {
    hash as u32
}

fn contains(names: &[u32], hash: u64) -> bool {
    names.binary_search(&short(hash)).is_ok()
}

fn sorted(mut all: Vec<u32>) -> Box<[u32]> {
    all.sort_unstable();
    all.dedup();
    all.into()
}
