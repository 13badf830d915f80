//! The memory of answers: of each from the moment it is built, or its records are asked for, until it is written.
//!
//! Invariant: every answer, of whatever API, is in the account of its connection, and every account in the one sum of the
//! gateway. What can wait for memory waits until the sum is below its mark; answers behind others get only half of it, so that
//! the answer in front of a connection, which needs nothing but its client to leave, always finds room in time.
//! Deliberately does not know what an answer holds. Regions of files are no memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Mutex, Notify};

/// Bytes of unsent answers of one connection; beyond, it is not read.
pub(crate) const MAX_UNSENT_BYTES: usize = 1 << 20;

/// What the answers of all connections take. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct AnswerMemory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    /// A figure of the gateway, and the sum itself.
    held: Gauge,
    /// Answers that are in front of their connection.
    first: Lane,
    /// Answers behind others.
    behind: Lane,
}

/// Those who wait for memory, in the order in which they came.
#[derive(Debug, Default)]
struct Lane {
    waiting: AtomicUsize,
    turn: Mutex<()>,
    freed: Notify,
}

/// What the answers of one connection take.
#[derive(Debug)]
pub(crate) struct AnswerAccount {
    memory: Arc<Shared>,
    unsent: AtomicUsize,
}

/// The memory of one answer; given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldAnswer {
    account: Arc<AnswerAccount>,
    bytes: usize,
}

impl AnswerMemory {
    /// Room for this many bytes, or for one answer with a batch of the largest size if that is more; `held` tells how many are
    /// taken.
    pub(crate) fn new(limit: usize, largest_batch_bytes: usize, held: Gauge) -> Self {
        let limit = limit.max(largest_batch_bytes);
        let shared = Shared { limit, held, first: Lane::default(), behind: Lane::default() };
        Self { shared: Arc::new(shared) }
    }

    /// The account of a new connection.
    pub(crate) fn account(&self) -> Arc<AnswerAccount> {
        Arc::new(AnswerAccount { memory: self.shared.clone(), unsent: AtomicUsize::new(0) })
    }
}

impl AnswerAccount {
    /// Counts an answer that is there; this cannot wait.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> HeldAnswer {
        self.memory.held().fetch_add(signed(bytes), Ordering::SeqCst);
        self.counted(bytes)
    }

    /// Takes this much, if there is room and nobody waits for it.
    pub(crate) fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<HeldAnswer> {
        if bytes > 0 && self.memory.first.is_busy() {
            return None;
        }
        self.memory.take(bytes, bytes).map(|bytes| self.counted(bytes))
    }

    /// Takes as much as is wanted, or less when little is left, but not less than `least`; waits for that.
    pub(crate) async fn reserve(self: &Arc<Self>, least: usize, wanted: usize) -> HeldAnswer {
        let memory = &self.memory;
        let bytes = memory.first.wait(|| memory.take(least, wanted)).await;
        self.counted(bytes)
    }

    /// Waits until there is room for an answer whose size is not known before it is built.
    pub(crate) async fn room(&self, is_first: bool) {
        let memory = &self.memory;
        let (lane, mark) = match is_first {
            true => (&memory.first, memory.limit),
            false => (&memory.behind, memory.limit / 2),
        };
        lane.wait(|| (memory.held().load(Ordering::SeqCst) < signed(mark)).then_some(())).await;
    }

    /// Whether the connection must send before it reads on.
    pub(crate) fn is_full(&self) -> bool {
        self.unsent() >= MAX_UNSENT_BYTES
    }

    /// Bytes of this connection that wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Whether other connections wait for memory.
    pub(crate) fn is_scarce(&self) -> bool {
        self.memory.first.is_busy()
    }

    /// What was added to the sum is this connection's.
    fn counted(self: &Arc<Self>, bytes: usize) -> HeldAnswer {
        self.unsent.fetch_add(bytes, Ordering::Relaxed);
        HeldAnswer { account: self.clone(), bytes }
    }

    fn give_back(&self, bytes: usize) {
        self.unsent.fetch_sub(bytes, Ordering::Relaxed);
        self.memory.held().fetch_sub(signed(bytes), Ordering::SeqCst);
        self.memory.first.tell();
        self.memory.behind.tell();
    }
}

impl HeldAnswer {
    /// How much it is.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it this much; false, and nothing changed, if there is no room for more.
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        match bytes.checked_sub(self.bytes) {
            None => self.account.give_back(self.bytes - bytes),
            Some(more) => match self.account.try_reserve(more) {
                // Its bytes are this answer's from now on.
                Some(mut taken) => taken.bytes = 0,
                None => return false,
            },
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for HeldAnswer {
    fn drop(&mut self) {
        self.account.give_back(self.bytes);
    }
}

impl Shared {
    fn held(&self) -> &AtomicI64 {
        self.held.inner()
    }

    /// Between `least` and `wanted`: never more than half of what is left unless that is `least`, so that many get some.
    fn take(&self, least: usize, wanted: usize) -> Option<usize> {
        let grant = |held: i64| {
            let left = self.limit.saturating_sub(usize::try_from(held).unwrap_or(0));
            let grant = wanted.min(least.max(left / 2));
            (grant <= left).then_some(grant)
        };
        let add = |held| grant(held).map(|bytes| held + signed(bytes));
        let before = self.held().fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        grant(before)
    }
}

impl Lane {
    /// Makes attempts until one succeeds: one at once, the others when memory was given back.
    async fn wait<T>(&self, attempt: impl Fn() -> Option<T>) -> T {
        if !self.is_busy()
            && let Some(done) = attempt()
        {
            return done;
        }
        let _waiting = Waiting::new(&self.waiting);
        let _turn = self.turn.lock().await;
        loop {
            if let Some(done) = attempt() {
                return done;
            }
            self.freed.notified().await;
        }
    }

    fn is_busy(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Memory was given back.
    fn tell(&self) {
        // Whoever waits counted himself before he looked at the sum, which was lowered before this.
        if self.is_busy() {
            self.freed.notify_one();
        }
    }
}

/// Counted while it waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
