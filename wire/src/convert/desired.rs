//! The desired set.

use faultline_api::{CallChain, Frame, GoDuration, Percent, Predicate, predicate::MAX_BYTES};
use faultline_core::desired::{DesiredSet, Probe, Target};

use super::values::{bounded, fault, fault_out, generation, instant, instant_out, name, required};
use crate::{
    error::{MalformedDesired, WireError},
    limits::{MAX_FRAMES, MAX_PROBES},
    message::Desired,
    pb,
};

impl TryFrom<pb::Desired> for Desired {
    type Error = MalformedDesired;
    fn try_from(value: pb::Desired) -> Result<Self, MalformedDesired> {
        let pb::Desired { generation: fence, content, probes } = value;
        let fence = generation("desired.generation", fence)
            .map_err(|error| MalformedDesired { generation: None, error })?;
        let decode = || {
            bounded("desired.probes", probes.len(), MAX_PROBES)?;
            let probes = probes.into_iter().map(Probe::try_from).collect::<Result<Vec<_>, _>>()?;
            if let Some(pair) = probes.windows(2).find(|pair| pair[0].id >= pair[1].id) {
                let at = pair[1].id.clone();
                return Err(WireError::NotAscending { field: "desired.probes", at });
            }
            Ok(Self { set: DesiredSet { generation: fence, probes }, content: digest(content)? })
        };
        decode().map_err(|error| MalformedDesired { generation: Some(fence), error })
    }
}

/// `sha256:` and 64 hexadecimal digits.
fn digest(content: String) -> Result<String, WireError> {
    let field = "desired.content";
    if content.is_empty() {
        return Err(WireError::Missing { field });
    }
    let hex = content.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(content);
    }
    let value = format!("{content:.80?}");
    Err(WireError::OutOfRange { field, value, expected: "sha256: and 64 hexadecimal digits" })
}

impl From<&Desired> for pb::Desired {
    fn from(Desired { set: DesiredSet { generation, probes }, content }: &Desired) -> Self {
        Self {
            generation: Some((*generation).into()),
            content: content.clone(),
            probes: probes.iter().map(pb::Probe::from).collect(),
        }
    }
}

impl TryFrom<pb::Probe> for Probe {
    type Error = WireError;
    fn try_from(value: pb::Probe) -> Result<Self, WireError> {
        let pb::Probe {
            id,
            run,
            slot,
            target,
            fault: what,
            call_chain,
            probability,
            times,
            spent_elsewhere,
            duration_ns,
            ends,
            target_predicate,
        } = value;
        bounded("probe.call_chain", call_chain.len(), MAX_FRAMES)?;
        Ok(Self {
            id: name("probe.id", id)?,
            run: required("probe.run", run)?.try_into()?,
            slot: required("probe.slot", slot)?,
            target: required("probe.target", target)?.try_into()?,
            fault: fault("probe.fault", what)?,
            call_chain: CallChain {
                frames: call_chain.into_iter().map(frame).collect::<Result<_, _>>()?,
                target: target_predicate.map(predicate).transpose()?,
            },
            probability: percent(required("probe.probability", probability)?)?,
            times: times.map(at_least_one).transpose()?,
            spent_elsewhere: required("probe.spent_elsewhere", spent_elsewhere)?,
            duration: duration_ns.map(duration).transpose()?,
            ends: instant("probe.ends", ends)?,
        })
    }
}

pub(super) fn frame(value: pb::Frame) -> Result<Frame, WireError> {
    let pb::Frame { function, predicate: what } = value;
    Ok(Frame { function: name("frame.function", function)?, predicate: what.map(predicate).transpose()? })
}

pub(super) fn predicate(value: pb::Predicate) -> Result<Predicate, WireError> {
    let pb::Predicate { text, parameters } = value;
    let parameters = parameters.map(|declared| expression("predicate.parameters", declared)).transpose()?;
    Ok(Predicate { text: expression("predicate.text", text)?, parameters })
}

/// A text of 1 to [`MAX_BYTES`] bytes.
fn expression(field: &'static str, value: String) -> Result<String, WireError> {
    if value.is_empty() {
        return Err(WireError::Missing { field });
    }
    bounded(field, value.len(), MAX_BYTES).map(|()| value)
}

pub(super) fn predicate_out(Predicate { text, parameters }: &Predicate) -> pb::Predicate {
    pb::Predicate { text: text.clone(), parameters: parameters.clone() }
}

pub(super) fn frame_out(Frame { function, predicate }: &Frame) -> pb::Frame {
    pb::Frame { function: function.clone(), predicate: predicate.as_ref().map(predicate_out) }
}

fn percent(value: u32) -> Result<Percent, WireError> {
    u8::try_from(value).ok().and_then(Percent::new).ok_or_else(|| WireError::OutOfRange {
        field: "probe.probability",
        value: value.to_string(),
        expected: "0 to 100",
    })
}

/// Zero would mean unlimited in a document; here unlimited is absent, so a zero is a mistake of the sender.
fn at_least_one(times: u64) -> Result<u64, WireError> {
    if times > 0 {
        return Ok(times);
    }
    Err(WireError::OutOfRange { field: "probe.times", value: "0".into(), expected: "1 or more, or nothing" })
}

fn duration(nanos: u64) -> Result<GoDuration, WireError> {
    if nanos <= GoDuration::MAX.as_nanos() {
        return Ok(GoDuration::from_nanos(nanos));
    }
    let value = nanos.to_string();
    Err(WireError::OutOfRange { field: "probe.duration_ns", value, expected: "at most 2^63-1" })
}

impl From<&Probe> for pb::Probe {
    fn from(probe: &Probe) -> Self {
        let Probe {
            id,
            run,
            slot,
            target,
            fault,
            call_chain: CallChain { frames, target: target_predicate },
            probability,
            times,
            spent_elsewhere,
            duration,
            ends,
        } = probe;
        Self {
            id: id.clone(),
            run: Some(run.into()),
            slot: Some(*slot),
            target: Some(target.into()),
            fault: fault_out(*fault).into(),
            call_chain: frames.iter().map(frame_out).collect(),
            probability: Some(probability.get().into()),
            times: *times,
            spent_elsewhere: Some(*spent_elsewhere),
            duration_ns: duration.map(GoDuration::as_nanos),
            ends: ends.map(instant_out),
            target_predicate: target_predicate.as_ref().map(predicate_out),
        }
    }
}

impl TryFrom<pb::Target> for Target {
    type Error = WireError;
    fn try_from(value: pb::Target) -> Result<Self, WireError> {
        let pb::Target { namespace, pod, uid, container, container_id, cgroup } = value;
        Ok(Self {
            namespace: name("target.namespace", namespace)?,
            pod: name("target.pod", pod)?,
            uid: name("target.uid", uid)?,
            container: name("target.container", container)?,
            container_id: container_id.map(|id| name("target.container_id", id)).transpose()?,
            cgroup: cgroup.map(|path| name("target.cgroup", path)).transpose()?,
        })
    }
}

impl From<&Target> for pb::Target {
    fn from(Target { namespace, pod, uid, container, container_id, cgroup }: &Target) -> Self {
        Self {
            namespace: namespace.clone(),
            pod: pod.clone(),
            uid: uid.clone(),
            container: container.clone(),
            container_id: container_id.clone(),
            cgroup: cgroup.clone(),
        }
    }
}
