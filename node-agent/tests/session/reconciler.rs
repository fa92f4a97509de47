//! The reconciler's side: renews for as long as it may, and keeps the newest report and acknowledgement.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use faultline_api::GoDuration;
use faultline_core::{desired::Probe, report::NodeReport};
use faultline_wire::{
    AgentMessage, ReconcilerMessage,
    message::{Ack, Desired, Renew},
    server::{Refusal, Session, SessionHandler},
    testing::probe,
};
use tokio::sync::watch;

/// What the test reads and what it says.
pub(crate) struct Reconciler {
    pub(crate) desired: watch::Sender<Option<Desired>>,
    pub(crate) renewing: AtomicBool,
    pub(crate) heard: watch::Sender<Heard>,
    /// Sessions opened.
    pub(crate) sessions: watch::Sender<u64>,
    lease: Duration,
    /// Where the next report goes that was asked for.
    pub(crate) ask: watch::Sender<u64>,
    seq: Mutex<u64>,
}

/// What was heard last.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub(crate) ack: Option<Ack>,
    pub(crate) report: Option<NodeReport>,
    /// Reports so far.
    pub(crate) reports: u64,
}

impl Reconciler {
    pub(crate) fn new(lease: Duration) -> Arc<Self> {
        Arc::new(Self {
            desired: watch::Sender::new(None),
            renewing: AtomicBool::new(true),
            heard: watch::Sender::default(),
            sessions: watch::Sender::default(),
            lease,
            ask: watch::Sender::default(),
            seq: Mutex::default(),
        })
    }

    fn note(&self, message: AgentMessage) {
        match message {
            AgentMessage::Ack(ack) => {
                self.heard.send_modify(|heard| heard.ack = Some(ack));
            }
            AgentMessage::Report(report) => {
                self.heard.send_modify(|heard| {
                    heard.report = Some(report);
                    heard.reports += 1;
                });
            }
            AgentMessage::Nack(nack) => panic!("{nack:?}"),
            AgentMessage::Hello(_) | AgentMessage::RenewAck(_) | AgentMessage::Rehearsals(_) => {}
        }
    }

    fn renewal(&self) -> Option<ReconcilerMessage> {
        let generation = self.desired.borrow().as_ref()?.set.generation;
        let mut seq = self.seq.lock().unwrap();
        *seq += 1;
        let renew = Renew { generation, seq: *seq };
        self.renewing.load(Ordering::Relaxed).then_some(ReconcilerMessage::Renew(renew))
    }
}

impl SessionHandler for Reconciler {
    async fn session(&self, mut session: Session) {
        let (mut desired, mut ask) = (self.desired.subscribe(), self.ask.subscribe());
        self.sessions.send_modify(|sessions| *sessions += 1);
        let mut renewals = tokio::time::interval(self.lease / 3);
        loop {
            let message = tokio::select! {
                heard = session.receive() => match heard {
                    Some(message) => {
                        self.note(message);
                        continue;
                    }
                    None => return,
                },
                _ = desired.changed() => desired.borrow_and_update().clone().map(ReconcilerMessage::Desired),
                _ = ask.changed() => Some(ReconcilerMessage::ReportRequest),
                _ = renewals.tick() => self.renewal(),
            };
            if let Some(message) = message
                && session.send(message).await.is_err()
            {
                return;
            }
        }
    }

    fn refused(&self, refusal: &Refusal) {
        panic!("{refusal:?}");
    }
}

/// Every mount of the container fails.
pub(crate) fn plain(pod: &str) -> Probe {
    probe("plain", pod)
}

/// At most so many mounts fail.
pub(crate) fn times(name: &str, pod: &str, times: u64) -> Probe {
    Probe { times: Some(times), ..probe(name, pod) }
}

/// For so many seconds.
pub(crate) fn lasting(pod: &str, seconds: u64) -> Probe {
    Probe { duration: Some(GoDuration::from_secs(seconds)), ..probe("lasting", pod) }
}
