//! What a partition log must know of its topic's configuration.
//!
//! Invariant: every number is within Kafka's own bounds for its key. Where values come from (topic, broker, default) is not
//! known here.

/// The keys of a topic that its log obeys; one value is shared by all partitions of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it grows beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when its first record is this old.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to this much is taken off `segment.ms`, by partition, so that not all roll at once.
    pub segment_jitter_ms: i64,
    /// `preallocate`: a new segment's file gets its space at once; its length stays that of its records.
    pub preallocate: bool,
    /// `segment.index.bytes`: a segment is rolled when one of its indexes would grow beyond this.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: about how much log lies between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`: a segment whose latest record is older is deleted; -1 keeps all.
    pub retention_ms: i64,
    /// `retention.bytes`: oldest segments are deleted while the rest holds at least this; -1 keeps all.
    pub retention_bytes: i64,
    /// `cleanup.policy` contains `delete`: retention applies.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`: only the last value of a key stays, and offsets may have gaps.
    pub compact: bool,
    /// `min.cleanable.dirty.ratio`, in millionths: a log is compacted when more of it than this is dirty.
    pub min_cleanable_millionths: u32,
    /// `delete.retention.ms`: so long a tombstone stays once it was first compacted.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: a segment is compacted only when all its records are this old.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a log with a dirty record this old is compacted, however little is dirty.
    pub max_compaction_lag_ms: i64,
    /// `flush.messages=1`: an offset counts when it is synced.
    pub durable: bool,
}

impl Default for LogConfig {
    /// Kafka's defaults, but for `flush.messages`, which is 1 in Ottla.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            preallocate: false,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            delete: true,
            compact: false,
            min_cleanable_millionths: 500_000,
            delete_retention_ms: 24 * 3_600_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            durable: true,
        }
    }
}
