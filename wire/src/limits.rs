//! Bounds on what is read from a peer, each checked before the value is used.

use std::time::Duration;

/// Most bytes of one message, checked by the decoder before it parses. A full set of [`MAX_PROBES`] with ids of a
/// usual length is about a quarter of it.
pub const MAX_MESSAGE_BYTES: usize = 8 << 20;

/// Most probes that a node is told to hold, or remembers: more than a kernel attaches, and few enough to report.
pub const MAX_PROBES: usize = 4096;

/// Highest epoch and highest activation: beyond every series of restarts and reruns, and twice what an agent is
/// believed, so that the fleet still understands what follows that.
pub const MAX_NUMBER: u64 = 2 * faultline_core::ledger::CREDIBLE - 1;

/// Most frames of a call chain. Engines allow fewer; this only keeps a message from being all frames.
pub const MAX_FRAMES: usize = 64;

/// Most that a node tells of as sharing a function with a probe: a trampoline holds 38 programs.
pub const MAX_OTHERS: usize = 64;
/// Most experiments that are rehearsed at a time: attaching takes the kernel a moment for each function, and leases wait.
pub const MAX_CHAINS: usize = 16;

/// Most obstacles and caveats of a kernel each: more than there are kinds of either.
pub const MAX_REMARKS: usize = 64;

/// Most bytes of a name, an id or a path: four of Kubernetes' longest names (253) and what is between them.
pub const MAX_NAME_BYTES: usize = 1100;

/// Most bytes of a text for people. Longer ones are cut by their sender.
pub const MAX_TEXT_BYTES: usize = 4096;

/// A lease below this would lapse from scheduling alone.
pub const MIN_LEASE_TTL: Duration = Duration::from_millis(500);

/// A lease above this is no dead-man's switch any more.
pub const MAX_LEASE_TTL: Duration = Duration::from_secs(600);

/// How long a peer has for its TLS handshake, then for the first bytes of HTTP/2, and then for its first message.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes at a time; more wait in the listener's backlog.
pub const MAX_HANDSHAKES: usize = 256;

/// Messages that may wait in each direction of a session before the sender is held back.
pub const QUEUE: usize = 16;
