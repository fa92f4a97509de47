//! What tests say to an agent and wait for.

use std::{path::Path, time::Duration};

use faultline_core::{ledger::Generation, report::NodeReport};
use faultline_wire::{
    Address, AgentMessage, ReconcilerMessage,
    message::{Ack, Nack, Renew},
    server::{Listen, Session},
    testing::Reconciler,
};

pub(crate) async fn start(socket: &Path, lease_ttl: Duration) -> Reconciler {
    Reconciler::start(Listen { address: Address::Unix(socket.into()), tls: None }, lease_ttl).await
}

/// The next message of a kind; others are passed over.
async fn next<T>(session: &mut Session, kind: fn(AgentMessage) -> Option<T>) -> T {
    let wanted = async {
        loop {
            let message = session.receive().await.unwrap();
            if let Some(wanted) = kind(message) {
                return wanted;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wanted).await.unwrap()
}

pub(crate) async fn ack(session: &mut Session) -> Ack {
    next(session, |message| if let AgentMessage::Ack(ack) = message { Some(ack) } else { None }).await
}

pub(crate) async fn nack(session: &mut Session) -> Nack {
    next(session, |message| if let AgentMessage::Nack(nack) = message { Some(nack) } else { None }).await
}

pub(crate) async fn report(session: &mut Session) -> NodeReport {
    next(session, |message| if let AgentMessage::Report(report) = message { Some(report) } else { None })
        .await
}

/// Renews and waits for an answer of any kind.
pub(crate) async fn renew(session: &mut Session, counter: u64) {
    let renew = Renew { generation: Generation { epoch: 1, counter }, seq: 1 };
    session.send(ReconcilerMessage::Renew(renew)).await.unwrap();
    next(session, |message| {
        matches!(message, AgentMessage::Report(_) | AgentMessage::RenewAck(_)).then_some(())
    })
    .await;
}
