//! The lab: real Linux kernels in QEMU.
#![forbid(unsafe_code)]
