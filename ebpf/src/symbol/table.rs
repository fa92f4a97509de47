//! What a kernel's symbol table says of the names that it is asked for.

use std::collections::BTreeMap;

/// How compilers mark a copy that is called in place of the function.
const COPIES: [&str; 3] = ["constprop", "isra", "part"];

/// How they mark a part of a function that is elsewhere.
const COLD: &str = "cold";

/// The mutex of the OOM killer: a variable, and the only one that may be asked for.
pub const OOM_LOCK: &str = "oom_lock";

/// Kinds of functions and of variables in the table.
const CODE: [&str; 4] = ["t", "T", "w", "W"];
const DATA: [&str; 4] = ["d", "D", "b", "B"];

/// What the kernel lists under names of modules that are none: programs, and code of its own making.
const NO_MODULES: [&str; 4] = ["bpf", "__builtin__ftrace", "__builtin__kprobes", "__builtin__bpf"];

/// What is listed under one name in the kernel or in one module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Where functions of that name start. All zero where addresses are hidden.
    pub addresses: Vec<u64>,
    /// The first specialised copy, such as `name.constprop.0`.
    pub clone: Option<String>,
    /// A part of it that is elsewhere, such as `name.cold`.
    pub cold: Option<String>,
}

/// The part of `/proc/kallsyms` that is about names that were asked for.
#[derive(Debug, Clone, Default)]
pub struct Table(BTreeMap<String, BTreeMap<Option<String>, Listed>>);

impl Table {
    /// Empty as yet, for lines about these names.
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| (name, BTreeMap::new())).collect())
    }

    /// Takes a line in.
    pub fn take(&mut self, line: &Line<'_>) {
        let Line { address, kind, name, module } = *line;
        let wanted = if name == OOM_LOCK { DATA } else { CODE };
        if !wanted.contains(&kind) {
            return;
        }
        if let Some(listed) = self.entry(name, module) {
            listed.addresses.push(address);
        } else if let Some((base, suffix)) = name.split_once('.')
            && let Some(listed) = self.entry(base, module)
        {
            let kind = suffix.split('.').next().unwrap_or_default();
            if COPIES.contains(&kind) {
                listed.clone.get_or_insert_with(|| name.to_owned());
            } else if kind == COLD {
                listed.cold.get_or_insert_with(|| name.to_owned());
            }
        }
    }

    fn entry(&mut self, name: &str, module: Option<&str>) -> Option<&mut Listed> {
        let places = self.0.get_mut(name)?;
        Some(places.entry(module.map(str::to_owned)).or_default())
    }

    /// What the kernel itself or a module has under a name.
    #[must_use]
    pub fn listed(&self, name: &str, module: Option<&str>) -> Listed {
        let places = self.0.get(name);
        places.and_then(|places| places.get(&module.map(str::to_owned))).cloned().unwrap_or_default()
    }

    /// Where there are functions of that name; `None` is the kernel itself.
    pub fn places<'a>(&'a self, name: &str) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
        let places = self.0.get(name).into_iter().flatten();
        places.filter(|(_, listed)| !listed.addresses.is_empty()).map(|(module, _)| module.as_deref())
    }
}

/// A line of `/proc/kallsyms`.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// 0 where it is hidden.
    pub(super) address: u64,
    kind: &'a str,
    pub(super) name: &'a str,
    pub(super) module: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Takes a line apart: address, kind, name, and the module in brackets. `None` where it is about neither the kernel
    /// itself nor a module.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (address, rest) = line.trim_end().split_once(' ')?;
        let (kind, rest) = rest.split_once(' ')?;
        let (name, module) =
            rest.split_once('\t').map_or((rest, None), |(name, module)| (name, Some(module)));
        let module = module.map(|module| module.trim_matches(['[', ']']));
        if module.is_some_and(|module| NO_MODULES.contains(&module)) {
            return None;
        }
        Some(Self { address: u64::from_str_radix(address, 16).unwrap_or(0), kind, name, module })
    }

    pub(super) fn is_code(&self) -> bool {
        CODE.contains(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Table {
        let text = "ffffffff81000010 T wanted\nffffffff81000020 d wanted\n\
                    ffffffffc0000010 t wanted\t[ext4]\nffffffffc0000020 t wanted\t[bpf]\n\
                    ffffffff81000030 t twice\nffffffff81000040 t twice\nffffffff81000050 t only.constprop.0\n\
                    ffffffff81000060 t wanted.cold\nffffffff81000070 t split.part.0.isra.0\ngarbage\n";
        let mut table = Table::of(names.iter().map(|name| (*name).to_owned()));
        text.lines().filter_map(Line::parse).for_each(|line| table.take(&line));
        table
    }

    #[test]
    fn a_name_is_told_apart_by_where_it_is() {
        let table = table(&["wanted", "twice", "only", "absent"]);
        let wanted = table.listed("wanted", None);
        assert_eq!((wanted.addresses.as_slice(), wanted.clone), (&[0xffff_ffff_8100_0010][..], None));
        assert_eq!(table.listed("wanted", Some("ext4")).addresses, [0xffff_ffff_c000_0010]);
        assert_eq!(table.places("wanted").collect::<Vec<_>>(), [None, Some("ext4")]);
        assert_eq!(table.listed("twice", None).addresses.len(), 2);
        assert_eq!(table.listed("absent", None), Listed::default());
    }

    #[test]
    fn copies_and_parts_are_noted_and_are_no_functions() {
        let table = table(&["wanted", "only", "split"]);
        assert_eq!(table.listed("only", None).clone.as_deref(), Some("only.constprop.0"));
        assert_eq!(table.listed("split", None).clone.as_deref(), Some("split.part.0.isra.0"));
        let wanted = table.listed("wanted", None);
        assert_eq!((wanted.clone, wanted.cold.as_deref()), (None, Some("wanted.cold")));
        assert_eq!(table.places("only").count(), 0);
    }

    #[test]
    fn a_copy_is_a_function_to_whom_asks_for_it() {
        let table = table(&["only.constprop.0"]);
        assert_eq!(table.places("only.constprop.0").count(), 1);
    }
}
