//! The write-ahead log as raft reads it.
//!
//! Invariant: `term` is answerable from `start.index` to the last index, also right after a restart (P4). Snapshots are
//! named here without their content: that travels on a stream of its own (P17).

use protobuf::Message as _;
use raft::eraftpb::{Entry, Snapshot, SnapshotMetadata};
use raft::{GetEntriesContext, RaftState, Result, Storage, StorageError};

use super::Wal;

impl Storage for Wal {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.hard_state().clone(), self.conf_state().clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.start().index {
            return Err(StorageError::Compacted.into());
        }
        if high > self.last_index() + 1 {
            return Err(StorageError::Unavailable.into());
        }
        let limit = max_size.into().unwrap_or(u64::MAX);
        let mut entries = Vec::new();
        let mut bytes = 0;
        for index in low..high {
            let entry = self.read_entry(index)?;
            bytes += u64::from(entry.compute_size());
            // At least one entry, whatever its size.
            if bytes > limit && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> Result<u64> {
        let start = self.start();
        if index == start.index {
            return Ok(start.term);
        }
        if index < start.index {
            return Err(StorageError::Compacted.into());
        }
        match self.log.entries.place(index) {
            Some(place) => Ok(place.term),
            None => Err(StorageError::Unavailable.into()),
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.start().index + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(Self::last_index(self))
    }

    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        match &self.snapshot {
            Some(metadata) if metadata.index >= request_index && knows(metadata, to) => {
                let mut snapshot = Snapshot::default();
                snapshot.set_metadata(metadata.clone());
                Ok(snapshot)
            }
            _ => {
                self.wants_snapshot.set(true);
                Err(StorageError::SnapshotTemporarilyUnavailable.into())
            }
        }
    }
}

/// Raft refuses a snapshot in which the receiver is no member: one that joined later needs a newer one.
fn knows(metadata: &SnapshotMetadata, raft_id: u64) -> bool {
    let members = metadata.get_conf_state();
    members.voters.contains(&raft_id) || members.learners.contains(&raft_id)
}
