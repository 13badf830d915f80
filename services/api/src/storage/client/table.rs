//! The correlation table of one stream: which calls wait to be sent or for an answer, and how much that is.
//!
//! Invariant: every call that was entered is answered once or given up by its caller, and gives back what it counted for
//! exactly then; a frame that was not sent goes with its call. Ids only grow. Deliberately knows neither connection nor clock.

use std::collections::BTreeMap;

use ottla_proto::storage::v1::ExchangeRequest;
use ottla_proto::storage::v1::exchange_response::Response;
use tokio::sync::oneshot;

use crate::context::CallError;

/// Most unanswered requests of a stream that may wait: fetches, for as long as `max_wait_ms`, or what is asked of coordinators,
/// for as long as a rebalance takes.
pub const MAX_OUTSTANDING_FETCHES: usize = 16_384;
/// Most other unanswered requests of a stream.
pub const MAX_OUTSTANDING_REQUESTS: usize = 4_096;
/// Most bytes of records in unanswered requests of a stream. Holds the largest request (`socket.request.max.bytes`, 100 MiB).
pub const MAX_OUTSTANDING_BYTES: usize = 128 << 20;

/// What a call counts for while it is unanswered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    fetches: usize,
    requests: usize,
    bytes: usize,
}

impl Cost {
    /// A fetch: may be slow, carries nothing.
    pub(super) const FETCH: Self = Self { fetches: 1, requests: 0, bytes: 0 };

    /// A request that may wait for others, with so many bytes.
    pub(super) const fn waiting(bytes: usize) -> Self {
        Self { fetches: 1, requests: 0, bytes }
    }

    /// Any other request, with so many bytes of records.
    pub(super) const fn request(bytes: usize) -> Self {
        Self { fetches: 0, requests: 1, bytes }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            fetches: self.fetches + other.fetches,
            requests: self.requests + other.requests,
            bytes: self.bytes + other.bytes,
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            fetches: self.fetches - other.fetches,
            requests: self.requests - other.requests,
            bytes: self.bytes - other.bytes,
        }
    }

    /// Whether that is within the bounds of a stream.
    pub(super) const fn fits(self) -> bool {
        self.fetches <= MAX_OUTSTANDING_FETCHES
            && self.requests <= MAX_OUTSTANDING_REQUESTS
            && self.bytes <= MAX_OUTSTANDING_BYTES
    }
}

pub(super) type Answer = Result<Response, CallError>;

/// What the caller waits for.
pub(super) enum Reply {
    /// The answer.
    Answer(oneshot::Sender<Answer>),
    /// That the request is sent: nobody answers it.
    Sent(oneshot::Sender<Result<(), CallError>>),
}

impl Reply {
    /// There will be no answer.
    pub(super) fn fail(self, error: CallError) {
        // A caller that went away in this very moment does not need it.
        match self {
            Self::Answer(reply) => _ = reply.send(Err(error)),
            Self::Sent(reply) => _ = reply.send(Err(error)),
        }
    }
}

struct Call {
    cost: Cost,
    /// Until it is sent.
    frame: Option<ExchangeRequest>,
    reply: Reply,
}

/// The calls of one stream. Ordered by id, so that a break answers them in the order in which they were made.
#[derive(Default)]
pub(super) struct Table {
    calls: BTreeMap<u64, Call>,
    last_id: u64,
    used: Cost,
}

impl Table {
    /// Whether a call of this cost may be entered.
    pub(super) fn has_room(&self, cost: Cost) -> bool {
        self.used.plus(cost).fits()
    }

    /// Enters a call for which there is room, and gives its id, which its frame gets too.
    pub(super) fn enter(&mut self, cost: Cost, mut frame: ExchangeRequest, reply: Reply) -> u64 {
        self.used = self.used.plus(cost);
        self.last_id += 1;
        frame.correlation_id = self.last_id;
        self.calls.insert(self.last_id, Call { cost, frame: Some(frame), reply });
        self.last_id
    }

    /// Ends a call and gives the way to its caller; `None` for an id that is not (any more) in the table.
    pub(super) fn end(&mut self, id: u64) -> Option<Reply> {
        let call = self.calls.remove(&id)?;
        self.used = self.used.minus(call.cost);
        Some(call.reply)
    }

    /// The frame of a call that is about to be sent; `None` if it should not be any more. A call that nobody answers is over
    /// with it.
    pub(super) fn send(&mut self, id: u64) -> Option<ExchangeRequest> {
        let call = self.calls.get_mut(&id)?;
        let frame = call.frame.take();
        if matches!(call.reply, Reply::Sent(_))
            && let Some(Reply::Sent(reply)) = self.end(id)
        {
            // Its caller may be gone.
            _ = reply.send(Ok(()));
        }
        frame
    }

    /// Ends all calls and gives the ways to their callers, oldest first.
    pub(super) fn end_all(&mut self) -> Vec<Reply> {
        self.used = Cost::default();
        std::mem::take(&mut self.calls).into_values().map(|call| call.reply).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered() -> Reply {
        Reply::Answer(oneshot::channel().0)
    }

    #[test]
    fn what_a_call_counted_for_is_given_back_once() {
        let mut table = Table::default();
        let all = Cost::request(MAX_OUTSTANDING_BYTES);
        let id = table.enter(all, ExchangeRequest::default(), answered());
        assert!(!table.has_room(Cost::request(1)));
        assert!(table.has_room(Cost::FETCH), "fetches have a bound of their own");
        assert!(table.end(id).is_some());
        assert!(table.end(id).is_none());
        assert!(table.has_room(all));
        assert_eq!(table.used, Cost::default());
    }

    #[test]
    fn a_call_without_answer_is_over_when_it_is_sent_and_not_before() {
        let mut table = Table::default();
        let (reply, mut sent) = oneshot::channel();
        let id = table.enter(Cost::request(7), ExchangeRequest::default(), Reply::Sent(reply));
        assert!(sent.try_recv().is_err());
        assert_eq!(table.send(id).map(|frame| frame.correlation_id), Some(id));
        assert_eq!(sent.try_recv(), Ok(Ok(())));
        assert!(table.send(id).is_none());
        assert_eq!(table.used, Cost::default());
    }

    #[test]
    fn a_call_that_was_given_up_is_not_sent() {
        let mut table = Table::default();
        let id = table.enter(Cost::request(7), ExchangeRequest::default(), answered());
        table.end(id);
        assert!(table.send(id).is_none());
    }
}
