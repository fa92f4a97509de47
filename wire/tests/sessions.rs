//! Sessions over real sockets: who gets in, who does not, and that every refusal is counted under its reason.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, helpers included")]

mod common;

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use common::{Certificates, hello, start};
use faultline_core::{ledger::Generation, report::ProbeState};
use faultline_wire::{
    Address, AgentMessage, ReconcilerMessage, Version, WireError,
    client::{ConnectError, ConnectTo, Received, connect},
    limits::GREETING_TIMEOUT,
    message::{Ack, Hello, ProbeAck, Renew, RenewAck},
    pb,
    server::{Listen, ListenError, Peer, Refusal, RefusalReason, Server, Session, SessionHandler},
    testing::{Reconciler, desired, probe},
};
use tokio::{io::AsyncReadExt as _, time::timeout};

/// Says hello and sees one exchange through.
async fn one_exchange(running: &mut Reconciler, to: &ConnectTo) {
    let mut session = connect(to, hello("node-a"), 100).await.unwrap();
    assert_eq!(session.welcome.version, Version::OURS);
    assert_eq!(session.welcome.lease_ttl, common::LEASE_TTL);
    let mut held = running.session().await;
    assert_eq!(held.hello, hello("node-a"));

    let desired = desired(7, &[probe("mount", "pod")]);
    held.send(ReconcilerMessage::Desired(desired.clone())).await.unwrap();
    assert_eq!(session.receive().await.unwrap(), (Received::Desired(desired), 100));

    let acked = ProbeAck {
        id: "probe".into(),
        state: ProbeState::Failed { error: "no such function".into() },
        attached_at: None,
    };
    let ack = AgentMessage::Ack(Ack { generation: Generation { epoch: 1, counter: 7 }, probes: vec![acked] });
    session.send(&ack, 250).await.unwrap();
    assert_eq!(held.receive().await, Some(ack));

    // A renewal says what the reconciler had heard of this agent when it left.
    let renew = Renew { generation: Generation { epoch: 1, counter: 7 }, seq: 1 };
    held.send(ReconcilerMessage::Renew(renew)).await.unwrap();
    assert_eq!(session.receive().await.unwrap(), (Received::Renew(renew), 250));
    let answer = AgentMessage::RenewAck(RenewAck { generation: renew.generation, seq: 1 });
    session.send(&answer, 260).await.unwrap();
    assert_eq!(held.receive().await, Some(answer));

    drop(session);
    assert_eq!(held.receive().await, None);
}

#[tokio::test]
async fn a_session_over_a_unix_socket_that_only_its_owner_can_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agents.sock");
    let address = Address::Unix(path.clone());
    let mut running = start(Listen { address: address.clone(), tls: None }).await;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    one_exchange(&mut running, &ConnectTo::new(address, None).unwrap()).await;
    assert_eq!(running.stop().await, []);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_process_of_another_user_is_refused_and_counted() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can become another user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agents.sock");
    let running = start(Listen { address: Address::Unix(path.clone()), tls: None }).await;
    // The socket's mode alone would keep it out; here it is let through to be looked at.
    for (path, mode) in [(dir.path(), 0o755), (path.as_path(), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    // The user of a thread is its own, and is what the socket sees.
    let connected = std::thread::spawn(move || {
        rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65_534)).unwrap();
        std::os::unix::net::UnixStream::connect(path).unwrap()
    });
    let _connected = connected.join().unwrap();
    running.refusals_reach(1).await;
    assert_eq!(running.stop().await, [RefusalReason::OtherUser]);
}

#[tokio::test]
async fn a_session_over_loopback() {
    let mut running = start(common::plain()).await;
    let to = ConnectTo::new(running.address.clone(), None).unwrap();
    one_exchange(&mut running, &to).await;
    assert_eq!(running.stop().await, []);
}

#[tokio::test]
async fn a_session_over_mutual_tls_whose_certificate_names_the_node() {
    let certificates = Certificates::new(&["node-a"]);
    let mut running = start(certificates.listen()).await;
    let to = ConnectTo::new(running.address.clone(), Some(certificates.of("node-a"))).unwrap();
    one_exchange(&mut running, &to).await;
    assert_eq!(running.stop().await, []);
}

#[tokio::test]
async fn another_nodes_certificate_is_refused_and_counted() {
    let certificates = Certificates::new(&["node-a", "node-b"]);
    let running = start(certificates.listen()).await;
    let to = ConnectTo::new(running.address.clone(), Some(certificates.of("node-b"))).unwrap();
    let error = connect(&to, hello("node-a"), 0).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Refused(why) if why.contains("node-a")), "{error}");
    assert_eq!(running.stop().await, [RefusalReason::OtherNode]);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_by_both_sides_and_counted() {
    let (ours, theirs) = (Certificates::new(&["node-a"]), Certificates::new(&["node-a"]));
    let running = start(ours.listen()).await;
    // The agent trusts the reconciler and shows a certificate that the reconciler does not know.
    let mut files = theirs.of("node-a");
    files.ca = ours.of("node-a").ca;
    let to = ConnectTo::new(running.address.clone(), Some(files)).unwrap();
    connect(&to, hello("node-a"), 0).await.unwrap_err();
    running.refusals_reach(1).await;
    // The agent does not know the reconciler's.
    let to = ConnectTo::new(running.address.clone(), Some(theirs.of("node-a"))).unwrap();
    let error = connect(&to, hello("node-a"), 0).await.unwrap_err();
    assert!(matches!(error, ConnectError::Handshake { .. }), "{error}");
    running.refusals_reach(2).await;
    assert_eq!(running.stop().await, [RefusalReason::WrongAuthority, RefusalReason::RefusedByPeer]);
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_counted() {
    let certificates = Certificates::new(&["node-a"]);
    certificates.issue_expired("node-late");
    let running = start(certificates.listen()).await;
    let to = ConnectTo::new(running.address.clone(), Some(certificates.of("node-late"))).unwrap();
    connect(&to, hello("node-late"), 0).await.unwrap_err();
    running.refusals_reach(1).await;
    assert_eq!(running.stop().await, [RefusalReason::Expired]);
}

#[tokio::test]
async fn a_servers_certificate_does_not_make_an_agent() {
    let certificates = Certificates::new(&["node-a"]);
    let running = start(certificates.listen()).await;
    let to = ConnectTo::new(running.address.clone(), Some(certificates.of("reconciler"))).unwrap();
    connect(&to, hello("localhost"), 0).await.unwrap_err();
    running.refusals_reach(1).await;
    assert_eq!(running.stop().await, [RefusalReason::BadCertificate]);
}

#[tokio::test]
async fn plain_text_to_a_tls_listener_is_refused_and_counted() {
    let certificates = Certificates::new(&["node-a"]);
    let running = start(certificates.listen()).await;
    let Address::MutualTls { host, port } = running.address.clone() else { panic!("not TLS") };
    let to = ConnectTo::new(Address::Plain { host, port }, None).unwrap();
    connect(&to, hello("node-a"), 0).await.unwrap_err();
    running.refusals_reach(1).await;
    assert_eq!(running.stop().await, [RefusalReason::PlainText]);
}

#[tokio::test]
async fn no_certificate_is_refused_and_counted() {
    let certificates = Certificates::new(&["node-a"]);
    let running = start(certificates.listen()).await;
    common::handshake_without_certificate(&running.address, &certificates).await;
    running.refusals_reach(1).await;
    assert_eq!(running.stop().await, [RefusalReason::NoCertificate]);
}

#[tokio::test]
async fn another_major_is_refused_with_both_versions_named_and_a_newer_minor_is_not() {
    let mut running = start(common::plain()).await;
    let to = ConnectTo::new(running.address.clone(), None).unwrap();
    let speaking = |major, minor| Hello { version: Version { major, minor }, ..hello("node-a") };
    let error = connect(&to, speaking(3, 3), 0).await.unwrap_err().to_string();
    assert!(error.contains("3.3") && error.contains("2.0"), "{error}");
    let error = connect(&to, speaking(1, 0), 0).await.unwrap_err().to_string();
    assert!(error.contains("1.0") && error.contains("2.0"), "an agent without predicates: {error}");
    connect(&to, speaking(2, 9), 0).await.unwrap();
    assert_eq!(running.session().await.hello.version, Version { major: 2, minor: 9 });
    assert_eq!(running.stop().await, [RefusalReason::OtherMajor; 2]);
}

#[tokio::test]
async fn kinds_of_message_that_a_newer_minor_adds_are_skipped() {
    let mut running = start(common::plain()).await;
    let unknown = pb::AgentMessage { boot_ns: Some(9), body: None };
    let ack = AgentMessage::RenewAck(RenewAck { generation: Generation::default(), seq: 5 });
    let known = pb::AgentMessage { boot_ns: Some(10), body: Some((&ack).into()) };
    let newer = common::raw(&running.address, Version { major: 2, minor: 1 }, vec![unknown, known]).await;
    let mut held = running.session().await;
    assert_eq!(held.receive().await, Some(ack));
    drop(newer);
    assert_eq!(running.stop().await, []);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_closes_the_session_and_is_counted() {
    let mut running = start(common::plain()).await;
    let empty = pb::Ack { generation: None, probes: vec![] };
    let broken = pb::AgentMessage { boot_ns: Some(9), body: Some(pb::agent_message::Body::Ack(empty)) };
    let _stream = common::raw(&running.address, Version::OURS, vec![broken]).await;
    assert_eq!(running.session().await.receive().await, None);
    running.refusals_reach(1).await;
    assert_eq!(running.stop().await, [RefusalReason::Malformed]);
}

#[tokio::test]
async fn a_hello_without_a_report_is_refused_and_counted() {
    let running = start(common::plain()).await;
    let bare = pb::Hello { version: Some(Version::OURS.into()), report: None };
    let status = common::raw_hello(&running.address, bare).await.unwrap_err();
    assert!(status.message().contains("hello.report is missing"), "{status}");
    assert_eq!(running.stop().await, [RefusalReason::BadHello]);
}

#[tokio::test]
async fn a_name_that_no_node_can_have_is_refused_and_counted() {
    let running = start(common::plain()).await;
    let to = ConnectTo::new(running.address.clone(), None).unwrap();
    for name in ["a b/../c", "two\nlines", "", "Upper"] {
        let error = connect(&to, hello(name), 0).await.unwrap_err();
        let ConnectError::Refused(why) = &error else { panic!("{error}") };
        assert!(why.starts_with("report.node is ") && !why.contains('\n'), "{why:?}");
    }
    assert_eq!(running.stop().await, [RefusalReason::BadHello; 4]);
}

#[tokio::test]
async fn a_session_that_is_closed_for_a_reason_says_so_to_the_agent() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::bind(Listen { address: Address::Unix(dir.path().join("agents.sock")), tls: None });
    let server = server.await.unwrap();
    let to = ConnectTo::new(server.address().clone(), None).unwrap();
    let serving = tokio::spawn(server.serve(Arc::new(Closing), common::LEASE_TTL, std::future::pending()));
    let mut session = connect(&to, hello("node-a"), 0).await.unwrap();
    let ended = timeout(Duration::from_secs(20), session.receive()).await.unwrap().unwrap_err();
    assert_eq!(ended.to_string(), "the session ended: another has its place");
    serving.abort();
}

/// Closes every session.
struct Closing;

impl SessionHandler for Closing {
    async fn session(&self, session: Session) {
        session.close("another has its place");
    }

    fn refused(&self, refusal: &Refusal) {
        panic!("{refusal:?}");
    }
}

#[tokio::test]
async fn a_desired_set_that_cannot_be_read_reaches_the_agent_with_its_generation() {
    let mut running = start(common::plain()).await;
    let to = ConnectTo::new(running.address.clone(), None).unwrap();
    let mut session = connect(&to, hello("node-a"), 0).await.unwrap();
    let mut broken = desired(2, &[]);
    let generation = broken.set.generation;
    broken.content = "not a digest".into();
    running.session().await.send(ReconcilerMessage::Desired(broken)).await.unwrap();
    let (Received::Malformed(malformed), _) = session.receive().await.unwrap() else {
        panic!("was accepted")
    };
    assert_eq!(malformed.generation, Some(generation));
    assert!(matches!(malformed.error, WireError::OutOfRange { field: "desired.content", .. }));
    running.stop().await;
}

#[tokio::test]
async fn a_stopping_server_ends_sessions_and_a_new_one_takes_over_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let address = Address::Unix(dir.path().join("agents.sock"));
    let listen = Listen { address: address.clone(), tls: None };
    let to = ConnectTo::new(address, None).unwrap();
    let mut running = start(listen.clone()).await;
    let mut session = connect(&to, hello("node-a"), 0).await.unwrap();
    let mut held = running.session().await;
    assert!(matches!(Server::bind(listen.clone()).await, Err(ListenError::InUse(_))));
    let holding = tokio::spawn(async move { while held.receive().await.is_some() {} });
    running.stop().await;
    session.receive().await.unwrap_err();
    holding.await.unwrap();
    connect(&to, hello("node-a"), 0).await.unwrap_err();
    let mut running = start(listen).await;
    one_exchange(&mut running, &to).await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_before_anything_is_bound() {
    let certificates = Certificates::new(&["node-a"]);
    let plain = Listen { tls: Some(certificates.of("reconciler")), ..common::plain() };
    assert!(matches!(Server::bind(plain).await, Err(ListenError::UnusedTls(_))));
    let bare = Listen { tls: None, ..certificates.listen() };
    assert!(matches!(Server::bind(bare).await, Err(ListenError::NoTls(_))));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let taken = Listen { address: Address::Unix(file.clone()), tls: None };
    assert!(matches!(Server::bind(taken).await, Err(ListenError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
    let to = ConnectTo::new("https://localhost:1".parse().unwrap(), None);
    assert!(matches!(to, Err(ConnectError::NoTls(_))));
}

#[tokio::test]
async fn peers_are_told_apart() {
    let certificates = Certificates::new(&["node-a"]);
    let mut running = start(certificates.listen()).await;
    let to = ConnectTo::new(running.address.clone(), Some(certificates.of("node-a"))).unwrap();
    let _session = connect(&to, hello("node-a"), 0).await.unwrap();
    let held = tokio::time::timeout(Duration::from_secs(5), running.session()).await.unwrap();
    assert!(matches!(&held.peer, Peer::MutualTls { nodes, .. } if nodes.len() == 1));
    assert!(held.peer.speaks_for("node-a") && !held.peer.speaks_for("node-b"));
    drop(held);
    running.stop().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_neither_stays_nor_keeps_the_server_from_stopping() {
    // A busy machine may take this much longer.
    const SLACK: Duration = Duration::from_secs(8);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agents.sock");
    let listen = Listen { address: Address::Unix(path.clone()), tls: None };
    let running = start(listen.clone()).await;
    let mut silent = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut said = vec![];
    let closed = timeout(GREETING_TIMEOUT + SLACK, silent.read_to_end(&mut said)).await;
    assert!(closed.is_ok(), "it is still open");

    let _silent = tokio::net::UnixStream::connect(&path).await.unwrap();
    // Whoever comes later is answered later: the silent one has been accepted.
    drop(connect(&ConnectTo::new(listen.address, None).unwrap(), hello("node-a"), 0).await.unwrap());
    let stopped = timeout(GREETING_TIMEOUT - Duration::from_secs(1), running.stop()).await;
    assert_eq!(stopped.unwrap(), []);
    assert!(!path.exists());
}
