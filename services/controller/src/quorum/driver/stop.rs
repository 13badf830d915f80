//! Why and how a member stops.
//!
//! Invariant: whatever cannot be gone on with safely ends the member, with one line that names cause and cure.

use std::time::Duration;

use ottla_metadata::image::HashMismatch;
use ottla_types::MetadataOffset;

use super::Driver;
use crate::quorum::peers::DirectoriesError;
use crate::quorum::snapshots::SnapshotError;
use crate::quorum::wal::WalError;

/// How long a leader that stops waits for another to take over.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(1);

/// Why a member cannot go on. The process ends with it.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The log.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The snapshots.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The list of members.
    #[error(transparent)]
    Directories(#[from] DirectoriesError),
    /// Raft itself.
    #[error("the consensus cannot go on: {0}; this is a defect of Ottla, please report it")]
    Raft(String),
    /// P3: this member's image is not what the leader's was.
    #[error(
        "{0}; this member's metadata cannot be trusted: wipe its metadata directory and let it join again"
    )]
    StateDiffers(HashMismatch),
    /// P3: the images do not follow one another.
    #[error(
        "metadata offset {next} follows {committed}; this is a defect of Ottla, please report it"
    )]
    HistoryBroken {
        /// The committed offset.
        committed: MetadataOffset,
        /// The one that came next.
        next: MetadataOffset,
    },
    /// P14: an entry of a later version, or damaged in memory.
    #[error(
        "entry {index} of the metadata log cannot be read: {error}; start the version that wrote it"
    )]
    UnreadableEntry {
        /// Which one.
        index: u64,
        /// Why.
        error: ottla_metadata::codec::DecodeError,
    },
    /// P14: an entry of a kind that this version does not write.
    #[error(
        "entry {index} of the metadata log is of an unknown kind; start the version that wrote it"
    )]
    UnknownEntry {
        /// Which one.
        index: u64,
    },
    /// The configuration names other voters than the log.
    #[error(
        "controller.quorum.voters names the nodes {configured}, but this metadata directory belongs to a quorum of {stored}; \
         put back the list that it was formatted with"
    )]
    OtherVoters {
        /// In the configuration.
        configured: String,
        /// In the log.
        stored: String,
    },
    /// The configuration does not name this node.
    #[error(
        "controller.quorum.voters does not name this node ({0}); add it, or take controller out of process.roles"
    )]
    NotAVoter(ottla_types::NodeId),
    /// P8: the quorum knows this node with another disk.
    #[error(
        "the quorum knows this node with another metadata directory: this one is new. Start the controller again: it joins as \
         a new member, once the old disk was silent for {} s", .0.as_secs()
    )]
    NewDisk(Duration),
    /// P13: another disk took this one's place.
    #[error(
        "the quorum goes on without this metadata directory, another one has its place; wipe it to join as a new member, or keep \
         this node off"
    )]
    Removed,
    /// Something outside of the quorum.
    #[error("{0}")]
    Outside(String),
    /// P4: a snapshot is to be installed that never arrived.
    #[error(
        "raft installs a snapshot at index {index} that did not arrive; this is a defect of Ottla, please report it"
    )]
    SnapshotMissing {
        /// Which one.
        index: u64,
    },
}

/// A member that was asked to stop.
pub(super) struct Stopping {
    gives_up_at: Duration,
}

impl Driver {
    /// P15: a leader that is asked to stop hands its leadership to the member that has most of the log.
    pub(super) fn begin_stopping(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let now = self.seams.clock.monotonic();
        self.stopping = Some(Stopping { gives_up_at: now + HAND_OVER_LIMIT });
        if self.leadership.is_some()
            && let Some(heir) = self.heir()
        {
            tracing::info!(node = %self.config.node, heir = ?self.peers.node(heir), "hands over leadership and stops");
            self.raft.transfer_leader(heir);
        }
    }

    fn heir(&self) -> Option<u64> {
        let me = self.raft.raft.id;
        let progress = self.raft.raft.prs().iter();
        let voters = self.raft.raft.prs().conf().to_conf_state().voters;
        let is_heir = |id: &u64| *id != me && voters.contains(id);
        let active = progress.filter(|(id, progress)| is_heir(id) && progress.recent_active);
        active
            .max_by_key(|(id, progress)| (progress.matched, std::cmp::Reverse(**id)))
            .map(|(id, _)| *id)
    }

    /// Whether the member may end now; then everything that is applied is durable, and nobody waits any more.
    pub(super) fn has_stopped(&mut self) -> Result<bool, Stop> {
        let Some(stopping) = &self.stopping else { return Ok(false) };
        let leads = self.leadership.is_some() && self.heir().is_some();
        if leads && self.seams.clock.monotonic() < stopping.gives_up_at {
            return Ok(false);
        }
        self.p2_sync_commit()?;
        if let Some(leadership) = self.leadership.take() {
            leadership.p9_answer_all_as_unknown();
        }
        self.waiting.extend(self.inbox.close());
        self.refuse_waiting();
        Ok(true)
    }
}
