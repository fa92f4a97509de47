//! What the lab's host side and its init inside the guest share: frames, and a link that carries
//! the streams of several processes over one byte pipe.
//!
//! The crate is apart from the lab so that init, which every boot unpacks, depends on next to nothing.
#![forbid(unsafe_code)]

pub mod frame;
pub mod link;

/// Name of the virtio-serial port that carries the link.
pub const PORT_NAME: &str = "faultline.control";

/// Folder in the guest that belongs to the lab: kernel modules to load, and the list of shares.
pub const LAB_DIR: &str = "/lab";
