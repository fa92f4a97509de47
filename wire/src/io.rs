//! Connections of all kinds as one.

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream on which HTTP/2 can be spoken.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
