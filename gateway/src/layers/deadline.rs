//! Ends what hangs: a request that no time-out of its own has ended.
//!
//! Invariant: a request leaves the gateway after [`LONGEST_REQUEST`] at the latest, and its connection with it, because
//! nothing is known of what became of it. Shorter time-outs are in the requests themselves and obeyed by the handlers.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, Map, Select, select};
use ottla_runtime::seams::Clock;
use tower::{Layer, Service};

use crate::answer::Answer;
use crate::handlers::LONGEST_WAIT;
use crate::request::Request;

/// The longest wait that a request may ask for, and time to answer it.
const LONGEST_REQUEST: Duration = LONGEST_WAIT.saturating_add(Duration::from_secs(30));

type Outcome = Result<Answer, Infallible>;

/// Puts [`Deadline`] around a service.
#[derive(Clone)]
pub(super) struct DeadlineLayer {
    clock: Arc<dyn Clock>,
}

impl DeadlineLayer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { clock: self.clock.clone(), inner }
    }
}

/// Bounds the time of a service.
#[derive(Clone)]
pub(super) struct Deadline<S> {
    clock: Arc<dyn Clock>,
    inner: S,
}

impl<S> Service<Request> for Deadline<S>
where
    S: Service<Request, Response = Answer, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Map<
        Select<S::Future, BoxFuture<'static, ()>>,
        fn(Either<(Outcome, BoxFuture<'static, ()>), ((), S::Future)>) -> Outcome,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // A timer is armed at its first poll: a request that is answered at once never arms it.
        let end = self.clock.sleep(LONGEST_REQUEST);
        select(self.inner.call(request), end).map(|first| match first {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                let limit = LONGEST_REQUEST.as_secs();
                Ok(Answer::Close(format!("a request was not answered within {limit} s")))
            }
        })
    }
}
