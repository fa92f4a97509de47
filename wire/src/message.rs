//! What the two sides say to each other, decoded.

use std::{fmt, time::Duration};

use faultline_core::{
    desired::DesiredSet,
    ledger::Generation,
    rehearsal::{Chain, Rehearsal},
    report::{NodeReport, ProbeState},
};
use jiff::Timestamp;

/// Version of the protocol. Peers of one major understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Differs: refused.
    pub major: u32,
    /// Newer: what is unknown is ignored.
    pub minor: u32,
}

impl Version {
    /// The one that this build speaks. Peers of 1 know no predicates, and would ignore them.
    pub const OURS: Self = Self { major: 2, minor: 0 };

    /// Whether `self` can talk to `peer`.
    #[must_use]
    pub const fn understands(self, peer: Self) -> bool {
        self.major == peer.major
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// First message of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What it speaks.
    pub version: Version,
    /// What the node holds and remembers.
    pub report: NodeReport,
}

/// First message of the reconciler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What it speaks.
    pub version: Version,
    /// How long a renewal lasts.
    pub lease_ttl: Duration,
    /// Names the session in logs.
    pub session: u64,
}

/// The whole desired state of the node, with the digest of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Generation and probes.
    pub set: DesiredSet,
    /// `sha256:<hex>` of the probes, as the ledger has it. Agents compare it and do not work it out.
    pub content: String,
}

/// A heartbeat without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renew {
    /// Only an agent at this generation takes the renewal.
    pub generation: Generation,
    /// Rises within a session.
    pub seq: u64,
}

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentMessage {
    /// First message.
    Hello(Hello),
    /// A desired set was accepted.
    Ack(Ack),
    /// A desired set was refused.
    Nack(Nack),
    /// The effective state.
    Report(NodeReport),
    /// A renewal arrived and nothing changed since the last report.
    RenewAck(RenewAck),
    /// What would come of what was asked about.
    Rehearsals(Rehearsals),
}

/// What a reconciler says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconcilerMessage {
    /// First message.
    Welcome(Welcome),
    /// The desired set.
    Desired(Desired),
    /// Extends the lease.
    Renew(Renew),
    /// Asks for a report now.
    ReportRequest,
    /// Asks what would come of experiments.
    Rehearse(Rehearse),
}

/// Asks what would come of experiments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearse {
    /// Names the question within the session.
    pub seq: u64,
    /// At most [`MAX_CHAINS`](crate::limits::MAX_CHAINS).
    pub chains: Vec<Chain>,
}

/// What would come of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsals {
    /// Of the question.
    pub seq: u64,
    /// One for each chain, in its order.
    pub rehearsals: Vec<Rehearsal>,
}

/// A desired set was accepted and tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which.
    pub generation: Generation,
    /// How each probe of it fared, in the same order.
    pub probes: Vec<ProbeAck>,
}

/// How a probe of a desired set fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAck {
    /// Name of the probe.
    pub id: String,
    /// Attached, over, or failed with the error.
    pub state: ProbeState,
    /// First time it was attached.
    pub attached_at: Option<Timestamp>,
}

/// A desired set was refused and changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// Which, where that could be read.
    pub generation: Option<Generation>,
    /// Why.
    pub reason: NackReason,
    /// In words.
    pub detail: String,
    /// What the node holds instead.
    pub accepted: Generation,
}

/// Why a desired set is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NackReason {
    /// A newer one was accepted before.
    Older,
    /// The same generation was accepted with other content.
    OtherContent,
    /// It could not be read.
    Malformed,
}

impl NackReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Older, Self::OtherContent, Self::Malformed];

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Older => "older",
            Self::OtherContent => "other_content",
            Self::Malformed => "malformed",
        }
    }
}

/// Answer to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewAck {
    /// What the node is at: where it differs from the renewal's, the lease was not extended.
    pub generation: Generation,
    /// Of the renewal.
    pub seq: u64,
}
