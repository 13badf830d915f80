//! Ends what hangs: a request that no time-out of its own has ended.
//!
//! Invariant: a request leaves the gateway after the longest time of its class at the latest, and its connection with it,
//! because nothing is known of what became of it. Shorter time-outs are in the requests themselves and obeyed by the handlers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, Select, select};
use ottla_runtime::seams::Clock;
use tower::{Layer, Service};

use crate::answer::Answer;
use crate::request::Request;

type Outcome = Result<Answer, Infallible>;

/// Puts [`Deadline`] around a service.
#[derive(Clone)]
pub(super) struct DeadlineLayer {
    clock: Arc<dyn Clock>,
    limit: Duration,
}

impl DeadlineLayer {
    pub(super) fn new(clock: Arc<dyn Clock>, limit: Duration) -> Self {
        Self { clock, limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { clock: self.clock.clone(), limit: self.limit, inner }
    }
}

/// Bounds the time of a service.
#[derive(Clone)]
pub(super) struct Deadline<S> {
    clock: Arc<dyn Clock>,
    limit: Duration,
    inner: S,
}

impl<S> Service<Request> for Deadline<S>
where
    S: Service<Request, Response = Answer, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Limited<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // A timer is armed at its first poll: a request that is answered at once never arms it.
        let end = self.clock.sleep(self.limit);
        Limited { work: select(self.inner.call(request), end), limit: self.limit }
    }
}

/// A request, and the end of its time.
pub(super) struct Limited<F> {
    work: Select<F, BoxFuture<'static, ()>>,
    limit: Duration,
}

impl<F: Future<Output = Outcome> + Unpin> Future for Limited<F> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Ready(match ready!(self.work.poll_unpin(cx)) {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                let limit = self.limit.as_secs();
                Ok(Answer::Close(format!("a request was not answered within {limit} s")))
            }
        })
    }
}
