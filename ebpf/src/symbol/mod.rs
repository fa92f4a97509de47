//! How people spell a kernel's functions, and which one they mean.
//!
//! [`Objects::find`] is the only way from a name to a function: nodes ask it with their symbol table, and checks of
//! documents without one.

mod index;
mod nearest;
mod resolve;
mod table;
mod unresolved;

use std::fmt;

pub use index::{Index, Reading};
pub use resolve::{Modules, Objects};
pub use table::{Line, Listed, OOM_LOCK, Table};
pub use unresolved::Unresolved;

/// What the entry of every system call begins with on this machine.
const SYSCALL: &str = "__x64_sys_";

/// What the kernel itself is called where a module could be named, as bpftrace and libbpf call it.
pub const KERNEL: &str = "vmlinux";

/// A function of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// As the kernel spells it.
    pub name: String,
    /// The module that it is in; `None`: the kernel itself.
    pub module: Option<String>,
    /// Its BTF id; in a module, among that module's types.
    pub id: u32,
    /// Where it starts; `None` without a symbol table.
    pub address: Option<u64>,
}

impl Symbol {
    /// Whether it is the entry of a system call.
    #[must_use]
    pub fn is_syscall(&self) -> bool {
        self.module.is_none() && is_syscall(&self.name)
    }
}

/// As it could be written.
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            Some(module) => write!(f, "{module}:{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A name as people write it: `function`, or `module:function` as kprobe events, bpftrace and libbpf have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The module, or [`KERNEL`], as it is written.
    pub module: Option<&'a str>,
    /// The function, as it is written.
    pub function: &'a str,
}

impl<'a> Name<'a> {
    /// Takes a name apart.
    #[must_use]
    pub fn parse(written: &'a str) -> Self {
        match written.split_once(':') {
            Some((module, function)) => Self { module: Some(module), function },
            None => Self { module: None, function: written },
        }
    }

    /// The module as kernels spell it: file names may have dashes, and kernels do not.
    #[must_use]
    pub fn module(&self) -> Option<String> {
        self.module.map(|module| module.replace('-', "_"))
    }
}

/// The names that `function` may stand for, in the order in which they are tried: itself, and the system call that
/// manuals and older kernels call `mount`, `sys_mount` or `SyS_mount`.
#[must_use]
pub fn spellings(function: &str) -> [String; 2] {
    [function.to_owned(), format!("{SYSCALL}{}", call(function).unwrap_or(function))]
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

#[cfg(test)]
mod tests;
