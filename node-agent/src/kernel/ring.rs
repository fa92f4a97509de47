//! A ring for system calls that the kernel works off in threads of its own: what tests have a target do.
//!
//! The layout is that of `linux/io_uring.h`.
#![expect(unsafe_code, reason = "memory shared with the kernel; each block says why it is sound")]

use std::ffi::{CStr, c_long};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// `struct io_uring_params`, in words of 32 bits, and where in it is said where in the ring things are.
type Params = [u32; 30];
const FEATURES: usize = 5;
const SUBMITTED: usize = 11;
const ORDER: usize = 16;
const TAKEN: usize = 20;
const ENTRIES: usize = 23;
const COMPLETED: usize = 25;

/// `IORING_FEAT_SINGLE_MMAP`: both halves of the ring are one piece of memory.
const ONE_PIECE: u32 = 1;

/// `IORING_OFF_SQES`.
const CALLS: u64 = 0x1000_0000;

/// Bytes of `struct io_uring_sqe` and `struct io_uring_cqe`, and where the result is in the latter.
const CALL: usize = 64;
const COMPLETION: u32 = 16;
const RESULT: u32 = 8;

/// `IORING_OP_OPENAT` for the working directory, with `IOSQE_ASYNC`.
const OPEN_ELSEWHERE: u64 = 18 | 1 << 12 | (libc::AT_FDCWD as u32 as u64) << 32;

/// `IORING_ENTER_GETEVENTS`.
const WAIT: c_long = 1;

/// A ring with room for one call.
#[derive(Debug)]
pub struct Ring {
    ring: OwnedFd,
    params: Params,
    shared: *mut u8,
    size: usize,
    calls: *mut [u64; CALL / 8],
}

impl Ring {
    /// A new one.
    ///
    /// # Errors
    /// The kernel has none, or one of before 5.4.
    pub fn new() -> io::Result<Self> {
        let mut params = Params::default();
        // SAFETY: the kernel reads and writes the parameters, which are as long as it takes them to be.
        let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
        let ring = i32::try_from(ring).ok().filter(|ring| *ring >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel has just made it for us alone.
        let ring = unsafe { OwnedFd::from_raw_fd(ring) };
        if params[FEATURES] & ONE_PIECE == 0 {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        let completions = params[COMPLETED] + 2 * COMPLETION;
        let size = completions.max(params[ORDER] + 4) as usize;
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: new mappings, of what the ring says it has, wherever the kernel likes.
        let shared = unsafe { mmap(ptr::null_mut(), size, protection, flags, &ring, 0) }?;
        // SAFETY: as above.
        let calls = unsafe { mmap(ptr::null_mut(), CALL, protection, flags, &ring, CALLS) }?;
        Ok(Self { ring, params, shared: shared.cast(), size, calls: calls.cast() })
    }

    /// Opens a file for reading in a worker of the kernel's, and waits until that has happened.
    ///
    /// # Errors
    /// What came of it.
    pub fn open_elsewhere(&mut self, path: &CStr) -> Result<OwnedFd, Errno> {
        let [submitted, taken] = [SUBMITTED, TAKEN].map(|at| self.word(self.params[at]));
        let call = [OPEN_ELSEWHERE, 0, path.as_ptr() as u64, 0, 0, 0, 0, 0];
        // SAFETY: the only entry, which the kernel does not read before it is told that there is one more.
        unsafe { self.calls.write_volatile(call) };
        self.word(self.params[ORDER]).store(0, Ordering::Relaxed);
        submitted.fetch_add(1, Ordering::Release);
        let (ring, signals) = (self.ring.as_raw_fd(), ptr::null::<u8>());
        // SAFETY: the path outlives the call, which is over when it has returned.
        let entered = unsafe { libc::syscall(libc::SYS_io_uring_enter, ring, 1, 1, WAIT, signals, 0) };
        if entered != 1 {
            return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL));
        }
        let nth = taken.load(Ordering::Acquire) % self.word(self.params[ENTRIES]).load(Ordering::Relaxed);
        let result = self.word(self.params[COMPLETED] + nth * COMPLETION + RESULT).load(Ordering::Acquire);
        taken.fetch_add(1, Ordering::Release);
        match result.cast_signed() {
            // SAFETY: the kernel has opened it for us alone.
            opened @ 0.. => Ok(unsafe { OwnedFd::from_raw_fd(opened) }),
            error => Err(Errno::from_raw_os_error(-error)),
        }
    }

    /// A word of the ring.
    fn word(&self, at: u32) -> &AtomicU32 {
        // SAFETY: the kernel says that there is an aligned word within the mapping, and changes it as a whole.
        unsafe { AtomicU32::from_ptr(self.shared.add(at as usize).cast()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by us, and nothing refers to it any more.
        let _ = unsafe { munmap(self.shared.cast(), self.size) };
        // SAFETY: as above.
        let _ = unsafe { munmap(self.calls.cast(), CALL) };
    }
}
