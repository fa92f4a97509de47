//! Kprobes, made as perf events: they are gone when their last descriptor is.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use super::sys::{self, BpfError};

/// Where the kernel says how kprobes are asked for.
const UNIT: &str = "/sys/bus/event_source/devices/kprobe";

/// Where in a function a kprobe sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Entry,
    Return,
}

/// Attaches a program to the function that starts at `address`. It stays until the link is closed.
pub(super) fn attach(program: BorrowedFd<'_>, address: u64, at: At) -> Result<OwnedFd, BpfError> {
    let unit = Unit::read(Path::new(UNIT)).map_err(|source| BpfError {
        call: "ask how kprobes are made",
        source,
        log: String::new(),
    })?;
    let config = if at == At::Return { 1 << unit.return_bit } else { 0 };
    let event = sys::kprobe_event(unit.kind, config, address)?;
    sys::attach_to_event(program, &event)
}

/// Where the kernel lists the functions that have an ftrace site: where tracefs is mounted, and by custom was.
const TRACED: [&str; 2] = [
    "/sys/kernel/tracing/available_filter_functions",
    "/sys/kernel/debug/tracing/available_filter_functions",
];

/// Refuses a function without an ftrace site, as the kernel does itself unless it was built not to. Where there is no
/// list, the kernel has the say alone.
pub(super) fn traced(function: &str) -> Result<(), &'static str> {
    let list = TRACED.iter().find_map(|list| File::open(list).ok());
    match list.and_then(|list| is_listed(BufReader::new(list), function)) {
        Some(false) => Err(
            "it has no ftrace site: a kprobe would be a breakpoint there, and its program run as in an NMI",
        ),
        _ => Ok(()),
    }
}

/// `None` where the list cannot be read, or has nothing in it.
fn is_listed(mut list: impl BufRead, function: &str) -> Option<bool> {
    let mut line = String::new();
    let mut is_empty = true;
    while list.read_line(&mut line).ok()? > 0 {
        if line.split_ascii_whitespace().next() == Some(function) {
            return Some(true);
        }
        is_empty = false;
        line.clear();
    }
    (!is_empty).then_some(false)
}

/// The kernel's performance unit that makes kprobes.
#[derive(Debug, PartialEq, Eq)]
struct Unit {
    kind: u32,
    /// The bit that asks for the return.
    return_bit: u32,
}

impl Unit {
    fn read(directory: &Path) -> std::io::Result<Self> {
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| std::io::ErrorKind::InvalidData);
        let kind = number(&fs::read_to_string(directory.join("type"))?)?;
        let format = fs::read_to_string(directory.join("format/retprobe"))?;
        let bit = format.trim().strip_prefix("config:").ok_or(std::io::ErrorKind::InvalidData)?;
        let return_bit = number(bit)?;
        if return_bit > 63 {
            Err(std::io::ErrorKind::InvalidData.into())
        } else {
            Ok(Self { kind, return_bit })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_traced_that_is_listed_in_the_kernel_or_in_a_module() {
        let list = "path_mount\next4_mount [ext4]\n";
        let is_listed = |function| is_listed(list.as_bytes(), function);
        assert_eq!([is_listed("path_mount"), is_listed("ext4_mount")], [Some(true); 2]);
        assert_eq!(is_listed("path_mou"), Some(false));
        assert_eq!(super::is_listed("".as_bytes(), "path_mount"), None);
    }

    #[test]
    fn the_kernel_is_asked_for_kprobes_as_it_says() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        fs::create_dir(directory.path().join("format")).unwrap();
        write("type", "6\n");
        write("format/retprobe", "config:0\n");
        assert_eq!(Unit::read(directory.path()).unwrap(), Unit { kind: 6, return_bit: 0 });
        for wrong in ["config1:0\n", "config:64\n", "config:\n"] {
            write("format/retprobe", wrong);
            assert!(Unit::read(directory.path()).is_err(), "{wrong}");
        }
    }
}
