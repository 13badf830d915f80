//! The requests of one connection that are worked on, in their order.
//!
//! Invariant: requests overlap and are first polled in their order; answers come out in it. What is counted when a request goes
//! in is taken back when its answer comes out. Deliberately does not know how a request is answered.

use std::future::ready;

use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};

use crate::answer::Answer;
use crate::metrics::Steps;
use crate::router::Route;

/// Requests of one connection that are worked on at a time; then it is not read.
const MAX_REQUESTS: usize = 128;
/// Bytes of the requests of one connection that are worked on at a time; then it is not read.
const MAX_BYTES: usize = 32 << 20;

/// A request that has its answer.
pub(super) struct Done {
    /// What becomes of it.
    pub(super) answer: Answer,
    /// Its route and its times; `None` for what is no row of the table.
    pub(super) measured: Option<(&'static Route, Steps)>,
    bytes: usize,
}

/// The requests that are worked on.
#[derive(Default)]
pub(super) struct InFlight {
    queue: FuturesOrdered<BoxFuture<'static, Done>>,
    bytes: usize,
}

impl InFlight {
    /// Whether nothing is worked on.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether another request may be read.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < MAX_REQUESTS && self.bytes < MAX_BYTES
    }

    /// A request of this many bytes starts; `work` gives its answer and its times.
    pub(super) fn push(
        &mut self,
        route: &'static Route,
        bytes: usize,
        work: impl Future<Output = (Answer, Steps)> + Send + 'static,
    ) {
        self.bytes += bytes;
        let done = work.map(move |(answer, steps)| {
            let measured = Some((route, steps));
            Done { answer, measured, bytes }
        });
        self.queue.push_back(done.boxed());
    }

    /// A request that has its answer already takes its turn.
    pub(super) fn push_answered(&mut self, answer: Answer) {
        self.queue.push_back(ready(Done { answer, measured: None, bytes: 0 }).boxed());
    }

    /// The next answer in the order of the requests. Can be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let done = self.queue.next().await?;
        self.bytes -= done.bytes;
        Some(done)
    }

    /// The next answer, if it is there.
    pub(super) fn next_ready(&mut self) -> Option<Done> {
        self.next().now_or_never().flatten()
    }
}
