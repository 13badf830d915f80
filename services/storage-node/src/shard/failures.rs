//! Which shards have stopped because their disk failed (R16).
//!
//! Invariant: a shard that failed stays failed until the process starts anew.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// The failed shards of a node.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    shards: watch::Sender<BTreeSet<usize>>,
}

impl Failures {
    pub(crate) fn add(&self, shard: usize) {
        self.shards.send_modify(|shards| _ = shards.insert(shard));
    }

    /// Whether any of these shards failed.
    pub(crate) fn any_of(&self, shards: std::ops::Range<usize>) -> bool {
        self.shards.borrow().range(shards).next().is_some()
    }

    /// Completes when so many shards failed.
    pub(crate) async fn reach(&self, count: usize) {
        let mut shards = self.shards.subscribe();
        // The sender lives as long as `self`.
        _ = shards.wait_for(|shards| shards.len() >= count).await;
    }
}
