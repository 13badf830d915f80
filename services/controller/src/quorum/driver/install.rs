//! A snapshot of the leader takes the place of everything that a member has (P4).
//!
//! Invariant: the snapshot's file is durable before the log names it, and the log names it before the image is replaced. A crash
//! in between leaves either the old state or the new one.

use ottla_metadata::{Image, codec};
use raft::eraftpb::{ConfState, SnapshotMetadata};

use super::{Driver, Stop};
use crate::quorum::snapshots::Snapshot;
use crate::quorum::wal::Position;

/// A snapshot that a peer sent, read and checked.
pub struct Received {
    snapshot: Snapshot,
    image: Image,
}

impl Received {
    /// Decodes the image of a snapshot and checks its hash (P3).
    pub fn new(snapshot: Snapshot) -> Result<Self, String> {
        let image = codec::decode_image(&snapshot.image).map_err(|error| error.to_string())?;
        if (image.offset, image.hash()) != (snapshot.head.offset, snapshot.head.hash) {
            return Err("its image is not the one that its header names".into());
        }
        Ok(Self { snapshot, image })
    }

    pub(super) fn is_of(&self, metadata: &SnapshotMetadata) -> bool {
        let head = &self.snapshot.head;
        (head.position.index, head.position.term) == (metadata.index, metadata.term)
            && head.conf_state == *metadata.get_conf_state()
    }

    pub(super) fn position(&self) -> Position {
        self.snapshot.head.position
    }

    pub(super) fn conf_state(&self) -> ConfState {
        self.snapshot.head.conf_state.clone()
    }

    pub(super) fn into_image(self) -> Image {
        self.image
    }
}

impl Driver {
    /// Writes the snapshot that raft wants to install, if there is one.
    pub(super) fn write_snapshot(
        &mut self,
        wanted: &raft::eraftpb::Snapshot,
    ) -> Result<Option<Received>, Stop> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let metadata = wanted.get_metadata();
        let received = self.received.take().filter(|received| received.is_of(metadata));
        let received = received.ok_or(Stop::SnapshotMissing { index: metadata.index })?;
        self.snapshots.write(&received.snapshot)?;
        Ok(Some(received))
    }

    /// The snapshot is durable and the log begins after it: now it is the state.
    pub(super) fn install(&mut self, installed: Option<Received>) -> Result<(), Stop> {
        let Some(installed) = installed else { return Ok(()) };
        for (node, directory) in &installed.snapshot.head.later_disks {
            self.peers.learn(*node, *directory)?;
        }
        let position = installed.position();
        self.raft.mut_store().set_snapshot(installed.snapshot.head.metadata());
        tracing::info!(index = position.index, offset = %installed.image.offset, "installed a metadata snapshot");
        self.committed = installed.into_image();
        self.applied_index = position.index;
        let now = self.seams.clock.monotonic();
        self.snapshot.taken_at(&self.committed, now);
        self.unreleased.clear();
        self.store.rebuild(&self.committed);
        self.publisher.restart_from(&self.committed, position.index);
        Ok(())
    }
}
