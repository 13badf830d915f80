//! How a process ends: first it drains, then it stops.
//!
//! Invariant: the stage only moves forward, and whoever asks late learns of it as well as whoever waits.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::seams::{Clock, TaskHandle, Tasks};

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Entered when it starts. Takes new work. Leaves to `Draining`.
    Running,
    /// Entered by [`Shutdown::trigger`]. Finishes what is in flight, takes nothing new. Leaves to `Stopped`.
    Draining,
    /// Entered by [`Shutdown::stop`]. Whatever still runs ends now.
    Stopped,
}

/// Tells all parts of a process, or of one role, to end. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct Shutdown {
    stage: watch::Sender<Stage>,
}

impl Shutdown {
    /// A process that runs.
    pub fn new() -> Self {
        Self { stage: watch::Sender::new(Stage::Running) }
    }

    /// Begins to drain; does nothing if that has begun.
    pub fn trigger(&self) {
        self.advance(Stage::Draining);
    }

    /// Ends what still runs.
    pub fn stop(&self) {
        self.advance(Stage::Stopped);
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let moves = *stage < to;
            *stage = (*stage).max(to);
            moves
        });
    }

    /// The stage now.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Completes when draining begins.
    pub async fn wait(&self) {
        self.wait_for(Stage::Draining).await;
    }

    /// Completes when everything ends.
    pub async fn stopped(&self) {
        self.wait_for(Stage::Stopped).await;
    }

    async fn wait_for(&self, wanted: Stage) {
        let mut stage = self.stage.subscribe();
        let waited = stage.wait_for(|stage| *stage >= wanted).await;
        waited.expect("self holds a sender, so the channel is open");
    }

    /// Drains, waits until `drained` completes or `limit` has passed, then stops. Says whether the draining was complete.
    pub async fn run(
        &self,
        clock: &dyn Clock,
        limit: Duration,
        drained: impl Future<Output = ()>,
    ) -> bool {
        self.trigger();
        let in_time = tokio::select! {
                biased;
            () = drained => true,
            () = clock.sleep(limit) => false,
            () = self.stopped() => false,
        };
        self.stop();
        in_time
    }

    /// Drains at the first SIGTERM or SIGINT, and stops at the second. The task runs until then.
    pub fn bind_signals(&self, tasks: &dyn Tasks) -> TaskHandle {
        let shutdown = self.clone();
        tasks.spawn("signals", Box::pin(async move { shutdown.follow_signals().await }))
    }

    async fn follow_signals(&self) {
        let streams = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = streams else {
            warn!("cannot listen to SIGTERM and SIGINT: they end this process without draining");
            return;
        };
        for is_first in [true, false] {
            let name = tokio::select! {
                biased;
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if is_first {
                info!("{name}: finishing what is in flight; once more to stop at once");
                self.trigger();
            } else {
                warn!("{name} again: stopping at once");
                self.stop();
            }
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::{ManualClock, RealTasks};
    use futures::FutureExt;

    #[tokio::test]
    async fn the_stage_only_moves_forward() {
        let shutdown = Shutdown::new();
        assert!(shutdown.wait().now_or_never().is_none());
        shutdown.clone().trigger();
        shutdown.wait().await;
        assert!(shutdown.stopped().now_or_never().is_none());
        shutdown.stop();
        shutdown.trigger();
        shutdown.stopped().await;
        assert_eq!(shutdown.stage(), Stage::Stopped);
    }

    #[tokio::test]
    async fn draining_is_bounded() {
        let (shutdown, clock) = (Shutdown::new(), ManualClock::new());
        assert!(shutdown.run(&clock, Duration::from_secs(1), async {}).await);
        let shutdown = Shutdown::new();
        let run = shutdown.run(&clock, Duration::from_secs(1), std::future::pending());
        futures::pin_mut!(run);
        assert!(run.as_mut().now_or_never().is_none());
        assert_eq!(shutdown.stage(), Stage::Draining);
        clock.advance(Duration::from_secs(1));
        assert!(!run.await);
        assert_eq!(shutdown.stage(), Stage::Stopped);
    }

    #[tokio::test]
    async fn a_signal_drains_and_a_second_one_stops() {
        let shutdown = Shutdown::new();
        let task = shutdown.bind_signals(&RealTasks::new());
        // The handler is there once the task has run: until then a signal would end the test.
        tokio::task::yield_now().await;
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::INT).unwrap();
        shutdown.wait().await;
        rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
        shutdown.stopped().await;
        task.join().await.unwrap();
    }
}
