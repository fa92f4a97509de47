//! The host with its guests: shipped ones and hostile ones.

mod cases;
mod determinism;
mod fixtures;
mod hostile;
mod wat_guest;
