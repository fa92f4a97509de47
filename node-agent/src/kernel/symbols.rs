//! Addresses of kernel functions, from `/proc/kallsyms`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

pub(super) use faultline_ebpf::symbol::Listed as Symbol;
use faultline_ebpf::symbol::Table;

/// Where the kernel shows its symbol table.
pub(super) const TABLE: &str = "/proc/kallsyms";

/// Reads what the table says of `names` in the kernel itself. Names it does not hold come back empty.
pub(super) fn find<'a>(names: impl Iterator<Item = &'a str>) -> std::io::Result<BTreeMap<String, Symbol>> {
    let names: Vec<String> = names.map(str::to_owned).collect();
    let table = read(names.iter().cloned())?;
    Ok(names.into_iter().map(|name| (name.clone(), table.listed(&name, None))).collect())
}

/// Reads the table once for all `names`, in the kernel and in modules.
pub(super) fn read(names: impl Iterator<Item = String>) -> std::io::Result<Table> {
    let mut table = Table::of(names);
    let mut lines = BufReader::new(File::open(TABLE)?);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        table.take(&line);
        line.clear();
    }
    Ok(table)
}
