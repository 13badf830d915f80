//! When a connection has waited long enough.
//!
//! Invariant: one timer per connection, armed anew only when an earlier deadline appears, so that traffic does not cost
//! timers. Deliberately does not know what the connection waits for.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ottla_runtime::seams::Clock;

use super::End;

/// The deadlines of a connection. All times are monotonic.
pub(super) struct Timer {
    clock: Arc<dyn Clock>,
    max_idle: Duration,
    frame_deadline: Duration,
    last_activity: Duration,
    frame_since: Option<Duration>,
    is_working: bool,
    muted_until: Option<Duration>,
    armed_for: Option<Duration>,
    sleep: BoxFuture<'static, ()>,
}

impl Timer {
    pub(super) fn new(clock: Arc<dyn Clock>, max_idle: Duration, frame_deadline: Duration) -> Self {
        Self {
            last_activity: clock.monotonic(),
            clock,
            max_idle,
            frame_deadline,
            frame_since: None,
            is_working: false,
            muted_until: None,
            armed_for: None,
            sleep: Box::pin(std::future::pending()),
        }
    }

    /// Something came or went.
    pub(super) fn touch(&mut self) {
        self.last_activity = self.clock.monotonic();
        self.frame_since = None;
    }

    /// When something last came or went.
    pub(super) fn last_activity(&self) -> Duration {
        self.last_activity
    }

    /// Nothing is read for a while.
    pub(super) fn mute(&mut self, pause: Duration) {
        self.muted_until = Some(self.clock.monotonic().saturating_add(pause.min(self.max_idle)));
    }

    /// Whether nothing is to be read now.
    pub(super) fn is_muted(&self) -> bool {
        self.muted_until.is_some()
    }

    /// Takes the state of the connection before it waits.
    pub(super) fn arm(&mut self, frame_began: bool, is_working: bool) {
        self.is_working = is_working;
        match (frame_began, self.frame_since) {
            (true, None) => self.frame_since = Some(self.clock.monotonic()),
            (false, Some(_)) => self.frame_since = None,
            _ => {}
        }
        let deadline = self.deadline();
        if self.armed_for.is_none_or(|armed| deadline < armed) {
            let now = self.clock.monotonic();
            self.armed_for = Some(deadline);
            self.sleep = self.clock.sleep(deadline.saturating_sub(now));
        }
    }

    /// Completes at the deadline that was armed; later ones may have replaced it, so [`Timer::check`] decides.
    pub(super) async fn due(&mut self) {
        (&mut self.sleep).await;
    }

    /// Whether a deadline passed.
    pub(super) fn check(&mut self, frame_began: bool) -> Result<(), End> {
        self.armed_for = None;
        let now = self.clock.monotonic();
        if self.muted_until.is_some_and(|until| now >= until) {
            self.muted_until = None;
        }
        let frame_late = self.frame_since.is_some_and(|since| now >= since + self.frame_deadline);
        if frame_began && frame_late {
            return Err(End::SlowRequest);
        }
        let is_idle = !self.is_working && !frame_began;
        if is_idle && now >= self.last_activity.saturating_add(self.max_idle) {
            return Err(End::Idle(self.max_idle));
        }
        if self.is_working {
            // Waiting for us is not idleness.
            self.last_activity = now;
        }
        Ok(())
    }

    fn deadline(&self) -> Duration {
        let idle = self.last_activity.saturating_add(self.max_idle);
        let frame = self.frame_since.map(|since| since + self.frame_deadline);
        [frame, self.muted_until].into_iter().flatten().fold(idle, Duration::min)
    }
}
