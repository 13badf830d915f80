//! What a replica says of itself, and what may be read of it.
//!
//! Invariant: asking changes nothing.

use ottla_types::{LeaderEpoch, NodeId, Offset, ProducerId};

use super::{Durability, Replica, ReplicaConfig, ReplicaRole};
use crate::fetch::{FetchRefusal, Readable, r13_check_epoch};
use crate::leader::Leader;
use crate::leader_epochs::LeaderEpochs;
use crate::producers::Producers;

impl Replica {
    /// First offset.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Offset after the last record that has a place.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// End of what is durable.
    pub fn durable_end(&self) -> Offset {
        self.durable
    }

    /// End of what counts on this replica.
    pub fn counting_end(&self) -> Offset {
        match self.config.durability {
            Durability::Synced => self.durable,
            Durability::Written => self.written,
        }
    }

    /// End of what consumers may see.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// End of what `read_committed` consumers may see.
    pub fn last_stable_offset(&self) -> Offset {
        self.open_transactions.last_stable_offset(self.high_watermark)
    }

    /// Its role.
    pub fn role(&self) -> &ReplicaRole {
        &self.role
    }

    /// Its configuration.
    pub fn config(&self) -> &ReplicaConfig {
        &self.config
    }

    /// Its epochs.
    pub fn epochs(&self) -> &LeaderEpochs {
        &self.epochs
    }

    /// Its producers.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Who leads, as far as this replica knows, and in which epoch.
    pub fn known_leader(&self) -> Option<(NodeId, LeaderEpoch)> {
        match &self.role {
            ReplicaRole::Leader(leader) => Some((self.me, leader.epoch)),
            ReplicaRole::Follower(follower) => Some((follower.leader?, follower.epoch)),
            ReplicaRole::Unassigned | ReplicaRole::Offline => None,
        }
    }

    /// The state of the leader of the epoch asked for (R13).
    pub fn leader(&self, current_leader_epoch: LeaderEpoch) -> Result<&Leader, FetchRefusal> {
        match &self.role {
            ReplicaRole::Leader(leader) => {
                r13_check_epoch(current_leader_epoch, leader.epoch)?;
                Ok(leader)
            }
            ReplicaRole::Offline => Err(FetchRefusal::Offline),
            ReplicaRole::Follower(follower) => {
                r13_check_epoch(current_leader_epoch, follower.epoch)?;
                Err(FetchRefusal::NotLeader)
            }
            ReplicaRole::Unassigned => Err(FetchRefusal::NotLeader),
        }
    }

    /// R7. What a consumer at `fetch_offset` may see, after the checks of KIP-320.
    pub fn r7_readable(
        &self,
        current_leader_epoch: LeaderEpoch,
        last_fetched_epoch: LeaderEpoch,
        fetch_offset: Offset,
        committed_only: bool,
    ) -> Result<Readable, FetchRefusal> {
        self.leader(current_leader_epoch)?;
        if last_fetched_epoch != LeaderEpoch::NONE {
            let ours = self.epochs.end_offset_for(last_fetched_epoch, self.end);
            let (epoch, end) = ours.ok_or(FetchRefusal::OffsetOutOfRange)?;
            if epoch < last_fetched_epoch || end < fetch_offset {
                return Ok(Readable::Diverging { epoch, end });
            }
        }
        if fetch_offset < self.start || fetch_offset > self.end {
            return Err(FetchRefusal::OffsetOutOfRange);
        }
        let end = if committed_only { self.last_stable_offset() } else { self.high_watermark };
        Ok(Readable::Range { end: end.max(fetch_offset) })
    }

    /// R6. The end of what consumers may see, as an answer to "latest": not before the watermark reached the point where the
    /// leader's epoch began, or it could lie below what an earlier leader answered.
    pub fn r6_latest(
        &self,
        current_leader_epoch: LeaderEpoch,
        committed_only: bool,
    ) -> Result<(Offset, LeaderEpoch), FetchRefusal> {
        let leader = self.leader(current_leader_epoch)?;
        if self.high_watermark < leader.epoch_start {
            return Err(FetchRefusal::OffsetNotAvailable);
        }
        let end = if committed_only { self.last_stable_offset() } else { self.high_watermark };
        Ok((end, leader.epoch))
    }

    /// KIP-320. The largest epoch that is not above `asked`, and the offset behind its last record; `NONE` and -1 if this log
    /// knows none.
    pub fn epoch_end(
        &self,
        current_leader_epoch: LeaderEpoch,
        asked: LeaderEpoch,
    ) -> Result<(LeaderEpoch, Offset), FetchRefusal> {
        self.leader(current_leader_epoch)?;
        let known = self.epochs.end_offset_for(asked, self.end).filter(|_| asked.0 >= 0);
        Ok(known.unwrap_or((LeaderEpoch::NONE, Offset::NONE)))
    }

    /// DeleteRecords: the first offset that stays if all before `before` go; -1 stands for the high watermark. Changes nothing.
    pub fn decide_delete(&self, before: Offset) -> Result<Offset, FetchRefusal> {
        self.leader(LeaderEpoch::NONE)?;
        let to = if before == Offset::NONE { self.high_watermark } else { before };
        if to.0 < 0 || to > self.high_watermark {
            return Err(FetchRefusal::OffsetOutOfRange);
        }
        Ok(to.max(self.start))
    }

    /// Offset of the first record of a producer's open transaction.
    pub fn transaction_start(&self, producer: ProducerId) -> Option<Offset> {
        self.open_transactions.first_offset(producer)
    }
}
