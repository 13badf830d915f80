//! What may be appended, as what, and why not.
//!
//! Invariant: a refused batch changes nothing. Deliberately does not know bytes: whoever parsed the batch vouches for its
//! checksum, and for `record_count` matching its offsets.

use ottla_log_format::BatchHeader;
use ottla_types::{
    ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs,
};

use crate::producers::BatchMemory;

/// What the decision has to know of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Length of the batch in bytes, header included.
    pub size_bytes: usize,
    /// Records in it; offsets that it takes.
    pub record_count: i32,
    /// Set by idempotent and transactional producers.
    pub producer: Option<BatchProducer>,
    /// Timestamp of its first record.
    pub base_timestamp: TimestampMs,
    /// Largest timestamp of its records.
    pub max_timestamp: TimestampMs,
    /// Whether it belongs to a transaction.
    pub is_transactional: bool,
    /// Whether it is a control batch; clients may not send any.
    pub is_control: bool,
}

/// Who produced a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchProducer {
    /// The producer.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of the first record.
    pub base_sequence: Sequence,
}

impl From<&BatchHeader> for Batch {
    fn from(header: &BatchHeader) -> Self {
        let idempotent = header.producer_id != ProducerId::NONE;
        Self {
            size_bytes: header.size_bytes(),
            record_count: header.last_offset_delta.saturating_add(1),
            producer: idempotent.then_some(BatchProducer {
                id: header.producer_id,
                epoch: header.producer_epoch,
                base_sequence: header.base_sequence,
            }),
            base_timestamp: header.base_timestamp,
            max_timestamp: header.max_timestamp,
            is_transactional: header.attributes.is_transactional(),
            is_control: header.attributes.is_control(),
        }
    }
}

/// `message.timestamp.type` with the bounds of `CreateTime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampPolicy {
    /// The producer's timestamps stay, if they are near enough to the leader's clock.
    CreateTime {
        /// `message.timestamp.before.max.ms`.
        before_max_ms: i64,
        /// `message.timestamp.after.max.ms`.
        after_max_ms: i64,
    },
    /// The leader's clock replaces them.
    LogAppendTime,
}

/// Where a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset after its last record.
    pub end_offset: Offset,
    /// The epoch to write into it.
    pub leader_epoch: LeaderEpoch,
    /// With `LogAppendTime`: the timestamp to write into it.
    pub log_append_time: Option<TimestampMs>,
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Write it, then [`crate::Replica::replay`] it.
    Append(Placement),
    /// It is in the log already: answer with where it is, once that counts.
    Duplicate(BatchMemory),
}

/// Why a batch is not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendRefusal {
    /// This replica does not lead the partition.
    #[error("this node does not lead the partition")]
    NotLeader,
    /// The replica stopped after an error of its disk (R16).
    #[error("the partition's log directory failed; see the storage node's log")]
    Offline,
    /// `acks=all` with fewer in-sync replicas than `min.insync.replicas`.
    #[error("{isr} replicas are in sync, min.insync.replicas asks for {min}")]
    NotEnoughReplicas {
        /// Members of the committed ISR.
        isr: usize,
        /// `min.insync.replicas`.
        min: usize,
    },
    /// Larger than `max.message.bytes`.
    #[error("the batch has {size_bytes} bytes, max.message.bytes allows {max_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Something that a client may not send.
    #[error("{0}")]
    InvalidRecord(&'static str),
    /// A timestamp too far from the leader's clock.
    #[error("timestamp {} is further from {} than message.timestamp.{{before,after}}.max.ms allow", .timestamp.0, .now.0)]
    InvalidTimestamp {
        /// The batch's.
        timestamp: TimestampMs,
        /// The leader's clock.
        now: TimestampMs,
    },
    /// A batch is missing before this one.
    #[error("sequence {got} does not follow: expected {expected}")]
    OutOfOrderSequence {
        /// What would follow.
        expected: Sequence,
        /// What came.
        got: Sequence,
    },
    /// A newer instance of the producer wrote here.
    #[error("producer epoch {got} is fenced by {known}")]
    InvalidProducerEpoch {
        /// The newest epoch.
        known: ProducerEpoch,
        /// The batch's.
        got: ProducerEpoch,
    },
    /// A transactional batch without a transaction.
    #[error("the producer has no transaction open in this partition")]
    InvalidTransactionState,
    /// No offset is left.
    #[error("the partition has no offsets left")]
    OffsetsExhausted,
}

impl AppendRefusal {
    /// Kafka's code.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::Offline | Self::OffsetsExhausted => ErrorCode::KafkaStorageError,
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::InvalidRecord(_) => ErrorCode::InvalidRecord,
            Self::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTransactionState => ErrorCode::InvalidTxnState,
        }
    }
}

/// Checks that need nothing but the batch itself and the topic's limits.
pub(crate) fn check_batch(
    batch: &Batch,
    max_message_bytes: usize,
    timestamps: TimestampPolicy,
    now: TimestampMs,
) -> Result<(), AppendRefusal> {
    if batch.size_bytes > max_message_bytes {
        return Err(AppendRefusal::TooLarge {
            size_bytes: batch.size_bytes,
            max_bytes: max_message_bytes,
        });
    }
    if batch.record_count <= 0 {
        return Err(AppendRefusal::InvalidRecord("a batch must hold at least one record"));
    }
    if batch.is_control {
        return Err(AppendRefusal::InvalidRecord("clients may not write control batches"));
    }
    match batch.producer {
        Some(p) if p.base_sequence.0 < 0 || p.epoch.0 < 0 => {
            return Err(AppendRefusal::InvalidRecord(
                "a batch with a producer id needs a producer epoch and a sequence number",
            ));
        }
        None if batch.is_transactional => {
            return Err(AppendRefusal::InvalidRecord("a transactional batch needs a producer id"));
        }
        _ => {}
    }
    check_timestamps(batch, timestamps, now)
}

fn check_timestamps(
    batch: &Batch,
    policy: TimestampPolicy,
    now: TimestampMs,
) -> Result<(), AppendRefusal> {
    let TimestampPolicy::CreateTime { before_max_ms, after_max_ms } = policy else { return Ok(()) };
    for timestamp in [batch.base_timestamp, batch.max_timestamp] {
        let allowed = timestamp == TimestampMs::NONE
            || (now.since_ms(timestamp) <= before_max_ms
                && timestamp.since_ms(now) <= after_max_ms);
        if !allowed {
            return Err(AppendRefusal::InvalidTimestamp { timestamp, now });
        }
    }
    Ok(())
}
