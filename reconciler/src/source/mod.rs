//! Sources: where documents come from. A fetch never blocks on a watch and never trusts one: a watch wakes the
//! loop, the digest decides.

mod beneath;
mod directory;
mod limits;
mod revision;
mod snapshot;
mod walk;
pub mod watch;

pub use directory::Directory;
pub use limits::Limits;
pub use snapshot::FetchError;
