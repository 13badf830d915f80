//! Group coordinators: one actor for each partition of `__consumer_offsets` that this node leads.
//!
//! Invariant (law 3): an actor decides, appends the decision's events as one batch, replays them, and replies only when that
//! append, and each before it, is committed. Whoever asks gets exactly one answer. What waits is bounded.
//! Deliberately does not know what commands mean (`ottla-coordinator` does) nor how bytes reach the disk: it appends and reads as
//! any client does.

mod actor;
mod decode;
mod inbox;
mod leading;
mod load;
mod offsets_log;
mod parked;
mod picture;
mod serving;
mod waiting;

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use ottla_coordinator::{Command, Reply};
use ottla_types::{ErrorCode, PartitionIndex};
use tracing::Span;

use futures::future::join_all;
use inbox::Inbox;
pub(crate) use leading::{Leading, LeadingParts};
pub(crate) use picture::{CommittedAt, MAX_PICTURED_GROUPS, MAX_PICTURED_OFFSETS, Picture};

/// The coordinators that run on this node, by the partition of [`ottla_coordinator::OFFSETS_TOPIC`] that they own.
#[derive(Default)]
pub(crate) struct Coordinators {
    led: RwLock<BTreeMap<PartitionIndex, Inbox>>,
}

impl Coordinators {
    /// Asks a coordinator, and waits for its reply; `None` where none runs. The command is in the coordinator's inbox after the
    /// first poll.
    pub(crate) async fn ask(
        &self,
        partition: PartitionIndex,
        command: Command,
        span: Span,
    ) -> Option<Result<Reply, ErrorCode>> {
        let inbox = self.get(partition)?;
        Some(inbox.ask(command, span).await)
    }

    /// What the coordinators that serve know of their groups.
    pub(crate) async fn pictures(&self) -> Vec<Picture> {
        let led = self.led.read().unwrap_or_else(PoisonError::into_inner).clone();
        let asked = join_all(led.values().map(Inbox::picture)).await;
        asked.into_iter().flatten().collect()
    }

    /// Ends all: who waits gets NOT_COORDINATOR. The node stops.
    pub(crate) fn stop(&self) {
        let led = std::mem::take(&mut *self.led.write().unwrap_or_else(PoisonError::into_inner));
        led.values().for_each(Inbox::stop);
    }

    fn get(&self, partition: PartitionIndex) -> Option<Inbox> {
        self.led.read().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }

    fn set(&self, partition: PartitionIndex, inbox: Inbox) {
        self.led.write().unwrap_or_else(PoisonError::into_inner).insert(partition, inbox);
    }

    fn remove(&self, partition: PartitionIndex) {
        self.led.write().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }
}
