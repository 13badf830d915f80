//! When a member takes a snapshot, and how it reaches a peer.
//!
//! Invariant: a snapshot is written beside the actor, of an image whose commit index is durable; the log is compacted only up to
//! the older of the snapshots that are kept, so that a damaged newest one costs nothing.

use std::time::Duration;

use ottla_metadata::{Image, codec};
use ottla_types::MetadataOffset;
use raft::Storage;
use raft::eraftpb::Message;

use super::{Driver, PeerInput, SnapshotPolicy, Stop};
use crate::quorum::snapshots::{Snapshot, SnapshotError, SnapshotHead};
use crate::quorum::wal::Position;
use crate::transport::SnapshotTransfer;

/// When the last snapshot was taken.
#[derive(Default)]
pub(super) struct Schedule {
    last: MetadataOffset,
    last_at: Duration,
    bytes_since: u64,
    is_writing: bool,
}

impl Schedule {
    pub(super) fn taken_at(&mut self, image: &Image, now: Duration) {
        (self.last, self.last_at, self.bytes_since) = (image.offset, now, 0);
    }

    pub(super) fn add_bytes(&mut self, bytes: usize) {
        self.bytes_since += bytes as u64;
    }

    fn is_due(&self, image: &Image, now: Duration, policy: &SnapshotPolicy) -> bool {
        let events = image.offset.0.saturating_sub(self.last.0);
        let is_late = |after| events > 0 && now >= self.last_at + after;
        let is_much = events >= policy.after_events || self.bytes_since >= policy.after_bytes;
        !self.is_writing && (is_much || policy.after.is_some_and(is_late))
    }
}

impl Driver {
    /// Begins a snapshot after so many events, or where a peer needs a newer one than there is.
    pub(super) fn take_snapshot_if_due(&mut self) -> Result<(), Stop> {
        let now = self.seams.clock.monotonic();
        let is_wanted = self.raft.store().take_snapshot_wish() && !self.snapshot.is_writing;
        if !is_wanted && !self.snapshot.is_due(&self.committed, now, &self.config.snapshots) {
            return Ok(());
        }
        self.p2_sync_commit()?;
        let head = self.p5_snapshot_head()?;
        self.snapshot.taken_at(&self.committed, now);
        self.snapshot.is_writing = true;
        self.write_beside(head);
        Ok(())
    }

    /// P5: with the image, this is everything that the log before it says.
    fn p5_snapshot_head(&self) -> Result<SnapshotHead, Stop> {
        let index = self.applied_index;
        let term = self.raft.store().term(index).map_err(|error| Stop::Raft(error.to_string()))?;
        Ok(SnapshotHead {
            position: Position { index, term },
            conf_state: self.raft.raft.prs().conf().to_conf_state(),
            later_disks: self.peers.later_disks(),
            offset: self.committed.offset,
            hash: self.committed.hash(),
        })
    }

    fn write_beside(&self, head: SnapshotHead) {
        let (image, snapshots) = (self.committed.clone(), self.snapshots.clone());
        let (tasks, back) = (self.seams.tasks.clone(), self.publisher.back_to_driver());
        let write = async move {
            let (tell, told) = tokio::sync::oneshot::channel();
            let work = move || {
                let image = codec::encode_image(&image);
                let outcome = snapshots.write(&Snapshot { head: head.clone(), image });
                // The member may have stopped meanwhile.
                _ = tell.send(outcome.map(|()| head));
            };
            tasks.run_blocking(Box::new(work)).await;
            if let Ok(outcome) = told.await {
                // The member may have stopped meanwhile.
                _ = back.send(PeerInput::SnapshotWritten(outcome)).await;
            }
        };
        self.seams.tasks.spawn("metadata-snapshot", Box::pin(write));
    }

    /// The snapshot is durable: peers may have it, and the log before the one that is older still may go.
    pub(super) fn snapshot_written(
        &mut self,
        outcome: Result<SnapshotHead, SnapshotError>,
    ) -> Result<(), Stop> {
        self.snapshot.is_writing = false;
        let head = outcome?;
        if head.position.index <= self.raft.store().start().index {
            // A snapshot of the leader came in between.
            return Ok(());
        }
        self.raft.mut_store().set_snapshot(head.metadata());
        if let Some(older) = self.snapshots.list()?.get(1) {
            self.raft.mut_store().compact(*older)?;
        }
        Ok(())
    }

    /// P17: sends the newest snapshot on a stream of its own.
    pub(super) fn p17_send_snapshot(&mut self, message: &Message) {
        let Some(envelope) = self.peers.seal(message, self.committed.cluster_id.as_ref()) else {
            return;
        };
        let node = envelope.to;
        let metadata = message.get_snapshot().get_metadata();
        let position = Position { index: metadata.index, term: metadata.term };
        let (file, bytes) = match self.snapshots.open_file(position) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::warn!(%node, "cannot send a metadata snapshot: {error}");
                return self.raft.report_snapshot(message.to, raft::SnapshotStatus::Failure);
            }
        };
        tracing::info!(%node, index = position.index, bytes, "sends a metadata snapshot");
        let (taken, outcome) = tokio::sync::oneshot::channel();
        let (back, raft_id) = (self.publisher.back_to_driver(), message.to);
        let report = async move {
            let taken = outcome.await.unwrap_or(false);
            // The member may have stopped meanwhile.
            _ = back.send(PeerInput::SnapshotSent { raft_id, taken }).await;
        };
        self.seams.tasks.spawn("metadata-snapshot-sent", Box::pin(report));
        self.sender.send_snapshot(node, SnapshotTransfer { envelope, file, bytes, taken });
    }
}
