//! What every request carries besides its content, and how a call itself can fail.

pub(crate) mod wire;

use std::time::Duration;

use ottla_types::{ListenerName, Principal};
use tracing::Span;

/// Who asks, from where, until when, in which trace.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who asks.
    pub principal: Principal,
    /// The listener that the request came in on.
    pub listener: ListenerName,
    /// The client's own name, at most 256 bytes.
    pub client_id: Option<String>,
    /// Time left for the answer. A hop subtracts nothing: it is the whole allowance from the moment of the call.
    pub timeout: Duration,
    /// The span to hang under; `Span::none()` when the request is not sampled. Across processes it travels as `traceparent`.
    pub span: Span,
}

impl RequestContext {
    /// A request that Ottla makes on its own account.
    pub fn internal(timeout: Duration) -> Self {
        Self {
            principal: Principal::new("User:ottla"),
            listener: ListenerName::new("INTERNAL"),
            client_id: None,
            timeout,
            span: Span::none(),
        }
    }
}

/// The call itself failed: nothing is known of what became of the request. What the domain refuses is in the answers instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer cannot be reached, or the connection broke before the answer came.
    #[error("{peer} cannot be reached: {cause}; check that it runs and that its address is right")]
    Unreachable {
        /// Who.
        peer: String,
        /// Why.
        cause: String,
    },
    /// No answer in time.
    #[error("no answer within {}", humantime(.0))]
    TimedOut(Duration),
    /// The peer is full: its inbox or its window. Nothing was done.
    #[error("{0} has too much to do; try again")]
    Overloaded(String),
    /// The peer is not the active controller, and did not begin what was asked: it may be asked of another. A controller that
    /// loses its role with a command already proposed says [`CallError::TimedOut`] or [`CallError::Unreachable`] instead.
    #[error("not the active controller{}", .active.map(|n| format!("; node {n} is")).unwrap_or_default())]
    NotActive {
        /// Who is, if known.
        active: Option<ottla_types::NodeId>,
    },
    /// The peer is stopping.
    #[error("the peer is stopping")]
    Stopping,
    /// The bytes of the peer make no sense.
    #[error("the peer's message is not understood: {0}")]
    Malformed(String),
}

/// Bytes of a peer that make no sense, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

impl From<Malformed> for CallError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0.to_owned())
    }
}

fn humantime(duration: &Duration) -> String {
    format!("{} ms", duration.as_millis())
}
