//! Threads that serve connections and nothing else, each with a runtime of its own.
//!
//! Invariant: whatever a connection waits for (its socket, a shard's answer) wakes the one thread that it runs on. Shared workers
//! look for each other's work: one more wake-up for most answers, and a wake-up is what a small request costs.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The network threads of a process. They end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct NetworkThreads {
    threads: Vec<(Handle, oneshot::Sender<()>)>,
    next: AtomicUsize,
}

impl NetworkThreads {
    /// Starts `count` threads.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let threads: io::Result<_> = (0..count).map(start).collect();
        Ok(Self { threads: threads?, next: AtomicUsize::new(0) })
    }

    /// Where the next connection runs: each thread in turn.
    pub(super) fn next(&self) -> Option<&Handle> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.threads.get(turn.checked_rem(self.threads.len())?).map(|(handle, _)| handle)
    }
}

fn start(index: usize) -> io::Result<(Handle, oneshot::Sender<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::Builder::new().name(format!("network-{index}")).spawn(move || {
        // An error means that the sender was dropped, which is how it says so.
        _ = runtime.block_on(stopped);
    })?;
    Ok((handle, stop))
}
