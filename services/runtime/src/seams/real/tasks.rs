//! Tasks on the process's tokio runtime, and actors on threads of their own.
//!
//! Invariant: a panic reaches the panic hook once (it logs where, and on which thread), and comes out of `TaskHandle::join`
//! with the task's name.

mod network;

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};

use network::NetworkThreads;

use crate::seams::{Actor, TaskHandle, Tasks};

/// The process's workers, and its network threads.
#[derive(Clone, Debug)]
pub struct RealTasks {
    workers: Handle,
    network: Arc<NetworkThreads>,
}

impl RealTasks {
    /// The workers of the runtime that this is called in; they carry the connections too.
    pub fn new() -> Self {
        Self { workers: Handle::current(), network: Arc::default() }
    }

    /// The same, with threads of their own for the connections (`num.network.threads`).
    ///
    /// # Errors
    /// The machine gives no more threads.
    pub fn with_network_threads(count: usize) -> io::Result<Self> {
        let network = Arc::new(NetworkThreads::start(count)?);
        Ok(Self { workers: Handle::current(), network })
    }
}

impl Default for RealTasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks for RealTasks {
    fn spawn(&self, name: &'static str, future: BoxFuture<'static, ()>) -> TaskHandle {
        handle_of(name, self.workers.spawn(future))
    }

    fn spawn_connection(&self, name: &'static str, future: BoxFuture<'static, ()>) -> TaskHandle {
        handle_of(name, self.network.next().unwrap_or(&self.workers).spawn(future))
    }

    fn spawn_actor(&self, name: String, actor: Actor) -> TaskHandle {
        let (ended, end) = oneshot::channel();
        let label = name.clone();
        let started = std::thread::Builder::new().name(name.clone()).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| run_actor(actor)))
                .unwrap_or_else(|panic| Err(panic_text(&label, panic.as_ref())));
            // Nobody may be waiting.
            _ = ended.send(result);
        });
        let join = async move {
            started.map_err(|error| format!("cannot start the thread {name}: {error}"))?;
            end.await.unwrap_or_else(|_| Err(format!("the thread {name} ended without a word")))
        };
        TaskHandle::new(Box::pin(join), Box::new(|| {}))
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        self.workers.spawn_blocking(work).map(|_| ()).boxed()
    }
}

fn handle_of(name: &'static str, task: JoinHandle<()>) -> TaskHandle {
    let abort = task.abort_handle();
    let join = async move {
        match task.await {
            Ok(()) => Ok(()),
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(panic_text(name, error.into_panic().as_ref())),
        }
    };
    TaskHandle::new(Box::pin(join), Box::new(move || abort.abort()))
}

fn run_actor(actor: Actor) -> Result<(), String> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot make an actor's runtime: {error}"))?;
    LocalSet::new().block_on(&runtime, actor());
    Ok(())
}

fn panic_text(name: &str, panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    format!("{name} panicked: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_comes_out_of_join_with_the_name() {
        let tasks = RealTasks::new();
        let task = tasks.spawn("careless", Box::pin(async { panic!("on purpose {}", 1) }));
        assert_eq!(task.join().await.unwrap_err(), "careless panicked: on purpose 1");
        let actor: Actor = Box::new(|| Box::pin(async { panic!("on purpose") }));
        let actor = tasks.spawn_actor("actor-7".into(), actor);
        assert_eq!(actor.join().await.unwrap_err(), "actor-7 panicked: on purpose");
    }

    #[tokio::test]
    async fn an_actor_has_a_timer_and_a_thread_of_its_own() {
        let (tell, told) = oneshot::channel();
        let actor: Actor = Box::new(|| {
            Box::pin(async move {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                let local = tokio::task::spawn_local(async {
                    std::thread::current().name().map(str::to_owned)
                });
                tell.send(local.await.unwrap()).unwrap();
            })
        });
        let handle = RealTasks::new().spawn_actor("shard-0".into(), actor);
        assert_eq!(told.await.unwrap().as_deref(), Some("shard-0"));
        handle.join().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_stays_on_one_network_thread_and_the_next_goes_to_the_next() {
        let tasks = RealTasks::with_network_threads(2).unwrap();
        let mut names = Vec::new();
        for _ in 0..3 {
            let (tell, told) = oneshot::channel();
            let connection = async move {
                let before = std::thread::current().name().map(str::to_owned);
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                assert_eq!(std::thread::current().name().map(str::to_owned), before);
                tell.send(before.unwrap()).unwrap();
            };
            tasks.spawn_connection("connection", Box::pin(connection)).join().await.unwrap();
            names.push(told.await.unwrap());
        }
        assert_eq!(names, ["network-0", "network-1", "network-0"]);
    }

    #[tokio::test]
    async fn an_aborted_task_ends_without_an_error() {
        let task = RealTasks::new().spawn("endless", Box::pin(std::future::pending()));
        task.abort();
        task.join().await.unwrap();
    }
}
