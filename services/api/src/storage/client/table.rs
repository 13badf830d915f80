//! The correlation table of one stream: which calls wait for which answer, and how much that is.
//!
//! Invariant: every call that was entered is answered once or given up by its caller, and gives back what it counted for
//! exactly then. Ids only grow. Deliberately knows neither connection nor clock.

use std::collections::BTreeMap;

use ottla_proto::storage::v1::exchange_response::Response;
use tokio::sync::oneshot;

use crate::context::CallError;

/// Most unanswered fetches of a stream; each may wait for as long as `max_wait_ms`.
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

    const fn fits(self) -> bool {
        self.fetches <= MAX_OUTSTANDING_FETCHES
            && self.requests <= MAX_OUTSTANDING_REQUESTS
            && self.bytes <= MAX_OUTSTANDING_BYTES
    }
}

pub(super) type Answer = Result<Response, CallError>;

struct Call {
    cost: Cost,
    /// `None`: no answer is wanted; the call is over once it is sent.
    reply: Option<oneshot::Sender<Answer>>,
}

/// The calls of one stream. Ordered by id, so that a break answers them in the order in which they were made.
#[derive(Default)]
pub(super) struct Table {
    calls: BTreeMap<u64, Call>,
    last_id: u64,
    used: Cost,
    /// Why there is no connection, while none is tried.
    pub(super) down: Option<CallError>,
}

impl Table {
    /// Enters a call and gives its id; `None` if that is more than fits.
    pub(super) fn enter(
        &mut self,
        cost: Cost,
        reply: Option<oneshot::Sender<Answer>>,
    ) -> Option<u64> {
        let used = self.used.plus(cost);
        if !used.fits() {
            return None;
        }
        self.used = used;
        self.last_id += 1;
        self.calls.insert(self.last_id, Call { cost, reply });
        Some(self.last_id)
    }

    /// Ends a call and gives the way to its caller; `None` for an id that is not (any more) in the table.
    pub(super) fn end(&mut self, id: u64) -> Option<oneshot::Sender<Answer>> {
        let call = self.calls.remove(&id)?;
        self.used = self.used.minus(call.cost);
        call.reply
    }

    /// The call is about to be sent: whether it still should be. One without answer is over with it.
    pub(super) fn send(&mut self, id: u64) -> bool {
        let Some(call) = self.calls.get(&id) else { return false };
        if call.reply.is_none() {
            self.end(id);
        }
        true
    }

    /// Ends all calls and gives the ways to their callers, oldest first.
    pub(super) fn end_all(&mut self) -> Vec<oneshot::Sender<Answer>> {
        self.used = Cost::default();
        std::mem::take(&mut self.calls).into_values().filter_map(|call| call.reply).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_counted_for_is_given_back_once() {
        let mut table = Table::default();
        let (reply, _answer) = oneshot::channel();
        let all = Cost::request(MAX_OUTSTANDING_BYTES);
        let id = table.enter(all, Some(reply)).expect("it fits");
        assert_eq!(table.enter(Cost::request(1), None), None);
        assert!(table.enter(Cost::FETCH, None).is_some(), "fetches have a bound of their own");
        assert!(table.end(id).is_some());
        assert!(table.end(id).is_none());
        assert!(table.enter(all, None).is_some());
    }

    #[test]
    fn a_call_without_answer_is_over_when_it_is_sent() {
        let mut table = Table::default();
        let id = table.enter(Cost::request(7), None).expect("it fits");
        assert!(table.send(id));
        assert!(!table.send(id));
        assert_eq!(table.used, Cost::default());
    }
}
