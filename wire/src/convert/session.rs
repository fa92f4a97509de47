//! The messages of a session.

use std::time::Duration;

use faultline_core::report::ProbeState;

use super::values::{bounded, cut, generation, instant, instant_out, name, required, text, version};
use crate::{
    error::WireError,
    limits::{MAX_LEASE_TTL, MAX_PROBES, MIN_LEASE_TTL},
    message::{
        Ack, AgentMessage, Hello, Nack, NackReason, ProbeAck, ReconcilerMessage, Renew, RenewAck, Welcome,
    },
    pb,
};

impl TryFrom<pb::agent_message::Body> for AgentMessage {
    type Error = WireError;
    fn try_from(value: pb::agent_message::Body) -> Result<Self, WireError> {
        use pb::agent_message::Body;
        Ok(match value {
            Body::Hello(hello) => Self::Hello(hello.try_into()?),
            Body::Ack(ack) => Self::Ack(ack.try_into()?),
            Body::Nack(nack) => Self::Nack(nack.try_into()?),
            Body::Report(report) => Self::Report(report.try_into()?),
            Body::Rehearsals(rehearsals) => Self::Rehearsals(rehearsals.try_into()?),
            Body::RenewAck(pb::RenewAck { generation: at, seq }) => Self::RenewAck(RenewAck {
                generation: generation("renew_ack.generation", at)?,
                seq: required("renew_ack.seq", seq)?,
            }),
        })
    }
}

impl From<&AgentMessage> for pb::agent_message::Body {
    fn from(message: &AgentMessage) -> Self {
        match message {
            AgentMessage::Hello(Hello { version, report }) => {
                Self::Hello(pb::Hello { version: Some((*version).into()), report: Some(report.into()) })
            }
            AgentMessage::Ack(ack) => Self::Ack(ack.into()),
            AgentMessage::Nack(nack) => Self::Nack(nack.into()),
            AgentMessage::Report(report) => Self::Report(report.into()),
            AgentMessage::Rehearsals(rehearsals) => Self::Rehearsals(rehearsals.into()),
            AgentMessage::RenewAck(RenewAck { generation, seq }) => {
                Self::RenewAck(pb::RenewAck { generation: Some((*generation).into()), seq: Some(*seq) })
            }
        }
    }
}

impl From<&ReconcilerMessage> for pb::reconciler_message::Body {
    fn from(message: &ReconcilerMessage) -> Self {
        match message {
            ReconcilerMessage::Welcome(Welcome { version, lease_ttl, session }) => {
                Self::Welcome(pb::Welcome {
                    version: Some((*version).into()),
                    lease_ttl_ms: Some(u64::try_from(lease_ttl.as_millis()).unwrap_or(u64::MAX)),
                    session: Some(*session),
                })
            }
            ReconcilerMessage::Desired(desired) => Self::Desired(desired.into()),
            ReconcilerMessage::Renew(Renew { generation, seq }) => {
                Self::Renew(pb::Renew { generation: Some((*generation).into()), seq: Some(*seq) })
            }
            ReconcilerMessage::ReportRequest => Self::ReportRequest(pb::ReportRequest {}),
            ReconcilerMessage::Rehearse(rehearse) => Self::Rehearse(rehearse.into()),
        }
    }
}

impl TryFrom<pb::Hello> for Hello {
    type Error = WireError;
    fn try_from(pb::Hello { version: speaks, report }: pb::Hello) -> Result<Self, WireError> {
        Ok(Self { version: version(speaks)?, report: required("hello.report", report)?.try_into()? })
    }
}

impl TryFrom<pb::Welcome> for Welcome {
    type Error = WireError;
    fn try_from(value: pb::Welcome) -> Result<Self, WireError> {
        let pb::Welcome { version: speaks, lease_ttl_ms, session } = value;
        let lease_ttl = Duration::from_millis(required("welcome.lease_ttl_ms", lease_ttl_ms)?);
        if !(MIN_LEASE_TTL..=MAX_LEASE_TTL).contains(&lease_ttl) {
            let (field, value) = ("welcome.lease_ttl_ms", lease_ttl.as_millis().to_string());
            return Err(WireError::OutOfRange { field, value, expected: "500 ms to 10 minutes" });
        }
        Ok(Self { version: version(speaks)?, lease_ttl, session: required("welcome.session", session)? })
    }
}

impl TryFrom<pb::Renew> for Renew {
    type Error = WireError;
    fn try_from(pb::Renew { generation: at, seq }: pb::Renew) -> Result<Self, WireError> {
        Ok(Self { generation: generation("renew.generation", at)?, seq: required("renew.seq", seq)? })
    }
}

impl TryFrom<pb::Ack> for Ack {
    type Error = WireError;
    fn try_from(pb::Ack { generation: of, probes }: pb::Ack) -> Result<Self, WireError> {
        bounded("ack.probes", probes.len(), MAX_PROBES)?;
        Ok(Self {
            generation: generation("ack.generation", of)?,
            probes: probes.into_iter().map(ProbeAck::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Ack> for pb::Ack {
    fn from(Ack { generation, probes }: &Ack) -> Self {
        let probes = probes.iter().map(|ProbeAck { id, state, attached_at }| pb::ProbeAck {
            id: id.clone(),
            state: Some(state.into()),
            attached_at: attached_at.map(instant_out),
        });
        Self { generation: Some((*generation).into()), probes: probes.collect() }
    }
}

impl TryFrom<pb::ProbeAck> for ProbeAck {
    type Error = WireError;
    fn try_from(pb::ProbeAck { id, state, attached_at }: pb::ProbeAck) -> Result<Self, WireError> {
        Ok(Self {
            id: name("ack.probes.id", id)?,
            state: ProbeState::try_from(required("ack.probes.state", state)?)?,
            attached_at: instant("ack.probes.attached_at", attached_at)?,
        })
    }
}

impl TryFrom<pb::Nack> for Nack {
    type Error = WireError;
    fn try_from(value: pb::Nack) -> Result<Self, WireError> {
        use pb::nack::Refusal;
        let pb::Nack { generation: of, reason, detail, accepted } = value;
        let reason = match Refusal::try_from(reason) {
            Ok(Refusal::Older) => NackReason::Older,
            Ok(Refusal::OtherContent) => NackReason::OtherContent,
            Ok(Refusal::Malformed) => NackReason::Malformed,
            Ok(Refusal::Unspecified) => return Err(WireError::Missing { field: "nack.reason" }),
            Err(_) => {
                let (field, value) = ("nack.reason", reason.to_string());
                return Err(WireError::OutOfRange { field, value, expected: "a reason of this version" });
            }
        };
        Ok(Self {
            generation: of.map(|of| generation("nack.generation", Some(of))).transpose()?,
            reason,
            detail: text("nack.detail", detail)?,
            accepted: generation("nack.accepted", accepted)?,
        })
    }
}

impl From<&Nack> for pb::Nack {
    fn from(Nack { generation, reason, detail, accepted }: &Nack) -> Self {
        use pb::nack::Refusal;
        let reason = match reason {
            NackReason::Older => Refusal::Older,
            NackReason::OtherContent => Refusal::OtherContent,
            NackReason::Malformed => Refusal::Malformed,
        };
        Self {
            generation: generation.map(Into::into),
            reason: reason.into(),
            detail: cut(detail),
            accepted: Some((*accepted).into()),
        }
    }
}
