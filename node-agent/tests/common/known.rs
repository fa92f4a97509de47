//! A system call whose every argument, and all memory that those lead to, follow from a number and an address.

use std::ffi::CStr;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Bytes of memory that a call's arguments lead to.
pub(crate) const LENGTH: usize = 16 << 10;

/// What the arguments of one `mount` are, as distances from the start of the memory, and its flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguments {
    pub(crate) source: usize,
    pub(crate) target: usize,
    pub(crate) kind: usize,
    pub(crate) flags: u32,
    pub(crate) data: usize,
}

/// The arguments of the call with this number.
pub(crate) fn arguments(seed: u64) -> Arguments {
    let place = |nth: u64| usize::try_from(mixed(seed ^ nth << 32) % (LENGTH as u64 / 64)).unwrap() * 8;
    Arguments {
        source: place(1),
        target: place(2),
        kind: place(3),
        flags: u32::try_from(mixed(seed) & 0x0fff).unwrap(),
        data: place(4),
    }
}

/// The memory of the call with this number, where it begins at this address: addresses within its first half, small
/// numbers, short texts, and anything at all.
pub(crate) fn memory(seed: u64, address: u64) -> Vec<u8> {
    (0..LENGTH as u64 / 8).flat_map(|nth| word(mixed(seed ^ nth << 8), address).to_le_bytes()).collect()
}

fn word(random: u64, address: u64) -> u64 {
    let rest = random >> 3;
    match random & 7 {
        0..4 => address + rest % (LENGTH as u64 / 2) / 8 * 8,
        4 => u64::from_le_bytes(*b"ab\0cab\0a"),
        5 | 6 => rest % 16,
        _ => rest,
    }
}

const fn mixed(word: u64) -> u64 {
    let word = (word ^ word >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^ word >> 32
}

/// Makes the call, which comes to nothing: there is no such directory. Answers where its memory is.
pub(crate) fn call(seed: u64) -> u64 {
    let (address, memory) = prepared(seed);
    let Arguments { source, target, kind, flags, data } = arguments(seed);
    let text = |at: usize| CStr::from_bytes_until_nul(&memory[at..]).unwrap();
    let flags = MountFlags::from_bits_retain(flags);
    let answer = mount(text(source), text(target), text(kind), flags, Some(text(data)));
    assert!(answer.is_err(), "a mount on {:?}", text(target));
    address
}

/// Makes it with a directory and a kind of file system that there are, and no flags, so that the kernel takes over what
/// `source` and `data` lead to.
pub(crate) fn call_inside(seed: u64, directory: &Path) -> u64 {
    let (address, memory) = prepared(seed);
    let Arguments { source, data, .. } = arguments(seed);
    let text = |at: usize| CStr::from_bytes_until_nul(&memory[at..]).unwrap();
    match mount(text(source), directory, "tmpfs", MountFlags::empty(), Some(text(data))) {
        Ok(()) => unmount(directory, UnmountFlags::empty()).unwrap(),
        Err(Errno::INVAL) => {}
        Err(other) => panic!("{other}"),
    }
    address
}

/// Memory that stays where it is.
fn prepared(seed: u64) -> (u64, &'static [u8]) {
    let room = Box::leak(vec![0; LENGTH].into_boxed_slice());
    let address = room.as_ptr().addr() as u64;
    room.copy_from_slice(&memory(seed, address));
    (address, room)
}
