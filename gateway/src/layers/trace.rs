//! Begins the span of a request, under the trace that the client began if the request carries one.
//!
//! Invariant: a request that is not sampled builds no span, and while tracing is off no request is searched for a trace.
//! Deliberately does not know which APIs carry traces: their rows of the table do.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ottla_runtime::telemetry::{
    SpanKind, is_on, mark_error, root_span, sampled, set_attribute, trace_parent_of,
};
use tower::{Layer, Service};
use tracing::instrument::Instrumented;
use tracing::{Instrument, Span};

use crate::answer::Answer;
use crate::request::Request;

/// What the first attribute of every span says.
const ROLE: &str = "gateway";

/// Puts [`Trace`] around a service.
#[derive(Clone)]
pub(super) struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// Begins spans.
#[derive(Clone)]
pub(super) struct Trace<S> {
    inner: S,
}

impl<S> Service<Request> for Trace<S>
where
    S: Service<Request, Response = Answer, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let span = if is_on() { begin(&request) } else { Span::none() };
        request.call.span = span.clone();
        Traced { work: self.inner.call(request).instrument(span) }
    }
}

/// A request inside its span; its answer knows the trace.
pub(super) struct Traced<F> {
    work: Instrumented<F>,
}

impl<F: Future<Output = Result<Answer, Infallible>> + Unpin> Future for Traced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Ok(mut answer) = ready!(Pin::new(&mut self.work).poll(cx));
        match &mut answer {
            Answer::Send(frame) => frame.trace = trace_parent_of(self.work.span()),
            Answer::Silent => {}
            Answer::Close(reason) => mark_error(self.work.span(), reason),
        }
        Poll::Ready(Ok(answer))
    }
}

fn begin(request: &Request) -> Span {
    let call = &request.call;
    let (parent, links) = request.route.producers(&request.body, call.version);
    let span = root_span(ROLE, call.key.name(), SpanKind::Server, parent, &links);
    if sampled(&span) {
        set_attribute(&span, "kafka.api_version", i64::from(call.version));
        set_attribute(&span, "kafka.correlation_id", i64::from(call.correlation_id));
        set_attribute(&span, "client.address", call.peer.address.to_string());
        set_attribute(&span, "ottla.listener", call.peer.listener.to_string());
        if let Some(client_id) = &call.client_id {
            set_attribute(&span, "messaging.client.id", client_id.clone());
        }
    }
    span
}
