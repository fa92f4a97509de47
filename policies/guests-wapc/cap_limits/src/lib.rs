//! Caps on probability, times and duration as a Kubewarden policy: what exceeds them is lowered in the object.
//!
//! Settings: `probability.max` (0 to 100), `times.max` (1 or more), `duration.max` (a Go duration), each optional.

use kubewarden_policy_sdk::{
    accept_request, mutate_request, protocol_version_guest,
    request::ValidationRequest,
    settings::Validatable,
    validate_settings,
    wapc_guest::{CallResult, register_function},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Durations as documents have them.
#[allow(dead_code, clippy::all, missing_docs, reason = "the API's file")]
#[path = "../../../../api/src/duration.rs"]
mod duration;

use duration::GoDuration;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    probability: Option<Cap<u8>>,
    times: Option<Cap<u64>>,
    duration: Option<Cap<GoDuration>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cap<T> {
    max: T,
}

impl Validatable for Settings {
    fn validate(&self) -> Result<(), String> {
        let Self { probability, times, duration } = self;
        if probability.is_none() && times.is_none() && duration.is_none() {
            return Err("at least one of probability, times and duration is needed".to_owned());
        }
        if probability.as_ref().is_some_and(|cap| cap.max > 100) {
            return Err("probability.max is more than 100".to_owned());
        }
        if times.as_ref().is_some_and(|cap| cap.max == 0) {
            return Err("times.max of 0 would allow none".to_owned());
        }
        if duration.as_ref().is_some_and(|cap| cap.max == GoDuration::default()) {
            return Err("duration.max of 0 would allow none".to_owned());
        }
        Ok(())
    }
}

/// Called by the host before anything else.
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    register_function("validate", validate);
    register_function("validate_settings", validate_settings::<Settings>);
    register_function("protocol_version", protocol_version_guest);
}

fn validate(payload: &[u8]) -> CallResult {
    let ValidationRequest { settings, request } = ValidationRequest::<Settings>::new(payload)?;
    let mut object = request.object;
    let spec = object.get_mut("spec").and_then(Value::as_object_mut).ok_or("the object has no spec")?;
    if capped(spec, settings)? { mutate_request(object) } else { accept_request() }
}

/// Lowers what exceeds a cap; whether there was anything.
fn capped(spec: &mut Map<String, Value>, settings: Settings) -> Result<bool, &'static str> {
    let Settings { probability, times, duration } = settings;
    let mut lowered = false;
    if let Some(Cap { max }) = duration {
        let written = spec.get("duration").and_then(Value::as_str);
        let written = written.and_then(|text| text.parse::<GoDuration>().ok());
        if written.is_none_or(|written| written > max) {
            spec.insert("duration".to_owned(), max.to_string().into());
            lowered = true;
        }
    }
    let request = spec.get_mut("failKernRequest").and_then(Value::as_object_mut);
    let request = request.ok_or("the object has no failKernRequest")?;
    // Left out, a probability is 100, and times are unlimited, as they are at 0.
    for (field, max, unlimited) in [
        ("probability", probability.map(|cap| u64::from(cap.max)), false),
        ("times", times.map(|cap| cap.max), true),
    ] {
        let Some(max) = max else { continue };
        let written = request.get(field).and_then(Value::as_u64).filter(|written| !unlimited || *written > 0);
        if written.is_none_or(|written| written > max) && (unlimited || max < 100) {
            request.insert(field.to_owned(), max.into());
            lowered = true;
        }
    }
    Ok(lowered)
}
