//! The agent's side: dials the reconciler and holds one session.

mod backoff;
mod connector;
mod session;

pub use backoff::Backoff;
pub use connector::ConnectTo;
pub use session::{ConnectError, Received, Session, SessionEnded, connect};
