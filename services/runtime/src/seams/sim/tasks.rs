//! Tasks and actors on the one runtime of a simulated host.
//!
//! Invariant: nothing runs on a thread of its own, so that the order of steps depends on nothing but the seed.

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::seams::{Actor, TaskHandle, Tasks};

/// Work that waits to be started on the host's local set.
type Start = Box<dyn FnOnce() + Send>;

/// The workers of a simulated host.
#[derive(Clone, Debug)]
pub struct SimTasks {
    // Unbounded, which no queue of production is: a simulated host starts some dozens of actors in its life.
    starts: mpsc::UnboundedSender<Start>,
}

impl SimTasks {
    /// The workers of the host that this is called in. It must be called within a `LocalSet`: in a turmoil host, or a test's own.
    pub fn new() -> Self {
        let (starts, mut waiting) = mpsc::unbounded_channel::<Start>();
        // Actors may be started by tasks that run outside the local set (hyper's, for one), where `spawn_local` panics.
        tokio::task::spawn_local(async move {
            while let Some(start) = waiting.recv().await {
                start();
            }
        });
        Self { starts }
    }
}

impl Default for SimTasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks for SimTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) -> TaskHandle {
        let task = tokio::spawn(future);
        let abort = task.abort_handle();
        let join = join(name.to_owned(), task);
        TaskHandle::new(join.boxed(), Box::new(move || abort.abort()))
    }

    fn spawn_connection(&self, name: &'static str, future: BoxFuture<'static, ()>) -> TaskHandle {
        self.spawn(name, future)
    }

    fn spawn_actor(&self, name: String, actor: Actor) -> TaskHandle {
        let (tell, told) = oneshot::channel();
        let start: Start = Box::new(move || {
            // Nobody may be waiting.
            _ = tell.send(tokio::task::spawn_local(async move { actor().await }));
        });
        let ended = format!("{name} was never started: its host ended");
        let sent = self.starts.send(start);
        let join = async move {
            let (Ok(()), Ok(task)) = (sent, told.await) else { return Err(ended) };
            join(name, task).await
        };
        TaskHandle::new(join.boxed(), Box::new(|| {}))
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        async move { work() }.boxed()
    }
}

async fn join(name: String, task: JoinHandle<()>) -> Result<(), String> {
    match task.await {
        Err(error) if error.is_panic() => Err(format!("{name} panicked: {error}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_actor_can_be_started_from_any_task() {
        let local = tokio::task::LocalSet::new();
        let test = async {
            let tasks = SimTasks::new();
            let starter = tasks.clone();
            let outside = tokio::spawn(async move {
                starter
                    .spawn_actor("a".into(), Box::new(|| Box::pin(async { panic!("x") })))
                    .join()
                    .await
            });
            assert!(outside.await.unwrap().unwrap_err().starts_with("a panicked"));
        };
        local.run_until(test).await;
    }
}
