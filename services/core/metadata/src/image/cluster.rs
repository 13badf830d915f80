//! Replay of what concerns the cluster as a whole: its id, producer ids, the state hash.
//!
//! Invariant: the cluster id is set once; no producer id is given out twice. Deliberately does not stop a member whose hash
//! differs: it reports, the shell stops.

use ottla_types::{ClusterId, MetadataOffset, ProducerId};

use super::{Changes, HashMismatch, Image};

impl Image {
    pub(super) fn replay_formatted(&mut self, cluster_id: &ClusterId) {
        if self.cluster_id.is_none() {
            self.cluster_id = Some(cluster_id.clone());
        }
    }

    pub(super) fn replay_producer_ids_allocated(&mut self, first: ProducerId, count: u32) {
        let Some(next) = first.0.checked_add(i64::from(count)) else { return };
        if first == self.next_producer_id {
            self.next_producer_id = ProducerId(next);
        }
    }

    /// Compares the hash of the image before the event with what the event says.
    pub(super) fn replay_state_hash(
        &self,
        before: MetadataOffset,
        expected: u64,
        changes: &mut Changes,
    ) {
        let found = self.sum.with_globals(self, before);
        if found != expected && changes.mismatch.is_none() {
            changes.mismatch = Some(HashMismatch { offset: before, expected, found });
        }
    }
}
