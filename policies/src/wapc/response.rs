//! From what a policy answers to what the rest of Faultline may rely on.

use faultline_core::review::{Finding, Response, Review, Undecided};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{finding, mutation};
use crate::answer::{check_count, problems, shortened};

/// The one version of Kubewarden's protocol.
const PROTOCOL: &str = "v1";

/// `ValidationResponse`.
#[derive(Deserialize)]
struct Validation {
    accepted: bool,
    message: Option<String>,
    #[serde(rename = "code")]
    _code: Option<u16>,
    mutated_object: Option<Value>,
    #[serde(rename = "audit_annotations")]
    _audit_annotations: Option<std::collections::BTreeMap<String, String>>,
    warnings: Option<Vec<String>>,
}

/// `SettingsValidationResponse`.
#[derive(Deserialize)]
struct Settings {
    valid: bool,
    message: Option<String>,
}

/// Checks the answer to `protocol_version`.
///
/// # Errors
/// It is no version, or not ours.
pub(super) fn protocol_version(said: &[u8]) -> Result<(), Undecided> {
    let version: String = serde_json::from_slice(said).map_err(|error| bad(&error))?;
    if version == PROTOCOL {
        return Ok(());
    }
    let version = shortened(version);
    let why = format!("it speaks version {version:?} of Kubewarden's protocol, and this host {PROTOCOL}");
    Err(Undecided::RefusedModule(why))
}

/// Checks the answer to `validate_settings`.
///
/// # Errors
/// The settings are not valid, or the answer is none.
pub(super) fn settings(said: &[u8]) -> Result<(), Undecided> {
    let Settings { valid, message } = object(said)?;
    if valid { Ok(()) } else { Err(problems(filled(message).into_iter().collect())) }
}

/// Checks the answer to `validate` about `review`.
///
/// # Errors
/// It is none, or it changes the document into anything but less.
pub(super) fn validation(said: &[u8], review: &Review) -> Result<Response, Undecided> {
    let Validation { accepted, message, _code: _, mutated_object, _audit_annotations: _, warnings } =
        object(said)?;
    let message = filled(message);
    let warnings = warnings.unwrap_or_default();
    check_count("warnings", warnings.len())?;
    let warnings = warnings.into_iter().filter_map(|text| Some(finding(".", filled(Some(text))?))).collect();
    if !accepted {
        let message = message.unwrap_or_else(|| "the module gives no reason".to_owned());
        return Ok(Response { denials: vec![finding(".", message)], warnings, ..Response::default() });
    }
    let tightenings = match mutated_object {
        Some(mutated) => mutation::tightenings(review, &mutated, message.as_deref())?,
        None => Vec::new(),
    };
    Ok(Response { denials: Vec::<Finding>::new(), tightenings, warnings })
}

/// An object: what serde reads structures from may also be a list, and no policy answers with one.
fn object<T: DeserializeOwned>(said: &[u8]) -> Result<T, Undecided> {
    if said.trim_ascii_start().first() != Some(&b'{') {
        return Err(Undecided::BadAnswer("no JSON object".to_owned()));
    }
    serde_json::from_slice(said).map_err(|error| bad(&error))
}

/// A text that can be shown, where there is one.
fn filled(text: Option<String>) -> Option<String> {
    text.map(shortened).filter(|text| !text.trim().is_empty())
}

fn bad(error: &serde_json::Error) -> Undecided {
    // Errors repeat what was read.
    Undecided::BadAnswer(shortened(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wapc::mutation::tests::review;

    fn asked(said: &str) -> Result<Response, Undecided> {
        validation(said.as_bytes(), &review(""))
    }

    #[test]
    fn what_is_not_accepted_is_denied() {
        let found = |said| {
            let Response { denials, tightenings, warnings } = asked(said).unwrap();
            assert!(tightenings.is_empty());
            let messages = |found: Vec<Finding>| found.into_iter().map(|one| one.message).collect::<Vec<_>>();
            (messages(denials), messages(warnings))
        };
        let none = Vec::<String>::new;
        assert_eq!(found(r#" {"accepted":true,"message":"fine"}"#), (none(), none()));
        let full = r#"{"accepted":false,"message":"no\n\u001b[2J","code":403,"mutated_object":7,
            "audit_annotations":{"a":"b"},"warnings":["careful"," "],"more":1}"#;
        assert_eq!(found(full), (vec!["no  [2J".to_owned()], vec!["careful".to_owned()]));
        let nulls = r#"{"accepted":false,"message":null,"code":null,"mutated_object":null,
            "audit_annotations":null,"warnings":null}"#;
        assert_eq!(found(nulls).0, ["the module gives no reason"]);
    }

    #[test]
    fn whatever_is_not_an_answer_allows_nothing() {
        let many = format!(r#"{{"accepted":true,"warnings":[{}""]}}"#, r#""","#.repeat(100));
        for said in [
            "",
            "accepted",
            "null",
            "true",
            "[true,null,null,null,null,null]",
            "{}",
            r#"{"accepted":null}"#,
            r#"{"accepted":"true"}"#,
            r#"{"accepted":1}"#,
            r#"{"Accepted":true}"#,
            r#"{"accepted":true"#,
            r#"{"accepted":true}}"#,
            r#"{"accepted":false,"accepted":true}"#,
            r#"{"accepted":true,"message":7}"#,
            r#"{"accepted":true,"code":-1}"#,
            r#"{"accepted":true,"warnings":"careful"}"#,
            r#"{"accepted":true,"audit_annotations":{"a":1}}"#,
            &many,
        ] {
            assert!(matches!(asked(said), Err(Undecided::BadAnswer(_))), "{said}");
        }
        assert!(matches!(
            validation(b"{\"accepted\":true,\"message\":\"\xff\"}", &review("")),
            Err(Undecided::BadAnswer(_))
        ));
        let deep =
            format!(r#"{{"accepted":true,"mutated_object":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert!(matches!(asked(&deep), Err(Undecided::BadAnswer(_))));
    }

    #[test]
    fn settings_are_valid_where_the_policy_says_so() {
        assert_eq!(settings(br#"{"valid":true,"message":"unused"}"#), Ok(()));
        let problems = |text: &str| Err(Undecided::InvalidSettings(vec![text.into()]));
        assert_eq!(settings(br#"{"valid":false,"message":"no caps"}"#), problems("no caps"));
        assert_eq!(settings(br#"{"valid":false}"#), problems("the module gives no reason"));
        for said in [&b"{}"[..], b"true", b"[true,null]", br#"{"valid":"yes"}"#, b""] {
            assert!(matches!(settings(said), Err(Undecided::BadAnswer(_))), "{said:?}");
        }
    }

    #[test]
    fn one_version_of_the_protocol_is_spoken() {
        assert_eq!(protocol_version(br#""v1""#), Ok(()));
        for said in [r#""v2""#, r#""Unknown""#, r#""""#, r#""V1""#] {
            let why = protocol_version(said.as_bytes()).unwrap_err();
            assert!(matches!(&why, Undecided::RefusedModule(text) if text.contains(said)), "{why:?}");
        }
        for said in ["v1", "1", "", r#"["v1"]"#] {
            assert!(matches!(protocol_version(said.as_bytes()), Err(Undecided::BadAnswer(_))), "{said}");
        }
    }
}
