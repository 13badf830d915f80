//! Asks whether the principal may call the API at all.
//!
//! Invariant: a request that is refused never reaches its handler. Rules about single topics and groups belong to the
//! handlers, which have the principal in their call. Deliberately does not know where rules come from.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use tower::{Layer, Service};

use crate::answer::Answer;
use crate::request::{Call, Request};

/// Decides who may do what.
pub(crate) trait Authorizer: Send + Sync + 'static {
    /// Whether the principal of this call may use its API.
    fn may_call(&self, call: &Call) -> bool;
}

/// Everybody may do everything: as in Kafka without an authorizer.
pub(crate) struct AllowAll;

impl Authorizer for AllowAll {
    fn may_call(&self, _: &Call) -> bool {
        true
    }
}

/// Puts [`Authorization`] around a service.
#[derive(Clone)]
pub(super) struct AuthorizationLayer {
    authorizer: Arc<dyn Authorizer>,
}

impl AuthorizationLayer {
    pub(super) fn new(authorizer: Arc<dyn Authorizer>) -> Self {
        Self { authorizer }
    }
}

impl<S> Layer<S> for AuthorizationLayer {
    type Service = Authorization<S>;

    fn layer(&self, inner: S) -> Authorization<S> {
        Authorization { authorizer: self.authorizer.clone(), inner }
    }
}

/// Asks before it calls.
#[derive(Clone)]
pub(super) struct Authorization<S> {
    authorizer: Arc<dyn Authorizer>,
    inner: S,
}

impl<S> Service<Request> for Authorization<S>
where
    S: Service<Request, Response = Answer, Error = Infallible>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Answer, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.authorizer.may_call(&request.call) {
            return Either::Left(self.inner.call(request));
        }
        let reason = format!("{} may not call {}", request.call.peer.principal, request.call.key);
        Either::Right(ready(Ok(Answer::Close(reason))))
    }
}
