//! Addresses of kernel functions, from `/proc/kallsyms`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Where the kernel shows its symbol table.
pub(super) const TABLE: &str = "/proc/kallsyms";

/// The mutex of the OOM killer: a variable, and the only one that is looked for.
pub(super) const OOM_LOCK: &str = "oom_lock";

/// Kinds of functions and of variables in the table.
const CODE: &str = "tTwW";
const DATA: &str = "dDbB";

/// How compilers mark a copy that is called in place of the function. (`.cold` is only a part of it elsewhere.)
const CLONES: [&str; 3] = ["constprop", "isra", "part"];

/// What the symbol table says of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Symbol {
    /// Addresses in the kernel itself; modules are not looked at. All zero where addresses are hidden.
    pub(super) addresses: Vec<u64>,
    /// The first specialised copy, such as `name.constprop.0`.
    pub(super) clone: Option<String>,
}

/// Reads the table once for all `names`. Names it does not hold come back empty.
pub(super) fn find<'a>(names: impl Iterator<Item = &'a str>) -> std::io::Result<BTreeMap<String, Symbol>> {
    find_in(BufReader::new(File::open(TABLE)?), names)
}

fn find_in<'a>(
    mut table: impl BufRead,
    names: impl Iterator<Item = &'a str>,
) -> std::io::Result<BTreeMap<String, Symbol>> {
    let mut found: BTreeMap<String, Symbol> =
        names.map(|name| (name.to_owned(), Symbol::default())).collect();
    let mut line = String::new();
    loop {
        line.clear();
        if table.read_line(&mut line)? == 0 {
            return Ok(found);
        }
        let mut fields = line.split_ascii_whitespace();
        let (Some(address), Some(kind), Some(name), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let wanted = if name == OOM_LOCK { DATA } else { CODE };
        if !wanted.contains(kind) {
            continue;
        }
        if let Some(symbol) = found.get_mut(name) {
            symbol.addresses.push(u64::from_str_radix(address, 16).unwrap_or(0));
        } else if let Some((base, suffix)) = name.split_once('.')
            && CLONES.iter().any(|kind| suffix.starts_with(kind))
            && let Some(symbol) = found.get_mut(base)
        {
            symbol.clone.get_or_insert_with(|| name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_data_are_passed_over_and_clones_are_noted() {
        let table = "ffffffff81000010 T wanted\nffffffff81000020 d wanted\nffffffffc0000010 t wanted [ext4]\n\
                     ffffffff81000030 t twice\nffffffff81000040 t twice\nffffffff81000050 t only.constprop.0\n\
                     ffffffff81000060 t wanted.cold\n";
        let found = find_in(table.as_bytes(), ["wanted", "twice", "only", "absent"].into_iter()).unwrap();
        assert_eq!(found["wanted"], Symbol { addresses: vec![0xffff_ffff_8100_0010], clone: None });
        assert_eq!(found["twice"].addresses.len(), 2);
        assert_eq!(found["only"], Symbol { addresses: vec![], clone: Some("only.constprop.0".into()) });
        assert_eq!(found["absent"], Symbol::default());
    }
}
