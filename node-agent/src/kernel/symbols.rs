//! Addresses of kernel functions, from `/proc/kallsyms`: what is kept of it, and what is read anew.

use std::fs::File;
use std::io::{BufRead, BufReader};

use faultline_ebpf::btf::Btf;
pub(super) use faultline_ebpf::symbol::Listed;
use faultline_ebpf::symbol::{Index, Line, Reading, Symbol, Table};

use super::modules::Loaded;

/// Where the kernel shows its symbol table.
pub(super) const TABLE: &str = "/proc/kallsyms";

/// The symbol table as it was read at the start, so that arming need not read it: it is text that the kernel writes anew
/// for each reader, and costs more than all that is attached.
///
/// The kernel's own functions stay where they are and what they are. What modules add changes only when one comes or goes,
/// and their addresses are not kept. What the table lists besides (programs, trampolines) is no function to us.
#[derive(Debug)]
pub(super) struct Symbols {
    index: Index,
    /// The modules that were loaded before the table was last read; `None` where that was not to be had.
    loaded: Option<Loaded>,
}

impl Symbols {
    /// Reads the table once: to keep it, and for these names.
    pub(super) fn read(types: &Btf, names: impl Iterator<Item = String>) -> std::io::Result<(Self, Table)> {
        let loaded = Loaded::look().ok();
        let (table, reading) = read(names)?;
        Ok((Self { index: Index::new(reading, types), loaded }, table))
    }

    /// The functions that names plainly mean; `None` for all when other modules are loaded than when the table was read.
    pub(super) fn find(&self, names: &[&str]) -> Vec<Option<Symbol>> {
        let is_current = Loaded::look().is_ok_and(|now| self.loaded.as_ref() == Some(&now));
        names.iter().map(|name| self.index.find(name).filter(|_| is_current)).collect()
    }

    /// Reads the table again: for these names, and for what modules have by now.
    pub(super) fn renew(&mut self, names: impl Iterator<Item = String>) -> std::io::Result<Table> {
        // A module that comes or goes while the table is read makes it look outdated, which costs one more reading.
        let loaded = Loaded::look().ok();
        let (table, reading) = read(names)?;
        self.index.renew(reading);
        self.loaded = loaded;
        Ok(table)
    }

    /// How many bytes the function has that starts there.
    pub(super) fn size(&self, address: u64) -> u32 {
        self.index.size(address)
    }
}

/// Reads what the table says of `names`, in the kernel and in modules, and of all others in short.
pub(super) fn read(names: impl Iterator<Item = String>) -> std::io::Result<(Table, Reading)> {
    let (mut table, mut reading) = (Table::of(names), Reading::default());
    let mut lines = BufReader::new(File::open(TABLE)?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        if let Some(line) = Line::parse(&line) {
            table.take(&line);
            reading.take(&line);
        }
        line.clear();
    }
    Ok((table, reading))
}
