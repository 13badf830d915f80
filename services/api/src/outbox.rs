//! What waits to be sent on a long-lived stream: filled by many callers, emptied by the one stream that is open.
//!
//! Invariant: items leave in the order in which they came, each through at most one stream; a stream that was replaced or
//! closed gives nothing any more. Never waits for a timer: a stream takes whatever is there.
//! Deliberately does not bound itself: whoever pushes counts what it has outstanding.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures::Stream;

/// A queue whose reader changes with each connection.
pub(crate) struct Outbox<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    items: VecDeque<T>,
    /// Counts the streams: only the latest takes, and only while `open`.
    generation: u64,
    open: bool,
    /// Whoever waits for an item: the open stream, or without one the task that opens it.
    waiting: Option<Waker>,
}

impl<T> Outbox<T> {
    pub(crate) fn new() -> Self {
        let state = State { items: VecDeque::new(), generation: 0, open: false, waiting: None };
        Self { state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }

    /// Puts an item at the end.
    pub(crate) fn push(&self, item: T) {
        let waiting = {
            let mut state = self.lock();
            state.items.push_back(item);
            state.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Completes when an item waits.
    pub(crate) async fn filled(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.items.is_empty() {
                state.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// The stream that takes from now on; any older one ends.
    pub(crate) fn open(self: &Arc<Self>) -> Outgoing<T> {
        let mut state = self.lock();
        state.generation += 1;
        state.open = true;
        Outgoing { outbox: Arc::clone(self), generation: state.generation }
    }

    /// Ends the stream and gives what was not taken. What is pushed from now on waits for the next stream.
    pub(crate) fn close(&self) -> VecDeque<T> {
        let (left, waiting) = {
            let mut state = self.lock();
            state.open = false;
            state.generation += 1;
            (std::mem::take(&mut state.items), state.waiting.take())
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        left
    }

    /// Ends the stream once everything that waits is taken.
    pub(crate) fn finish(&self) {
        let waiting = {
            let mut state = self.lock();
            state.open = false;
            state.waiting.take()
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    fn poll_take(&self, generation: u64, cx: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.lock();
        if generation != state.generation {
            return Poll::Ready(None);
        }
        if let Some(item) = state.items.pop_front() {
            return Poll::Ready(Some(item));
        }
        if !state.open {
            return Poll::Ready(None);
        }
        state.waiting = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// One connection's view of an [`Outbox`].
pub(crate) struct Outgoing<T> {
    outbox: Arc<Outbox<T>>,
    generation: u64,
}

impl<T> Stream for Outgoing<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.outbox.poll_take(self.generation, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt};

    #[test]
    fn a_new_stream_takes_over_what_the_old_one_left() {
        let outbox = Arc::new(Outbox::new());
        let mut first = outbox.open();
        outbox.push(1);
        outbox.push(2);
        assert_eq!(first.next().now_or_never(), Some(Some(1)));
        let mut second = outbox.open();
        assert_eq!(first.next().now_or_never(), Some(None));
        assert_eq!(second.next().now_or_never(), Some(Some(2)));
        assert_eq!(second.next().now_or_never(), None);
    }

    #[test]
    fn closing_empties_and_finishing_lets_the_rest_out() {
        let outbox = Arc::new(Outbox::new());
        let mut stream = outbox.open();
        outbox.push(1);
        outbox.finish();
        assert_eq!(stream.next().now_or_never(), Some(Some(1)));
        assert_eq!(stream.next().now_or_never(), Some(None));
        let mut stream = outbox.open();
        outbox.push(2);
        assert_eq!(outbox.close(), [2]);
        assert_eq!(stream.next().now_or_never(), Some(None));
        assert_eq!(outbox.len(), 0);
        outbox.push(3);
        assert_eq!(stream.next().now_or_never(), Some(None), "a closed stream takes nothing");
        assert_eq!(outbox.open().next().now_or_never(), Some(Some(3)));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_a_push() {
        let outbox = Arc::new(Outbox::new());
        let pushing = async { outbox.push(3) };
        tokio::join!(outbox.filled(), pushing);
        let mut stream = outbox.open();
        assert_eq!(stream.next().await, Some(3));
        let (taken, ()) = tokio::join!(stream.next(), async { outbox.push(4) });
        assert_eq!(taken, Some(4));
    }
}
