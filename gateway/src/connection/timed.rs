//! Measures a request while it is worked on: how long it was worked on here, and when it was answered.
//!
//! Invariant: what is not `local` of the time until the answer was spent waiting for others. Deliberately does not know for whom.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ottla_runtime::seams::Clock;

use crate::answer::Answer;
use crate::metrics::Steps;

/// A request that is worked on.
pub(super) struct Timed<F> {
    work: F,
    clock: Arc<dyn Clock>,
    steps: Steps,
    /// The first turn began when the body was read.
    began: Option<Duration>,
}

impl<F> Timed<F> {
    /// A request whose body was read from `steps.started` on.
    pub(super) fn new(work: F, clock: Arc<dyn Clock>, steps: Steps) -> Self {
        Self { work, clock, began: Some(steps.started), steps }
    }
}

impl<F: Future<Output = Result<Answer, Infallible>> + Unpin> Future for Timed<F> {
    type Output = (Answer, Steps);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let began = self.began.take().unwrap_or_else(|| self.clock.monotonic());
        let polled = Pin::new(&mut self.work).poll(cx);
        let now = self.clock.monotonic();
        self.steps.local += now.saturating_sub(began);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(answer)) => {
                self.steps.answered = now;
                Poll::Ready((answer, self.steps))
            }
        }
    }
}
