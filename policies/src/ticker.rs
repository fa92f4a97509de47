//! Wall-clock time for the engine: the net beneath the fuel.

use std::{
    io,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use wasmtime::Engine;

/// A thread that counts the engine's epoch up until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// `None` only while it is dropped: closing the channel ends the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts one for `engine`.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn start(engine: Engine, period: Duration) -> io::Result<Self> {
        let (alive, gone) = mpsc::channel();
        let thread = thread::Builder::new().name("guardrail-ticker".to_owned()).spawn(move || {
            while gone.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { alive: Some(alive), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            // It only counts; if it panicked, there is nothing left to end.
            drop(thread.join());
        }
    }
}
