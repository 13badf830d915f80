//! The innermost service: gives a request to the handler of its row.
//!
//! Invariant: the body is read in `call` itself, so the order of calls is the order in which handlers start.
//! Deliberately knows nothing of what surrounds it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::{BoxFuture, Map};
use tower::Service;

use crate::answer::Answer;
use crate::request::Request;

/// Calls the handler.
#[derive(Clone)]
pub(super) struct Dispatch;

impl Service<Request> for Dispatch {
    type Response = Answer;
    type Error = Infallible;
    type Future = Map<BoxFuture<'static, Answer>, fn(Answer) -> Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Request { route, call, body, memory } = request;
        route.handle(call, body, memory).map(Ok)
    }
}
