//! How people spell a kernel's functions, and which one they mean.

use crate::btf::Btf;

/// What the entry of every system call begins with on this machine.
const SYSCALL: &str = "__x64_sys_";

/// How many names are offered in place of one that does not exist.
const NEAREST: usize = 3;

/// A function of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// As the kernel spells it.
    pub name: String,
    /// Its BTF id.
    pub id: u32,
}

/// The names that `name` may stand for, in the order in which they are tried: itself, and the system call that manuals
/// and older kernels call `mount`, `sys_mount` or `SyS_mount`.
#[must_use]
pub fn spellings(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{SYSCALL}{}", call(name).unwrap_or(name))]
}

/// What a name that says so calls a system call.
fn call(name: &str) -> Option<&str> {
    name.strip_prefix("sys_").or_else(|| name.strip_prefix("SyS_"))
}

/// Whether a function, as the kernel spells it, is the entry of a system call: its only parameter is the caller's
/// registers.
#[must_use]
pub fn is_syscall(name: &str) -> bool {
    name.starts_with(SYSCALL)
}

/// The function that `name` means. Of static functions that share a name, the first.
///
/// # Errors
/// The names of functions that may have been meant instead, the most likely first.
pub fn find(btf: &Btf, name: &str) -> Result<Symbol, Vec<String>> {
    let spellings = spellings(name);
    let found = spellings.iter().find_map(|name| {
        let id = btf.functions(name).next()?;
        Some(Symbol { name: name.clone(), id })
    });
    found.ok_or_else(|| {
        let meant = if call(name).is_some() { &spellings[1] } else { name };
        btf.nearest_functions(meant, NEAREST)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::BtfBuilder;

    fn found(name: &str) -> Result<String, Vec<String>> {
        let mut builder = BtfBuilder::new();
        builder.function("__x64_sys_mount", &[]);
        builder.function("path_mount", &[]);
        let btf = Btf::parse(builder.build()).unwrap();
        let symbol = find(&btf, name)?;
        assert_eq!(btf.functions(&symbol.name).next(), Some(symbol.id));
        Ok(symbol.name)
    }

    #[test]
    fn every_spelling_of_a_system_call_finds_it() {
        for name in ["mount", "sys_mount", "SyS_mount", "__x64_sys_mount"] {
            assert_eq!(found(name), Ok("__x64_sys_mount".to_owned()));
        }
        assert!(is_syscall("__x64_sys_mount") && !is_syscall("path_mount") && !is_syscall("sys_mount"));
    }

    #[test]
    fn a_name_that_is_unknown_is_offered_its_neighbours() {
        assert_eq!(found("path_muont"), Err(vec!["path_mount".to_owned()]));
        assert_eq!(found("sys_moutn"), Err(vec!["__x64_sys_mount".to_owned()]));
        assert_eq!(found("zzz"), Err(vec![]));
    }
}
