//! Why a name is no function that programs can be attached to.

use thiserror::Error;

use super::{Name, Table};

/// How many names are shown in place of one that cannot be had.
const SHOWN: usize = 3;

/// Why a name is no function that programs can be attached to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unresolved {
    /// Neither the types nor the symbol table have it.
    #[error("kernel function `{name}` does not exist{}", did_you_mean(.nearest))]
    Unknown {
        /// As it is written.
        name: String,
        /// Attachable functions with names like it, the most alike first.
        nearest: Vec<String>,
    },
    /// The types have it and the symbol table does not.
    #[error("`{name}` is in the kernel's types and not in its symbol table, so it is inlined wherever it is called{}", did_you_mean(.nearest))]
    Inlined {
        /// As the kernel spells it.
        name: String,
        /// As for unknown names.
        nearest: Vec<String>,
    },
    /// The compiler left copies of it or a part of it, which have no types.
    #[error("of `{name}` only the compiler's `{copy}` is left, which has no types{}", did_you_mean(.nearest))]
    Copied {
        /// As the kernel spells it.
        name: String,
        /// The first copy or part.
        copy: String,
        /// As for unknown names.
        nearest: Vec<String>,
    },
    /// The symbol table has it and the types do not.
    #[error("`{name}` has no types: {}", untyped(.module.as_deref()))]
    Untyped {
        /// As the kernel spells it.
        name: String,
        /// The module that it is in.
        module: Option<String>,
        /// Where it starts.
        address: u64,
    },
    /// There are several, and which one is meant cannot be told.
    #[error("kernel function `{name}` is ambiguous: {}", several(.name, .places))]
    Ambiguous {
        /// As the kernel spells it.
        name: String,
        /// Where they are, one entry for each; the kernel itself is `vmlinux`.
        places: Vec<String>,
    },
    /// The symbol table does not show addresses.
    #[error("the address of `{name}` is hidden: CAP_SYSLOG is needed (kptr_restrict)")]
    Hidden {
        /// As the kernel spells it.
        name: String,
    },
    /// The module that was named is not there; it may yet come.
    #[error("module `{module}` is not loaded{}", built_in(.function.as_deref()))]
    NoModule {
        /// As the kernel would spell it.
        module: String,
        /// The function, as the kernel spells it, where the kernel itself has one of that name.
        function: Option<String>,
    },
}

impl Unresolved {
    /// Whether it may change by itself: with a module that is loaded.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::NoModule { .. })
    }

    /// The names that are offered instead.
    #[must_use]
    pub fn nearest(&self) -> &[String] {
        match self {
            Self::Unknown { nearest, .. } | Self::Inlined { nearest, .. } | Self::Copied { nearest, .. } => {
                nearest.get(..SHOWN).unwrap_or(nearest)
            }
            _ => &[],
        }
    }

    /// All names that could be offered instead, for a symbol table to be asked which of them can be had.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        let candidates = match self {
            Self::Unknown { nearest, .. } | Self::Inlined { nearest, .. } | Self::Copied { nearest, .. } => {
                nearest.as_slice()
            }
            _ => &[],
        };
        candidates.iter().map(|written| Name::parse(written).function)
    }

    /// Offers only what `table` has once.
    #[must_use]
    pub fn only_in(mut self, table: &Table) -> Self {
        if let Self::Unknown { nearest, .. } | Self::Inlined { nearest, .. } | Self::Copied { nearest, .. } =
            &mut self
        {
            nearest.retain(|written| {
                let name = Name::parse(written);
                table.listed(name.function, name.module).addresses.len() == 1
            });
        }
        self
    }
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest.get(..SHOWN).unwrap_or(nearest) {
        [] => String::new(),
        shown => format!(" (nearest: {})", shown.join(", ")),
    }
}

fn untyped(module: Option<&str>) -> String {
    match module {
        Some(module) => format!("module `{module}` does not describe it"),
        None => "the kernel does not describe it".to_owned(),
    }
}

fn several(name: &str, places: &[String]) -> String {
    let mut written: Vec<_> = places.iter().map(|place| format!("`{place}:{name}`")).collect();
    written.dedup();
    match written.as_slice() {
        [one] if places.len() == 1 => format!("the types of {one} do not tell which of several it is"),
        [one] => format!("there are {} of {one}", places.len()),
        _ if written.len() == places.len() => format!("write {}", written.join(", or ")),
        _ => format!("there are {} in {}", places.len(), written.join(" and ")),
    }
}

fn built_in(function: Option<&str>) -> String {
    let written = |name| format!("; the kernel itself has a function of that name: `vmlinux:{name}`");
    function.map(written).unwrap_or_default()
}
