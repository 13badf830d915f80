//! Threads and tasks as a seam. In a simulation every actor is a task of the one simulated runtime.

use futures::future::{BoxFuture, LocalBoxFuture};

/// What an actor runs: made on its own thread, so that it may hold what cannot change threads.
pub type Actor = Box<dyn FnOnce() -> LocalBoxFuture<'static, ()> + Send>;

/// Where work runs.
pub trait Tasks: Send + Sync + 'static {
    /// Runs a future beside others on the shared workers. It must not block.
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) -> TaskHandle;

    /// Serves one connection to its end. Where the process has network threads, all of it runs on one of them: what it waits
    /// for wakes that thread and no other. It must not block; its stream is to be [settled](super::NetStream::settle) there.
    fn spawn_connection(&self, name: &'static str, future: BoxFuture<'static, ()>) -> TaskHandle;

    /// Runs an actor on a thread of its own (with a timer and I/O, as one-thread tokio runtime). It may block on disk.
    fn spawn_actor(&self, name: String, actor: Actor) -> TaskHandle;

    /// Runs blocking work off the shared workers; the future completes when it is done.
    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()>;
}

/// A running task. Dropping the handle lets the task run on.
pub struct TaskHandle {
    join: BoxFuture<'static, Result<(), String>>,
    abort: Box<dyn Fn() + Send + Sync>,
}

impl TaskHandle {
    /// A handle from its two abilities; for implementations of [`Tasks`].
    pub fn new(
        join: BoxFuture<'static, Result<(), String>>,
        abort: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        Self { join, abort }
    }

    /// Completes when the task ended; `Err` holds the message of its panic.
    pub async fn join(self) -> Result<(), String> {
        self.join.await
    }

    /// Asks the task to stop at its next await. An actor on its own thread is told by its inbox instead, and ignores this.
    pub fn abort(&self) {
        (self.abort)();
    }
}
