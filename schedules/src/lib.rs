//! When: how long a run lasts and when it is over. Pure: instants come in and go out, no clock is read.
#![forbid(unsafe_code)]

mod lifetime;

pub use lifetime::{Lifetime, Origin};
