//! The spans of a request: made only when it is sampled, carried from role to role as a [`TraceParent`].
//!
//! Invariant: an unsampled request has [`Span::none`] everywhere, so that each step costs one comparison. A span begins when it is
//! made and ends when it is dropped, but one that was entered (`instrument`) ends when it was left for the last time.

use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, Value};
use ottla_types::TraceParent;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::telemetry::sampling;

/// The target of every span that is exported.
pub const SPAN_TARGET: &str = "ottla::trace";
/// Links of one span; further producers of a batch are not linked.
pub const TRACE_LINKS_MAX: usize = 128;

/// What a span stands for, in OpenTelemetry's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work asked for by another process.
    Server,
    /// Waiting for another process.
    Client,
    /// Work of this process alone.
    Internal,
}

impl SpanKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Internal => "internal",
        }
    }
}

/// The first span of a request in this process: decides whether the request is traced. `parent` is the caller's, `links` are
/// others that led to it (the producers of a batch). `role` becomes the attribute `ottla.role`.
pub fn root_span(
    role: &'static str,
    name: &str,
    kind: SpanKind,
    parent: Option<TraceParent>,
    links: &[TraceParent],
) -> Span {
    if !sampling::decide(parent, links) {
        return Span::none();
    }
    let span = entry_span(role, name, kind, parent);
    for link in links.iter().take(TRACE_LINKS_MAX) {
        span.add_link(remote_context(*link));
    }
    span
}

/// The first span of a request that another role has begun: follows that role's decision, makes none of its own.
pub fn span_from_remote(
    role: &'static str,
    name: &str,
    kind: SpanKind,
    parent: Option<TraceParent>,
) -> Span {
    match parent {
        Some(parent) if parent.sampled && sampling::is_on() => {
            entry_span(role, name, kind, Some(parent))
        }
        _ => Span::none(),
    }
}

/// A step below a span that is known by its `TraceParent` only: for an actor that got a message instead of a span.
pub fn child_of_remote(name: &str, parent: Option<TraceParent>) -> Span {
    match parent {
        Some(parent) if parent.sampled && sampling::is_on() => {
            let span = info_span!(target: SPAN_TARGET, parent: None, "step", otel.name = name);
            hang_under(&span, parent);
            span
        }
        _ => Span::none(),
    }
}

fn entry_span(role: &'static str, name: &str, kind: SpanKind, parent: Option<TraceParent>) -> Span {
    let span = info_span!(
        target: SPAN_TARGET,
        parent: None,
        "request",
        otel.name = name,
        otel.kind = kind.name(),
        ottla.role = role,
    );
    if let Some(parent) = parent {
        hang_under(&span, parent);
    }
    span
}

fn hang_under(span: &Span, parent: TraceParent) {
    // Fails only where no exporter listens, and then nobody sees the span.
    _ = span.set_parent(Context::new().with_remote_span_context(remote_context(parent)));
}

fn remote_context(parent: TraceParent) -> SpanContext {
    let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    SpanContext::new(
        TraceId::from(parent.trace_id),
        SpanId::from(parent.span_id),
        flags,
        true,
        TraceState::NONE,
    )
}

/// What to send along so that the next role's span hangs under this one; `None` for an unsampled request.
pub fn trace_parent_of(span: &Span) -> Option<TraceParent> {
    if !sampled(span) {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    context.is_valid().then(|| TraceParent {
        trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(context.span_id().to_bytes()),
        sampled: context.is_sampled(),
    })
}

/// Whether this span is recorded: guards the making of costly attributes.
pub fn sampled(span: &Span) -> bool {
    !span.is_disabled()
}

/// Adds an attribute to a span that is recorded.
pub fn set_attribute(span: &Span, key: &'static str, value: impl Into<Value>) {
    if sampled(span) {
        span.set_attribute(key, value);
    }
}

/// Marks a span that is recorded as failed, with the cause.
pub fn mark_error(span: &Span, cause: &str) {
    if sampled(span) {
        span.set_status(Status::error(cause.to_owned()));
    }
}

/// A step below a span: `child_span!(parent, "journal.sync", bytes = n)`. [`Span::none`] where the parent is.
#[macro_export]
macro_rules! child_span {
    ($parent:expr, $name:literal $(, $($fields:tt)*)?) => {{
        let parent: &$crate::telemetry::tracing::Span = &$parent;
        if parent.is_disabled() {
            $crate::telemetry::tracing::Span::none()
        } else {
            $crate::telemetry::tracing::info_span!(
                target: "ottla::trace",
                parent: parent,
                $name,
                $($($fields)*)?
            )
        }
    }};
}
