//! Modules of guardrails from a real registry: by the commands that judge at once, and by a reconciler that waits.

use std::{fs, net::SocketAddr, path::Path, process::Output};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, Uri},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use faultline_core::digest::sha256;
use rustix::process::Signal;

use super::{
    agent::{FakeAgent, fresh},
    eventually, has, probes, pump,
    registry::{KUBEWARDEN, PASSWORD, USER, a_registry},
    stage::{Stage, experiment},
};

const CAPS: &[u8] = include_bytes!("../../../policies/modules/cap_limits.wasm");

/// A guardrail that caps the probability at 5.
fn caps(reference: &str) -> String {
    format!(
        "apiVersion: faultline.dev/v1alpha1\nkind: Guardrail\nmetadata: {{ name: caps }}\nspec:\n  module: {{ oci: \
         \"{reference}\" }}\n  settings: {{ probability: {{ max: 5 }} }}\n"
    )
}

/// A stage with one experiment, which the guardrail concerns.
fn a_stage() -> Stage {
    let stage = Stage::empty();
    stage.write("experiments/web.yaml", &experiment("web", "", ""));
    stage
}

/// Exit code and text of a plan under a guardrail with this module; `cache` is the user's.
fn plan(stage: &Stage, reference: &str, cache: &str, more: &[&str]) -> (Option<i32>, String) {
    stage.write("platform/caps.yaml", &caps(reference));
    let mut plan = stage.faultline("plan");
    plan.arg(format!("--source=experiments={}", stage.path("experiments").display()))
        .arg(format!("--platform=platform={}", stage.path("platform").display()))
        .arg(format!("--inventory={}", stage.path("inventory.yaml").display()))
        .args(more)
        .env("XDG_CACHE_HOME", stage.path(cache))
        .env("SSL_CERT_FILE", authorities(stage));
    said(&plan.output().unwrap())
}

/// The certificates that are trusted: the stage's own, once it has some.
fn authorities(stage: &Stage) -> std::path::PathBuf {
    let own = stage.path("certs/ca.crt");
    if own.exists() { own } else { Path::new("/etc/ssl/certs/ca-certificates.crt").to_owned() }
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&*output.stdout, &*output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// The plan tightens as the module says.
#[track_caller]
fn judges((code, text): (Option<i32>, String)) {
    assert!(code == Some(0) && text.contains("probability 5 % (asked for 100 %, tightened)"), "{text}");
    assert!(text.contains("guardrail   caps: mutate"), "{text}");
}

/// The plan begins nothing, and says why.
#[track_caller]
fn holds_back((code, text): (Option<i32>, String), why: &str) {
    assert!(code == Some(2) && !text.contains("+ begin"), "{code:?}: {text}");
    assert!(text.contains(why), "{why}: {text}");
}

#[tokio::test]
async fn a_module_is_fetched_by_its_digest_and_judges_though_the_registry_is_gone_since() {
    let Some(mut registry) = a_registry() else { return };
    registry.start();
    let stage = a_stage();
    let kubewardens = registry.push("team/caps", CAPS, KUBEWARDEN).await;
    let artifact = registry.push("team/caps", CAPS, "application/wasm").await;
    assert_ne!(kubewardens, artifact);
    judges(plan(&stage, &kubewardens.replace('@', ":moved@"), "cache", &[]));
    judges(plan(&stage, &artifact, "cache", &[]));
    let (code, text) = plan(&stage, &artifact, "cache", &["-o=json"]);
    assert!(code == Some(0) && text.contains(&format!("\"module\": \"{}\"", sha256(CAPS))), "{text}");

    registry.stop();
    judges(plan(&stage, &kubewardens, "cache", &[]));
    holds_back(plan(&stage, &kubewardens, "empty", &[]), "the registry cannot be asked: ");

    // What was kept is not trusted any more than a registry is.
    let kept = stage.path("cache/faultline/fetched").join(&sha256(CAPS)[7..]);
    let mut other = CAPS.to_vec();
    other[100] ^= 1;
    fs::write(&kept, &other).unwrap();
    holds_back(plan(&stage, &kubewardens, "cache", &[]), "the registry cannot be asked: ");
    registry.start();
    judges(plan(&stage, &kubewardens, "cache", &[]));
    assert_eq!(fs::read(&kept).unwrap(), CAPS, "it is kept anew");
}

#[tokio::test]
async fn what_is_not_what_was_named_is_refused_by_what_is_wrong_with_it() {
    let Some(mut registry) = a_registry() else { return };
    registry.start();
    let stage = a_stage();
    let reference = registry.push("caps", CAPS, KUBEWARDEN).await;
    let large = registry.push("large", &vec![0; (4 << 20) + 1], KUBEWARDEN).await;
    let text = registry.push("text", b"hello", "text/plain").await;
    let wasm = registry.push("garbage", b"hello", KUBEWARDEN).await;
    let nobodys = format!("{}/caps@{}", registry.address, sha256(b"nobody's"));
    for (reference, why) in [
        (&large, "its module has 4194305 bytes, and at most 4194304 are taken"),
        (&text, "it has 0 layers of the media types"),
        (&nobodys, "the registry says: ManifestUnknown"),
    ] {
        holds_back(plan(&stage, reference, "cache", &[]), why);
    }
    let (_, garbage) = plan(&stage, &wasm, "cache", &[]);
    assert!(garbage.contains("the module is refused") && !garbage.contains("+ begin"), "{garbage}");

    let mut other = CAPS.to_vec();
    other[100] ^= 1;
    let layer = registry.blob(&sha256(CAPS));
    fs::write(&layer, &other).unwrap();
    let why = format!("has another digest: {}", sha256(&other));
    holds_back(plan(&stage, &reference, "cache", &[]), &why);
    fs::write(&layer, [CAPS, b"and more"].concat()).unwrap();
    holds_back(
        plan(&stage, &reference, "cache", &[]),
        "the registry serves more bytes than the manifest says",
    );
    fs::write(&layer, CAPS).unwrap();

    let manifest = registry.blob(reference.split_once('@').unwrap().1);
    let whole = fs::read_to_string(&manifest).unwrap();
    let other = whole.replace(KUBEWARDEN, "application/wasm");
    fs::write(&manifest, &other).unwrap();
    holds_back(plan(&stage, &reference, "cache", &[]), "");
    fs::write(&manifest, whole).unwrap();
    judges(plan(&stage, &reference, "cache", &[]));
}

#[tokio::test]
async fn credentials_are_dockers_and_never_shown() {
    let Some(registry) = a_registry() else { return };
    let mut registry = registry.with_password();
    registry.start();
    let stage = a_stage();
    let reference = registry.push("caps", CAPS, KUBEWARDEN).await;
    holds_back(
        plan(&stage, &reference, "cache", &[]),
        "401: it wants credentials, and there are none for it",
    );

    let config = |password: &str| {
        format!(
            "{{ \"auths\": {{ \"{}\": {{ \"username\": \"{USER}\", \"password\": \"{password}\" }} }} }}",
            registry.address
        )
    };
    stage.write("config.json", &config("open barley"));
    let refused = plan(&stage, &reference, "cache", &[]);
    assert!(!refused.1.contains("barley"), "{}", refused.1);
    holds_back(refused, "401: it refuses the credentials");
    stage.write("elsewhere.json", &config(PASSWORD));
    let elsewhere = format!("--registry-config={}", stage.path("elsewhere.json").display());
    judges(plan(&stage, &reference, "cache", &[&elsewhere]));
    stage.write("config.json", &config(PASSWORD));
    judges(plan(&stage, &reference, "another-cache", &[]));
    let nowhere = format!("--registry-config={}", stage.path("nowhere").display());
    holds_back(plan(&stage, &reference, "third-cache", &[&nowhere]), "nowhere cannot be read: No such file");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_registry_wants_a_token_it_is_asked_for_with_the_credentials() {
    let (address, reference) = registry_with_tokens().await;
    let stage = a_stage();
    holds_back(
        plan(&stage, &reference, "cache", &[]),
        "401: it wants credentials, and there are none for it",
    );
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    stage.write("config.json", &format!("{{ \"auths\": {{ \"{address}\": {{ \"auth\": \"{auth}\" }} }} }}"));
    judges(plan(&stage, &reference, "cache", &[]));
}

/// A registry whose tokens come from a service of their own, as those of the large providers do; it serves one module.
async fn registry_with_tokens() -> (SocketAddr, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let descriptor = |media_type: &str, bytes: &[u8]| serde_json::json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() });
    let manifest = serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.wasm.config.v0+json", b"{}"),
        "layers": [descriptor("application/wasm", CAPS)],
    }))
    .unwrap();
    let digest = sha256(&manifest);
    let says = move |uri: Uri, headers: HeaderMap| {
        let bearer = format!("Bearer realm=\"http://{address}/token\",service=\"lab\"");
        let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let basic = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
        let answer = match uri.path() {
            "/token" if authorization == Some(basic) => (200, br#"{"token":"opaque"}"#.to_vec()),
            "/token" => (401, Vec::new()),
            _ if authorization.as_deref() != Some("Bearer opaque") => (401, Vec::new()),
            path if path.contains("/manifests/") => (200, manifest.clone()),
            _ => (200, CAPS.to_vec()),
        };
        let status = StatusCode::from_u16(answer.0).unwrap();
        std::future::ready((status, [("www-authenticate", bearer)], answer.1))
    };
    tokio::spawn(axum::serve(listener, Router::new().fallback(says)).into_future());
    (address, format!("{address}/caps@{digest}"))
}

#[tokio::test]
async fn a_registry_that_is_not_on_loopback_by_its_name_is_asked_over_tls_unless_it_is_named() {
    let Some(mut plain) = a_registry() else { return };
    plain.start();
    let stage = a_stage();
    // The same address, in a form that only the network library takes for loopback.
    let elsewhere = |reference: &str| reference.replace("127.0.0.1:", "127.1:");
    let reference = plain.push("caps", CAPS, KUBEWARDEN).await;
    holds_back(plan(&stage, &elsewhere(&reference), "cache", &[]), "the registry cannot be asked: ");
    judges(plan(&stage, &elsewhere(&reference), "cache", &["--insecure-registry=127.1"]));

    plain.stop();
    let certs = stage.path("certs").display().to_string();
    let init = ["init", "--server=127.0.0.1", "--node=n1"];
    let made = stage.faultline("certs").args(init).arg(format!("--dir={certs}")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut tls = plain.with_tls(&format!("{certs}/reconciler.crt"), &format!("{certs}/reconciler.key"));
    tls.start();
    judges(plan(&stage, &elsewhere(&reference), "trusting", &[]));
    fs::rename(stage.path("certs"), stage.path("unknown")).unwrap();
    holds_back(
        plan(&stage, &elsewhere(&reference), "distrusting", &[]),
        "invalid peer certificate: UnknownIssuer",
    );
}

#[tokio::test]
async fn validate_looks_at_modules_in_registries_and_says_which_are_not_to_be_had() {
    let Some(mut registry) = a_registry() else { return };
    registry.start();
    let stage = a_stage();
    let reference = registry.push("caps", CAPS, KUBEWARDEN).await;
    let validate = |text: &str| {
        stage.write("platform/caps.yaml", text);
        let mut validate = stage.faultline("validate");
        validate.arg(stage.path("platform/caps.yaml")).env("XDG_CACHE_HOME", stage.path("cache"));
        said(&validate.output().unwrap())
    };
    let (code, text) = validate(&caps(&reference).replace("max: 5", "max: 500"));
    assert!(code == Some(1) && text.contains("cannot be asked: ") && text.contains(&reference), "{text}");
    registry.stop();
    assert_eq!(validate(&caps(&reference)).0, Some(0), "it was kept");
    let nobodys = format!("{}/caps@{}", registry.address, sha256(b"nobody's"));
    let (code, text) = validate(&caps(&nobodys));
    assert!(
        code == Some(2) && text.contains(&format!("cannot read {nobodys}: the registry cannot be asked")),
        "{text}"
    );
    let (code, text) = validate(&caps(&format!("{}/caps:v1", registry.address)));
    assert!(
        code == Some(1) && text.contains("caps.yaml:5:18") && text.contains("it has no digest"),
        "{text}"
    );
    assert!(text.contains("a tag can be moved, a digest cannot"), "{text}");
}

#[tokio::test]
async fn an_experiment_waits_for_the_registry_and_a_run_is_held_until_it_is_back() {
    let Some(registry) = a_registry() else { return };
    let mut registry = registry.with_password();
    registry.start();
    let mut stage = a_stage();
    stage.logged =
        "info,oci_client=trace,reqwest=trace,hyper=trace,hyper_util=trace,faultline_reconciler=trace";
    stage.write(
        "config.json",
        &format!(
            "{{ \"auths\": {{ \"http://{}/\": {{ \"username\": \"{USER}\", \"password\": \"{PASSWORD}\" }} }} }}",
            registry.address
        ),
    );
    let first = registry.push("caps", CAPS, KUBEWARDEN).await;
    let second = registry.push("caps", CAPS, "application/wasm").await;
    registry.stop();

    stage.write("platform/caps.yaml", &caps(&first));
    stage.start();
    let mut agent = FakeAgent::dial(&stage.agents(), fresh()).await;
    let explained = |stage: &Stage| said(&stage.ask(&["explain", "chaos/web"])).1;
    pump(&mut agent, || explained(&stage).contains("the registry cannot be asked: ")).await;
    assert!(stage.runs().is_empty(), "{:?}", stage.runs());
    registry.start();
    let desired = agent.desired_that(|desired| probes(desired) == 1).await;
    assert_eq!(desired.set.probes[0].probability.get(), 5, "as the module says");
    pump(&mut agent, || has(&stage, "chaos/web#1", "Running")).await;
    let metrics = stage.page("/metrics").1;
    assert!(metrics.contains("faultline_module_fetches_total{result=\"success\"} 1"), "{metrics}");
    assert!(!metrics.contains("faultline_module_fetches_total{result=\"failure\"} 0"), "{metrics}");

    // What was fetched outlives the reconciler, and the registry is not needed for it.
    registry.stop();
    let report = agent.report.clone();
    assert_eq!(stage.stop(Signal::KILL), None);
    stage.start();
    let mut agent = FakeAgent::dial(&stage.agents(), report).await;
    let again = agent.desired().await;
    assert_eq!(probes(&again), 1);
    agent.accept(&again).await;
    pump(&mut agent, || has(&stage, "chaos/web#1", "Running")).await;

    // Another module is not there, so nobody can decide: the run is held, and goes on with the registry.
    stage.write("platform/caps.yaml", &caps(&second));
    agent.desired_that(|desired| probes(desired) == 0).await;
    pump(&mut agent, || has(&stage, "chaos/web#1", "Held")).await;
    registry.start();
    agent.desired_that(|desired| probes(desired) == 1).await;
    pump(&mut agent, || has(&stage, "chaos/web#1", "Running")).await;
    eventually(&stage, "one run", || stage.runs().len() == 1).await;
    assert!(stage.log().contains("module fetched"), "{}", stage.log());
    let secret = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    assert!(!stage.log().contains(PASSWORD) && !stage.log().contains(&secret), "{}", stage.log());
}
