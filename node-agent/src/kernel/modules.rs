//! The modules that are loaded.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where the kernel lists its modules.
pub(super) const LIST: &str = "/proc/modules";

/// What the kernel says of a module that works; others are on their way in or out.
const LIVE: &str = "Live";

/// What tells a module from one of the same name that is loaded after it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64);

/// That of a module; `None` where it is not loaded. The kernel makes its folder anew, under a number of its own, each
/// time that it is.
pub(super) fn identity(module: &str) -> Option<Identity> {
    let folder = fs::metadata(Path::new("/sys/module").join(module)).ok()?;
    Some(Identity(folder.ino()))
}

/// Which modules there are, and how far each has come. While it stays the same, no module has come or gone, also not to
/// be loaded again at once, elsewhere or from another file: that one has another identity.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loaded(Vec<(Module, Option<Identity>)>);

impl Loaded {
    /// Now.
    ///
    /// # Errors
    /// The list cannot be read.
    pub(super) fn look() -> io::Result<Self> {
        let with_identity = |module: Module| {
            let identity = identity(&module.name);
            (module, identity)
        };
        Ok(Self(listed()?.into_iter().map(with_identity).collect()))
    }
}

/// The modules that are loaded and initialised.
///
/// # Errors
/// The list cannot be read.
pub(super) fn live() -> io::Result<BTreeSet<String>> {
    Ok(listed()?.into_iter().filter(|module| module.state == LIVE).map(|module| module.name).collect())
}

#[derive(Debug, PartialEq, Eq)]
struct Module {
    name: String,
    state: String,
}

fn listed() -> io::Result<Vec<Module>> {
    match fs::read_to_string(LIST) {
        Ok(list) => Ok(parse(&list)),
        // A kernel without modules.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Name, size, users, their names, state, address.
fn parse(list: &str) -> Vec<Module> {
    let module = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (name, state) = (fields.next()?, fields.nth(3)?);
        Some(Module { name: name.to_owned(), state: state.to_owned() })
    };
    list.lines().filter_map(module).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_a_name_and_a_state_whoever_uses_it() {
        let list = "ext4 1011712 1 - Live 0xffffffffc0a00000\n\
                    jbd2 196608 1 ext4, Live 0xffffffffc0900000 (E)\n\
                    coming 16384 0 - Loading 0xffffffffc0800000\nbroken\n";
        let module = |(name, state): (&str, &str)| Module { name: name.to_owned(), state: state.to_owned() };
        assert_eq!(parse(list), [("ext4", "Live"), ("jbd2", "Live"), ("coming", "Loading")].map(module));
        assert_eq!(parse(&list.replace(" 1 ", " 7 ")), parse(list));
    }
}
