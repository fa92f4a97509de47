//! From a review to Kubernetes' `AdmissionRequest`, as far as there is one: who asks, what was there before, and the
//! options of the request are not known, and none is made up.

use faultline_core::review::{Operation, Review};
use serde::Serialize;
use serde_json::Value;

/// `AdmissionRequest` of `admission.k8s.io/v1`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionRequest<'a> {
    /// Names a request among others; here, equal questions are one question.
    uid: &'static str,
    kind: GroupVersionKind<'a>,
    resource: GroupVersionResource<'a>,
    request_kind: GroupVersionKind<'a>,
    request_resource: GroupVersionResource<'a>,
    name: &'a str,
    namespace: &'a str,
    operation: &'static str,
    user_info: UserInfo,
    object: &'a Value,
    /// A plan and a run ask the same, and get the same answer.
    dry_run: bool,
}

#[derive(Clone, Copy, Serialize)]
struct GroupVersionKind<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
}

#[derive(Clone, Copy, Serialize)]
struct GroupVersionResource<'a> {
    group: &'a str,
    version: &'a str,
    resource: &'static str,
}

/// Nobody in particular: a commit has an author, who is no user of a cluster.
#[derive(Serialize)]
struct UserInfo {}

/// The payload of `validate`.
pub(super) fn validation(settings: &str, review: &Review) -> Vec<u8> {
    let Review { experiment, raw, operation, source: _, admission: _ } = review;
    let text = |field: &str| raw.get(field).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
    let kind = GroupVersionKind { group, version, kind: text("kind") };
    // The plural of Chaos Mesh's resource definition.
    let resource = GroupVersionResource { group, version, resource: "kernelchaos" };
    let request = AdmissionRequest {
        uid: "",
        kind,
        resource,
        request_kind: kind,
        request_resource: resource,
        name: &experiment.id.name,
        namespace: &experiment.id.namespace,
        operation: match operation {
            Operation::Create => "CREATE",
            Operation::Update | Operation::Renew => "UPDATE",
        },
        user_info: UserInfo {},
        object: raw,
        dry_run: false,
    };
    // Maps with text for keys and numbers that are finite: there is nothing in it that JSON cannot hold.
    let request = serde_json::to_string(&request).unwrap_or_default();
    format!(r#"{{"request":{request},"settings":{settings}}}"#).into_bytes()
}
