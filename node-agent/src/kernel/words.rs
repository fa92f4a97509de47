//! A map value that is mapped into the agent: words that live programs read.
#![expect(unsafe_code, reason = "a shared mapping; each block says why it is sound")]

use std::io;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The value, as 64-bit words. Each store is one machine store to an aligned word, so a program reads either
/// the old word or the new one, never a mixture.
#[derive(Debug)]
pub(super) struct Words {
    start: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the memory is reached through atomics only, and the mapping belongs to no thread.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    /// Maps the value of a `BPF_F_MMAPABLE` array with one entry of `size` bytes.
    pub(super) fn map(map: impl AsFd, size: usize) -> io::Result<Self> {
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(ptr::null_mut(), size, flags.0, flags.1, map, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::Other)?;
        Ok(Self { start, count: size / 8 })
    }

    /// Stores a word at a byte offset.
    pub(super) fn store(&self, offset: usize, value: u64) {
        if let Some(word) = self.words().get(offset / 8) {
            word.store(value, Ordering::Release);
        }
    }

    /// Reads the word at a byte offset; 0 beyond the end.
    pub(super) fn load(&self, offset: usize) -> u64 {
        self.words().get(offset / 8).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Sets bits of the word at a byte offset.
    pub(super) fn set(&self, offset: usize, bits: u64) {
        if let Some(word) = self.words().get(offset / 8) {
            word.fetch_or(bits, Ordering::AcqRel);
        }
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: page-aligned, `count` words long, mapped until drop; the kernel side is atomic as well.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped, and no reference outlives `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.count * 8) };
    }
}
