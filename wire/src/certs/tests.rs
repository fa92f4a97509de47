use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::tls::{TlsFiles, client_config, server_config};

fn request(dir: &std::path::Path) -> Request {
    Request {
        dir: dir.into(),
        nodes: vec!["node-a".into()],
        server_names: vec!["localhost".into(), "127.0.0.1".into()],
        validity: Duration::from_secs(86_400),
        now: "2026-01-02T03:04:05Z".parse().unwrap(),
        force: false,
    }
}

fn read(dir: &std::path::Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap()
}

fn files(dir: &std::path::Path, name: &str) -> TlsFiles {
    TlsFiles {
        ca: dir.join("ca.crt"),
        cert: dir.join(format!("{name}.crt")),
        key: dir.join(format!("{name}.key")),
    }
}

#[test]
fn what_is_made_serves_both_sides_and_keys_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let written = init(&request(dir.path())).unwrap();
    let names: Vec<_> =
        written.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["ca.crt", "ca.key", "reconciler.crt", "reconciler.key", "node-a.crt", "node-a.key"]);
    for file in &written {
        let mode = file.path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if file.secret { 0o600 } else { 0o644 }, "{}", file.path.display());
    }
    server_config(&files(dir.path(), "reconciler")).unwrap();
    client_config(&files(dir.path(), "node-a")).unwrap();
}

#[test]
fn nothing_is_overwritten_without_force_and_the_authority_never() {
    let dir = tempfile::tempdir().unwrap();
    init(&request(dir.path())).unwrap();
    let before = ["ca.crt", "ca.key", "node-a.crt"].map(|name| read(dir.path(), name));
    let error = init(&request(dir.path())).unwrap_err();
    assert!(matches!(error, CertsError::AlreadyThere(path) if path.ends_with("reconciler.crt")));
    assert_eq!(before, ["ca.crt", "ca.key", "node-a.crt"].map(|name| read(dir.path(), name)));
    init(&Request { force: true, ..request(dir.path()) }).unwrap();
    let after = ["ca.crt", "ca.key", "node-a.crt"].map(|name| read(dir.path(), name));
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
}

#[test]
fn a_node_is_added_to_an_authority_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    init(&request(dir.path())).unwrap();
    let authority = read(dir.path(), "ca.crt");
    let more = Request { nodes: vec!["node-b".into()], server_names: vec![], ..request(dir.path()) };
    let written = init(&more).unwrap();
    assert_eq!(written.len(), 2);
    assert_eq!(read(dir.path(), "ca.crt"), authority);
    client_config(&files(dir.path(), "node-b")).unwrap();
}

#[test]
fn certificates_never_outlive_their_authority_and_an_expired_one_issues_nothing() {
    let dir = tempfile::tempdir().unwrap();
    init(&request(dir.path())).unwrap();
    let years = |n: i64| request(dir.path()).now + Duration::from_secs(n.unsigned_abs() * 365 * 86_400);
    let late = Request {
        nodes: vec!["late".into()],
        server_names: vec![],
        now: years(9),
        validity: AUTHORITY_VALIDITY,
        ..request(dir.path())
    };
    init(&late).unwrap();
    let pem = read(dir.path(), "late.crt");
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    assert_eq!(pem.parse_x509().unwrap().validity().not_after.timestamp(), years(10).as_second());
    let error = init(&Request { nodes: vec!["later".into()], now: years(11), ..late }).unwrap_err();
    assert!(matches!(error, CertsError::ExpiredAuthority { .. }));
}

#[test]
fn half_an_authority_or_a_mixed_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    init(&request(dir.path())).unwrap();
    let other = tempfile::tempdir().unwrap();
    init(&request(other.path())).unwrap();
    let more = Request { nodes: vec!["node-b".into()], server_names: vec![], ..request(dir.path()) };
    std::fs::copy(other.path().join("ca.key"), dir.path().join("ca.key")).unwrap();
    assert!(matches!(init(&more), Err(CertsError::BadAuthority { .. })));
    std::fs::remove_file(dir.path().join("ca.key")).unwrap();
    assert!(matches!(init(&more), Err(CertsError::HalfAuthority { .. })));
    assert!(!dir.path().join("node-b.crt").exists());
}

#[test]
fn names_that_are_paths_or_taken_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["../etc/node", "a/b", "", ".hidden", "ca", "reconciler", "a b"] {
        let asked = Request { nodes: vec![name.into()], ..request(dir.path()) };
        assert!(matches!(init(&asked), Err(CertsError::NodeName(_))), "{name:?}");
    }
    let asked = Request { server_names: vec!["not a name".into()], ..request(dir.path()) };
    assert!(matches!(init(&asked), Err(CertsError::ServerName(_))));
    assert!(dir.path().read_dir().unwrap().next().is_none());
}
