//! The session, and dialling for one.

use std::{future::Future, pin::Pin, time::Duration};

use faultline_core::report::NodeReport;
use faultline_wire::{
    AgentMessage, Version,
    client::{Backoff, ConnectError, ConnectTo, Session, connect},
    message::Hello,
};
use tokio::time::{Sleep, sleep, timeout};

use crate::{agent::Input, attachments::causes, clock::Clock, kernel::BootNanos, telemetry::Event};

/// A reconciler that does not read for this long is as good as gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// A session that ends sooner was no success: an agent that another one of the same name drives out again and again
/// waits ever longer. Longer than the longest wait, or two of them would drive each other out for ever.
const HELD: Duration = Duration::from_secs(10);

type Dial = Pin<Box<dyn Future<Output = Result<Session, ConnectError>> + Send>>;

/// What happened to the link.
#[derive(Default)]
pub(super) struct Happened {
    pub(super) events: Vec<Event>,
    pub(super) input: Option<Input>,
}

pub(super) struct Link {
    to: ConnectTo,
    backoff: Backoff,
    state: State,
}

enum State {
    /// Until the next attempt.
    Idle(Pin<Box<Sleep>>),
    Dialling(Dial),
    /// And since when.
    Open(Box<Session>, BootNanos),
    /// It broke while sending; the machine is yet to be told.
    Broken(String),
}

impl Link {
    pub(super) fn new(to: ConnectTo, backoff: Backoff) -> Self {
        Self { to, backoff, state: State::Idle(Box::pin(sleep(Duration::ZERO))) }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open(..))
    }

    /// The next thing that happens. Dropped in the middle, it loses nothing.
    pub(super) async fn next(&mut self, report: impl Fn() -> NodeReport, clock: &dyn Clock) -> Happened {
        loop {
            match &mut self.state {
                State::Idle(wait) => {
                    wait.await;
                    let (to, now) = (self.to.clone(), clock.now());
                    let hello = Hello { version: Version::OURS, report: report() };
                    let dial = async move { connect(&to, hello, now.boot.0).await };
                    self.state = State::Dialling(Box::pin(dial));
                }
                State::Dialling(dial) => {
                    let dialled = dial.await;
                    return self.dialled(dialled, clock.now().boot);
                }
                State::Open(session, since) => match session.receive().await {
                    Ok((received, heard)) => {
                        let held = clock.now().boot.0.saturating_sub(since.0);
                        if Duration::from_nanos(held) >= HELD {
                            self.backoff.reset();
                        }
                        let input = Some(Input::Received(received, BootNanos(heard)));
                        return Happened { input, ..Happened::default() };
                    }
                    Err(ended) => return self.ended(causes(&ended)),
                },
                State::Broken(why) => {
                    let why = std::mem::take(why);
                    return self.ended(why);
                }
            }
        }
    }

    fn dialled(&mut self, dialled: Result<Session, ConnectError>, now: BootNanos) -> Happened {
        match dialled {
            Ok(session) => {
                let input = Some(Input::Opened(session.welcome));
                self.state = State::Open(Box::new(session), now);
                Happened { input, ..Happened::default() }
            }
            Err(error) => {
                let wait = self.backoff.next_wait();
                self.state = State::Idle(Box::pin(sleep(wait)));
                let event = Event::ConnectFailed { error: causes(&error), wait };
                Happened { events: vec![event], input: None }
            }
        }
    }

    fn ended(&mut self, reason: String) -> Happened {
        self.state = State::Idle(Box::pin(sleep(self.backoff.next_wait())));
        Happened { events: vec![Event::SessionClosed { reason }], input: Some(Input::Closed) }
    }

    /// Sends, or breaks the session.
    pub(super) async fn send(&mut self, message: &AgentMessage, clock: &dyn Clock) {
        let State::Open(session, _) = &self.state else { return };
        let sent = timeout(SEND_TIMEOUT, session.send(message, clock.now().boot.0)).await;
        let broken = match sent {
            Ok(Ok(())) => return,
            Ok(Err(ended)) => causes(&ended),
            Err(_) => "the reconciler does not read".to_owned(),
        };
        self.state = State::Broken(broken);
    }

    /// Lets what was sent go out, for so long at most.
    pub(super) async fn close(self, patience: Duration) {
        if let State::Open(session, _) = self.state {
            session.close(patience).await;
        }
    }
}
