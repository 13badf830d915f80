//! One partition of a shard: its log and what its replica knows.
//!
//! Invariant: log and replica have the same start and end; the replica is told of every batch that the log took.

use std::sync::Arc;

use ottla_api::storage::LogDirectoryPartition;
use ottla_partition::{Replica, ReplicaRole};
use ottla_types::TopicPartition;

use super::topic_settings::TopicSettings;
use crate::figures::PartitionFigures;
use crate::log::PartitionLog;

/// A partition.
pub(crate) struct Partition {
    pub(crate) log: PartitionLog,
    pub(crate) replica: Replica,
    /// `None` until the metadata named the partition.
    pub(crate) settings: Option<Arc<TopicSettings>>,
    /// Bytes appended since readers were last woken.
    pub(crate) bytes_unseen: usize,
    /// Records appended since a checkpoint last began, where `flush.messages` is larger than 1.
    pub(crate) unflushed_records: i64,
    /// What scrapes read of it.
    pub(crate) figures: Arc<PartitionFigures>,
}

impl Partition {
    /// A partition that the metadata have not named yet.
    pub(crate) fn new(log: PartitionLog, replica: Replica) -> Self {
        let figures = PartitionFigures::new(log.topic());
        let own =
            Self { log, replica, settings: None, bytes_unseen: 0, unflushed_records: 0, figures };
        own.tell();
        own
    }

    /// Lets scrapes see where the partition is now.
    pub(crate) fn tell(&self) {
        let (log, replica) = (&self.log, &self.replica);
        let leads = matches!(replica.role(), ReplicaRole::Leader(_));
        self.figures.tell_offsets(leads, [log.log_start(), log.end(), replica.high_watermark()]);
        let segments = log.segment_count() as u64;
        self.figures.tell_size(segments, log.active_bytes(), || log.size_bytes());
    }

    pub(crate) fn id(&self) -> TopicPartition {
        self.log.id()
    }

    pub(super) fn describe(&self) -> LogDirectoryPartition {
        let lag = self.replica.high_watermark().0 - self.log.end().0;
        LogDirectoryPartition {
            partition: self.id(),
            size_bytes: i64::try_from(self.log.size_bytes()).unwrap_or(i64::MAX),
            offset_lag: lag.max(0),
        }
    }
}
