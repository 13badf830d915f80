//! The request context and the failure of a call, between values and protobuf.
//!
//! Invariant: every [`CallError`] arrives as the same variant, seen from the caller: the peer's name is the caller's.
//! Deliberately does not know which service carries them.

use std::error::Error;
use std::time::Duration;

use ottla_proto::call::v1::{CallFailure, CallFailureKind, RequestContext as WireContext};
use ottla_types::limits::MAX_CLIENT_ID_BYTES;
use ottla_types::{DirectoryId, ListenerName, NodeId, Principal, TraceParent, Uuid};
use tonic::Code;
use tracing::Span;

use super::{CallError, Malformed, RequestContext};

/// The longest time that a peer may ask for.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// A field that must be there.
pub(crate) fn required<T>(field: Option<T>, what: &'static str) -> Result<T, Malformed> {
    field.ok_or(Malformed(what))
}

/// A directory id of 16 bytes.
pub(crate) fn directory_id(bytes: &[u8]) -> Result<DirectoryId, Malformed> {
    let id = bytes.try_into().map_err(|_| Malformed("a directory id has 16 bytes"))?;
    Ok(DirectoryId(Uuid::from_bytes(id)))
}

/// The context, with the caller's span as `traceparent`.
pub(crate) fn context_to_wire(
    context: &RequestContext,
    trace_parent: Option<TraceParent>,
) -> WireContext {
    WireContext {
        principal: context.principal.as_str().to_owned(),
        listener: context.listener.as_str().to_owned(),
        client_id: context.client_id.clone(),
        traceparent: trace_parent.map(|parent| parent.to_string()),
        timeout_ms: u32::try_from(context.timeout.as_millis()).unwrap_or(u32::MAX),
    }
}

/// The context without a span, and where its span hangs. A `traceparent` that makes no sense is ignored, as W3C asks.
pub(crate) fn context_from_wire(wire: WireContext) -> (RequestContext, Option<TraceParent>) {
    let trace_parent = wire.traceparent.and_then(|text| text.parse().ok());
    let timeout = Duration::from_millis(u64::from(wire.timeout_ms)).min(MAX_TIMEOUT);
    let context = RequestContext {
        principal: Principal::new(wire.principal),
        listener: ListenerName::new(wire.listener),
        client_id: wire.client_id.map(cut_client_id),
        timeout,
        span: Span::none(),
    };
    (context, trace_parent)
}

fn cut_client_id(mut id: String) -> String {
    if id.len() > MAX_CLIENT_ID_BYTES {
        let end = (0..=MAX_CLIENT_ID_BYTES).rev().find(|&at| id.is_char_boundary(at));
        id.truncate(end.unwrap_or(0));
    }
    id
}

/// The failure of a call, as the answering side says it.
pub(crate) fn failure_to_wire(error: &CallError) -> CallFailure {
    let (kind, active) = match error {
        CallError::Unreachable { .. } => (CallFailureKind::Unreachable, None),
        CallError::TimedOut(_) => (CallFailureKind::TimedOut, None),
        CallError::Overloaded(_) => (CallFailureKind::Overloaded, None),
        CallError::NotActive { active } => (CallFailureKind::NotActive, *active),
        CallError::Stopping => (CallFailureKind::Stopping, None),
        CallError::Malformed(_) => (CallFailureKind::Malformed, None),
    };
    CallFailure {
        kind: kind.into(),
        message: error.to_string(),
        active_node_id: active.map(|node| node.0),
    }
}

/// The failure of a call, as the asking side sees it.
pub(crate) fn failure_from_wire(wire: CallFailure, peer: &str, allowance: Duration) -> CallError {
    match wire.kind() {
        CallFailureKind::TimedOut => CallError::TimedOut(allowance),
        CallFailureKind::Overloaded => CallError::Overloaded(peer.to_owned()),
        CallFailureKind::NotActive => {
            CallError::NotActive { active: wire.active_node_id.map(NodeId) }
        }
        CallFailureKind::Stopping => CallError::Stopping,
        CallFailureKind::Malformed => CallError::Malformed(wire.message),
        CallFailureKind::Unreachable | CallFailureKind::Unspecified => {
            CallError::Unreachable { peer: peer.to_owned(), cause: wire.message }
        }
    }
}

/// What gRPC says of a call that it could not carry: the innermost cause is the one that helps.
pub(crate) fn unreachable(peer: &str, status: &tonic::Status) -> CallError {
    let mut cause = status.message().to_owned();
    let mut source = status.source();
    while let Some(inner) = source {
        cause = inner.to_string();
        source = inner.source();
    }
    CallError::Unreachable { peer: peer.to_owned(), cause }
}

/// The failure of a call whose answer has no room for it.
pub(crate) fn failure_to_status(error: &CallError) -> tonic::Status {
    let code = match error {
        CallError::TimedOut(_) => Code::DeadlineExceeded,
        CallError::Overloaded(_) => Code::ResourceExhausted,
        CallError::Malformed(_) => Code::InvalidArgument,
        CallError::Unreachable { .. } | CallError::NotActive { .. } | CallError::Stopping => {
            Code::Unavailable
        }
    };
    tonic::Status::new(code, error.to_string())
}

/// The reverse of [`failure_to_status`], as far as it goes.
pub(crate) fn status_to_failure(
    peer: &str,
    status: &tonic::Status,
    allowance: Duration,
) -> CallError {
    match status.code() {
        Code::DeadlineExceeded => CallError::TimedOut(allowance),
        Code::ResourceExhausted => CallError::Overloaded(peer.to_owned()),
        Code::InvalidArgument => CallError::Malformed(status.message().to_owned()),
        _ => unreachable(peer, status),
    }
}

/// Whether a call failed before there was a connection to send it on: then it was not begun.
pub(crate) fn never_connected(status: &tonic::Status) -> bool {
    let mut source = status.source();
    while let Some(inner) = source {
        if inner.is::<tonic::ConnectError>() {
            return true;
        }
        source = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_arrives_as_the_same_variant() {
        let allowance = Duration::from_millis(7);
        for error in [
            CallError::TimedOut(allowance),
            CallError::Overloaded("node 1".to_owned()),
            CallError::NotActive { active: Some(NodeId(3)) },
            CallError::NotActive { active: None },
            CallError::Stopping,
        ] {
            assert_eq!(failure_from_wire(failure_to_wire(&error), "node 1", allowance), error);
        }
    }

    #[test]
    fn a_client_id_is_cut_between_characters() {
        let long = "é".repeat(MAX_CLIENT_ID_BYTES);
        let cut = cut_client_id(format!("a{long}"));
        assert_eq!(cut.len(), MAX_CLIENT_ID_BYTES - 1);
        assert_eq!(cut_client_id("short".to_owned()), "short");
    }

    #[test]
    fn a_traceparent_travels_and_nonsense_is_ignored() {
        let parent = TraceParent { trace_id: 5, span_id: 6, sampled: true };
        let context = RequestContext::internal(Duration::from_secs(1));
        let mut wire = context_to_wire(&context, Some(parent));
        assert_eq!(context_from_wire(wire.clone()).1, Some(parent));
        wire.traceparent = Some("nonsense".to_owned());
        assert_eq!(context_from_wire(wire).1, None);
    }
}
