//! The loop: a pass whenever anything may have changed.
//!
//! A source, the inventory, an agent or the plan's own next instant wakes it; what happens during a pass is taken
//! together by the next. Stopping says nothing to the agents: their leases run out and they recover by themselves,
//! or a reconciler that is back within the lease finds them as they were.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::sleep};

use crate::{
    agents::Fleet,
    metrics::Metrics,
    publish::{self, Board},
    reconcile::{Deps, Pass, ReconcileError, reconcile},
    record::Recorder,
    source::watch::Watch,
};

/// The net beneath the watches: how long a change can go unnoticed that no watch tells of. A pass over a thousand
/// files takes milliseconds.
pub const POLL: Duration = Duration::from_secs(5);

/// After a pass that may go through the next time; doubled up to [`POLL`] with each that does not.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// Passes in a row that may follow one another at once because each changed something. Two are enough for any
/// change; more are an error of ours, and must not become a busy loop.
const SETTLING: u32 = 8;

/// What the loop works with beside the pass itself.
pub struct Loop {
    /// What a pass works with.
    pub deps: Deps,
    /// Its connected agents.
    pub fleet: Arc<Fleet>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What the admin interface shows.
    pub board: Arc<Board>,
    /// Where plans are recorded.
    pub recorder: Recorder,
    /// Notified whenever something may have changed.
    pub wake: Arc<Notify>,
    /// Paths that are watched: roots of sources, and the inventory's file.
    pub watched: Vec<PathBuf>,
}

impl Loop {
    /// Passes until `stop` completes.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut watch = self.watch();
        let mut pace = Pace::default();
        loop {
            if let Some(watch) = &mut watch {
                watch.renew();
            }
            let pause = self.pass(&mut pace);
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = self.wake.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    fn watch(&self) -> Option<Watch> {
        Watch::start(&self.watched, Arc::clone(&self.wake))
            .inspect_err(|error| tracing::warn!(%error, "changes are found by polling alone"))
            .ok()
    }

    /// One pass, told to everybody; returns how long to wait for the next if nothing wakes it.
    fn pass(&mut self, pace: &mut Pace) -> Duration {
        let began = self.deps.clock.monotonic();
        let result = reconcile(&mut self.deps);
        let (took, now) = (self.deps.clock.monotonic().saturating_sub(began), self.deps.clock.now());
        self.metrics.passed(result_name(&result), took);
        let stale = self.deps.sources.iter().map(|source| (source.name(), source.failing_since()));
        publish::staleness(stale, now, &self.metrics);
        match result {
            Ok(pass) => self.publish(pass, pace, now),
            Err(error) => {
                tracing::error!(%error, "this pass did not go through");
                self.board.failed(error.to_string());
                pace.after_failure(&error)
            }
        }
    }

    fn publish(&mut self, pass: Pass, pace: &mut Pace, now: jiff::Timestamp) -> Duration {
        self.fleet.vouch();
        for transition in &pass.transitions {
            publish::transition(transition, &self.metrics);
        }
        let before = self.board.read().pass;
        publish::news(before.as_ref().map(|pass| &pass.plan), &pass.plan).iter().for_each(publish::log);
        self.metrics.stand(publish::standing(&pass, &self.fleet.nodes(), now));
        if let Err(error) = self.recorder.record(&pass) {
            tracing::warn!(%error, "the plan was not recorded");
        }
        let until_next =
            pass.plan.next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO));
        let pause = pace.after_success(pass.unsettled, until_next);
        self.board.passed(Arc::new(pass));
        pause
    }
}

/// How long to wait between passes that nothing wakes.
#[derive(Debug, Default)]
struct Pace {
    unsettled: u32,
    retry: Option<Duration>,
}

impl Pace {
    fn after_success(&mut self, unsettled: bool, until_next: Option<Duration>) -> Duration {
        self.retry = None;
        self.unsettled = if unsettled { self.unsettled + 1 } else { 0 };
        if unsettled && self.unsettled <= SETTLING {
            return Duration::ZERO;
        }
        // Not below a few milliseconds: an instant that is reached a moment early would spin.
        until_next.unwrap_or(POLL).clamp(Duration::from_millis(5), POLL)
    }

    fn after_failure(&mut self, error: &ReconcileError) -> Duration {
        match error {
            ReconcileError::Stalled(_) | ReconcileError::Waiting(_) => POLL,
            ReconcileError::Transient(_) => {
                let retry = self.retry.map_or(FIRST_RETRY, |retry| (retry * 2).min(POLL));
                *self.retry.insert(retry)
            }
        }
    }
}

const fn result_name(result: &Result<Pass, ReconcileError>) -> &'static str {
    match result {
        Ok(_) => "success",
        Err(ReconcileError::Waiting(_)) => "waiting",
        Err(ReconcileError::Transient(_)) => "transient",
        Err(ReconcileError::Stalled(_)) => "stalled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn failures_are_retried_ever_more_slowly_and_a_success_forgets_them() {
        let io = || ReconcileError::from(StoreError::Io { path: String::new(), detail: String::new() });
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..7).map(|_| pace.after_failure(&io()).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pace.after_success(false, None), POLL);
        assert_eq!(pace.after_failure(&io()), FIRST_RETRY);
    }

    #[test]
    fn passes_that_never_settle_do_not_become_a_busy_loop() {
        let mut pace = Pace::default();
        let waits: Vec<_> = (0..20).map(|_| pace.after_success(true, None)).collect();
        assert_eq!(waits.iter().filter(|wait| wait.is_zero()).count(), SETTLING as usize);
        assert_eq!(pace.after_success(false, Some(Duration::ZERO)), Duration::from_millis(5));
        assert_eq!(pace.after_success(false, Some(Duration::from_secs(3600))), POLL);
    }
}
