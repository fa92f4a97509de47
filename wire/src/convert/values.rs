//! Single values: presence, bounds, and the types shared by several messages.

use faultline_api::{ExperimentId, Fault, Kind};
use faultline_core::ledger::{Activation, Generation, RunKey};
use jiff::Timestamp;

use crate::{
    error::WireError,
    limits::{MAX_NAME_BYTES, MAX_NUMBER, MAX_REMARKS, MAX_TEXT_BYTES},
    message::Version,
    pb,
};

/// What must be there.
pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::Missing { field })
}

/// A text of 1 to [`MAX_NAME_BYTES`] bytes.
pub(super) fn name(field: &'static str, value: String) -> Result<String, WireError> {
    if value.is_empty() {
        return Err(WireError::Missing { field });
    }
    bounded(field, value.len(), MAX_NAME_BYTES).map(|()| value)
}

/// A text for people, which may be empty.
pub(super) fn text(field: &'static str, value: String) -> Result<String, WireError> {
    bounded(field, value.len(), MAX_TEXT_BYTES).map(|()| value)
}

/// A text for people on its way out: cut at a character where it is too long for the peer.
pub(super) fn cut(value: &str) -> String {
    value[..value.floor_char_boundary(MAX_TEXT_BYTES)].to_owned()
}

/// A few texts for people.
pub(super) fn remarks(field: &'static str, values: Vec<String>) -> Result<Vec<String>, WireError> {
    bounded(field, values.len(), MAX_REMARKS)?;
    values.into_iter().map(|value| text(field, value)).collect()
}

/// The same on their way out.
pub(super) fn remarks_out(remarks: &[String]) -> Vec<String> {
    remarks.iter().take(MAX_REMARKS).map(|remark| cut(remark)).collect()
}

/// A length within its bound.
pub(super) fn bounded(field: &'static str, length: usize, max: usize) -> Result<(), WireError> {
    if length <= max { Ok(()) } else { Err(WireError::TooLong { field, length, max }) }
}

/// A number that reconcilers count up, and stay above whatever agents say of it.
fn counted(field: &'static str, value: Option<u64>) -> Result<u64, WireError> {
    let value = required(field, value)?;
    if value <= MAX_NUMBER {
        return Ok(value);
    }
    Err(WireError::OutOfRange { field, value: value.to_string(), expected: "below 2^48" })
}

/// An instant; `None` stays `None`.
pub(super) fn instant(
    field: &'static str,
    value: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, WireError> {
    let Some(value) = value else { return Ok(None) };
    let refused = || WireError::OutOfRange {
        field,
        value: format!("{} s and {} ns", value.seconds, value.nanos),
        expected: "an instant of the years -9999 to 9999, with 0 to 999999999 ns",
    };
    if !(0..1_000_000_000).contains(&value.nanos) {
        return Err(refused());
    }
    Timestamp::new(value.seconds, value.nanos).map(Some).map_err(|_| refused())
}

/// The wire's instants count nanoseconds upwards from a floored second; jiff's take the sign of the second.
pub(super) fn instant_out(value: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (value.as_second(), value.subsec_nanosecond());
    if nanos < 0 {
        prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

pub(super) fn fault(field: &'static str, value: i32) -> Result<Fault, WireError> {
    match pb::Fault::try_from(value) {
        Ok(pb::Fault::Slab) => Ok(Fault::Slab),
        Ok(pb::Fault::Page) => Ok(Fault::Page),
        Ok(pb::Fault::Bio) => Ok(Fault::Bio),
        Ok(pb::Fault::Unspecified) => Err(WireError::Missing { field }),
        Err(_) => {
            Err(WireError::OutOfRange { field, value: value.to_string(), expected: "slab, page or bio" })
        }
    }
}

pub(super) fn fault_out(fault: Fault) -> pb::Fault {
    match fault {
        Fault::Slab => pb::Fault::Slab,
        Fault::Page => pb::Fault::Page,
        Fault::Bio => pb::Fault::Bio,
    }
}

pub(super) fn generation(
    field: &'static str,
    value: Option<pb::Generation>,
) -> Result<Generation, WireError> {
    let pb::Generation { epoch, counter } = required(field, value)?;
    Ok(Generation {
        epoch: counted("generation.epoch", epoch)?,
        counter: required("generation.counter", counter)?,
    })
}

impl From<Generation> for pb::Generation {
    fn from(Generation { epoch, counter }: Generation) -> Self {
        Self { epoch: Some(epoch), counter: Some(counter) }
    }
}

pub(super) fn version(value: Option<pb::Version>) -> Result<Version, WireError> {
    let pb::Version { major, minor } = required("version", value)?;
    Ok(Version { major: required("version.major", major)?, minor: required("version.minor", minor)? })
}

impl From<Version> for pb::Version {
    fn from(Version { major, minor }: Version) -> Self {
        Self { major: Some(major), minor: Some(minor) }
    }
}

impl TryFrom<pb::Run> for RunKey {
    type Error = WireError;
    fn try_from(value: pb::Run) -> Result<Self, WireError> {
        let pb::Run { kind, namespace, name: experiment, activation } = value;
        let kind = match pb::run::Kind::try_from(kind) {
            Ok(pb::run::Kind::KernelChaos) => Kind::KernelChaos,
            Ok(pb::run::Kind::Unspecified) => return Err(WireError::Missing { field: "run.kind" }),
            Err(_) => {
                let value = kind.to_string();
                return Err(WireError::OutOfRange { field: "run.kind", value, expected: "KernelChaos" });
            }
        };
        let id = ExperimentId {
            kind,
            namespace: name("run.namespace", namespace)?,
            name: name("run.name", experiment)?,
        };
        Ok(Self { experiment: id, activation: Activation(counted("run.activation", activation)?) })
    }
}

impl From<&RunKey> for pb::Run {
    fn from(RunKey { experiment, activation }: &RunKey) -> Self {
        let kind = match experiment.kind {
            Kind::KernelChaos => pb::run::Kind::KernelChaos,
        };
        Self {
            kind: kind.into(),
            namespace: experiment.namespace.clone(),
            name: experiment.name.clone(),
            activation: Some(activation.0),
        }
    }
}
