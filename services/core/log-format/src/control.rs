//! Control records: the marks that end a transaction.
//!
//! Invariant: a control batch holds exactly one control record. Unknown types are left alone, as Kafka's clients do.

use bytes::Bytes;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::read::{i16_at, i32_at};
use crate::{Attributes, BatchBuilder, BatchHeader, Records};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerType {
    /// Its records do not count.
    Abort,
    /// Its records count.
    Commit,
}

/// The end of a transaction (`EndTransactionMarker`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// How it ended.
    pub kind: MarkerType,
    /// Epoch of the coordinator that decided it.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The marker of a control record's key and value; `None` for other control records and broken ones.
    pub fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let kind = match i16_at(key, 2)? {
            0 => MarkerType::Abort,
            1 => MarkerType::Commit,
            _ => return None,
        };
        if i16_at(key, 0)? < 0 || i16_at(value, 0)? < 0 {
            return None;
        }
        Some(Self { kind, coordinator_epoch: i32_at(value, 2)? })
    }

    /// The marker in a control batch.
    pub fn of_batch(header: &BatchHeader, batch: &[u8]) -> Option<Self> {
        if !header.attributes.is_control() {
            return None;
        }
        let record = Records::of(header, batch).ok()?.next()?.ok()?;
        Self::decode(record.key?, record.value?)
    }

    /// Key and value of the control record, version 0.
    pub fn encode(self) -> ([u8; 4], [u8; 6]) {
        let kind = match self.kind {
            MarkerType::Abort => 0_i16,
            MarkerType::Commit => 1,
        };
        let (mut key, mut value) = ([0; 4], [0; 6]);
        key[2..].copy_from_slice(&kind.to_be_bytes());
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        (key, value)
    }

    /// The control batch that holds this marker, with its offset and leader epoch yet to be given.
    pub fn to_batch(
        self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        now: TimestampMs,
    ) -> Bytes {
        let (key, value) = self.encode();
        BatchBuilder::new(Offset::ZERO)
            .leader_epoch(LeaderEpoch::NONE)
            .attributes(Attributes(0).with_transactional().with_control())
            .producer(producer_id, producer_epoch, Sequence(-1))
            .record(now, Some(&key), Some(&value))
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate_stored;

    #[test]
    fn a_marker_leads_back_through_its_batch() {
        for kind in [MarkerType::Abort, MarkerType::Commit] {
            let marker = EndTransactionMarker { kind, coordinator_epoch: 3 };
            let batch = marker.to_batch(ProducerId(9), ProducerEpoch(1), TimestampMs(5));
            let header = validate_stored(&batch).unwrap();
            assert!(header.attributes.is_control() && header.attributes.is_transactional());
            assert_eq!(EndTransactionMarker::of_batch(&header, &batch), Some(marker));
        }
    }

    #[test]
    fn key_and_value_are_kafkas() {
        let marker = EndTransactionMarker { kind: MarkerType::Commit, coordinator_epoch: 7 };
        assert_eq!(marker.encode(), ([0, 0, 0, 1], [0, 0, 0, 0, 0, 7]));
        assert_eq!(EndTransactionMarker::decode(&[0, 0, 0, 3], &[0; 6]), None);
        assert_eq!(EndTransactionMarker::decode(&[0, 0, 0], &[0; 6]), None);
    }
}
