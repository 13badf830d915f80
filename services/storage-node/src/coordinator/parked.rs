//! Appends on their way, and the replies that wait for them.
//!
//! Invariant: appends are begun in the order in which they are pushed, and end here in that order; a reply leaves after the last
//! append that was pushed before it, so nothing is shown that could still be lost. Bounded by [`Parked::has_room`].

use std::collections::VecDeque;

use futures::FutureExt;
use futures::future::{BoxFuture, pending, ready};
use ottla_coordinator::{Reply, Token};
use ottla_types::{ErrorCode, Offset};

/// Appends of one coordinator that are on their way, at most.
const MAX_APPENDS: usize = 1024;
/// Bytes of those, above which none is begun.
const MAX_APPEND_BYTES: usize = 32 << 20;
/// Replies that wait, above which nothing is decided.
const MAX_PARKED_REPLIES: usize = 8192;

/// What became of an append: the offset of its first record.
pub(super) type Appended = Result<Offset, ErrorCode>;

/// What is on its way.
#[derive(Default)]
pub(super) struct Parked {
    appends: VecDeque<Append>,
    bytes: usize,
    replies: usize,
}

struct Append {
    done: BoxFuture<'static, Appended>,
    records: usize,
    bytes: usize,
    replies: Vec<(Token, Reply)>,
}

/// An append that ended.
pub(super) struct Ended {
    pub(super) appended: Appended,
    pub(super) records: usize,
    pub(super) replies: Vec<(Token, Reply)>,
}

impl Parked {
    /// Whether more may be decided.
    pub(super) fn has_room(&self) -> bool {
        self.appends.len() < MAX_APPENDS
            && self.bytes < MAX_APPEND_BYTES
            && self.replies < MAX_PARKED_REPLIES
    }

    /// Begins an append of so many records and bytes; the replies wait for it.
    pub(super) fn push(
        &mut self,
        mut append: BoxFuture<'static, Appended>,
        (records, bytes): (usize, usize),
        replies: Vec<(Token, Reply)>,
    ) {
        // The first poll begins it. Its waker does not matter: `next` polls whatever is in front with one of its own.
        let done = match append.as_mut().now_or_never() {
            Some(appended) => ready(appended).boxed(),
            None => append,
        };
        self.bytes += bytes;
        self.replies += replies.len();
        self.appends.push_back(Append { done, records, bytes, replies });
    }

    /// Parks replies behind the last append; gives them back if there is none to wait for.
    pub(super) fn park(&mut self, replies: Vec<(Token, Reply)>) -> Option<Vec<(Token, Reply)>> {
        let Some(last) = self.appends.back_mut() else { return Some(replies) };
        self.replies += replies.len();
        last.replies.extend(replies);
        None
    }

    /// Waits for the end of the first append; for ever if there is none. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Ended {
        let Some(front) = self.appends.front_mut() else { return pending().await };
        let appended = (&mut front.done).await;
        let ended = self.appends.pop_front().expect("it was in front, and nothing else pops");
        self.bytes -= ended.bytes;
        self.replies -= ended.replies.len();
        Ended { appended, records: ended.records, replies: ended.replies }
    }

    /// Waits for the end of all appends, whatever it is; nobody is answered.
    pub(super) async fn drain(&mut self) {
        while !self.appends.is_empty() {
            drop(self.next().await);
        }
    }
}

#[cfg(test)]
mod tests;
