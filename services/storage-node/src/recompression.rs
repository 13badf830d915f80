//! Batches that are stored with another compression than the producer's (`compression.type`).
//!
//! Invariant: done before a shard sees the batch, on the caller's thread and within its first poll, so that no shard waits for it and
//! batches keep their order. Batches that wait in their new form hold at most [`MAX_HELD_BYTES`] together.
//! Deliberately does not know records, offsets, or who produces.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use ottla_log_format::{BatchHeader, Codec, Compression};
use ottla_metadata::topic_config::StoredCompression;
use ottla_types::{ErrorCode, TopicId};

use crate::by_topic::ByTopic;

/// Bytes of batches in their new form that a node holds at once, until they are appended or refused.
const MAX_HELD_BYTES: usize = 256 << 20;
/// Most bytes of records that one batch may hold, decompressed.
const MAX_INFLATED_BYTES: usize = 64 << 20;

/// How the batches of one topic are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) compression: Compression,
    /// `max.message.bytes`: what is larger than this already is left to be refused as it is.
    pub(crate) max_message_bytes: usize,
}

impl Target {
    /// What a topic's config says; `None`: as the producer sent them.
    pub(crate) fn of(stored: StoredCompression, max_message_bytes: usize) -> Option<Self> {
        let (codec, level) = match stored {
            StoredCompression::Producer => return None,
            StoredCompression::Uncompressed => (Codec::None, None),
            StoredCompression::Gzip(level) => (Codec::Gzip, Some(level)),
            StoredCompression::Snappy => (Codec::Snappy, None),
            StoredCompression::Lz4(level) => (Codec::Lz4, Some(level)),
            StoredCompression::Zstd(level) => (Codec::Zstd, Some(level)),
        };
        Some(Self { compression: Compression { codec, level }, max_message_bytes })
    }
}

/// The topics whose batches are compressed anew.
#[derive(Default)]
pub(crate) struct Recompression {
    targets: ByTopic<Target>,
    held: Arc<AtomicUsize>,
}

/// A batch in its new form.
pub(crate) type Anew = (BatchHeader, Bytes, Held);

/// Memory of batches in their new form; given back when it is dropped.
pub(crate) struct Held {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Recompression {
    /// How the batches of topics are stored that say so.
    pub(crate) fn targets(&self) -> &ByTopic<Target> {
        &self.targets
    }

    /// The batch as it is to be stored, if that is not as it came; it is to be dropped before what is held for it.
    ///
    /// # Errors
    /// What to tell the producer.
    pub(crate) fn apply(
        &self,
        topic: TopicId,
        header: &BatchHeader,
        batch: &Bytes,
    ) -> Result<Option<Anew>, (ErrorCode, String)> {
        let Some(target) = self.targets.load().get(&topic).copied() else { return Ok(None) };
        if target.compression.is_of(header) || batch.len() > target.max_message_bytes {
            return Ok(None);
        }
        let stored = target.compression.apply(header, batch, MAX_INFLATED_BYTES);
        let (header, bytes) =
            stored.map_err(|error| (ErrorCode::InvalidRecord, error.to_string()))?;
        let held = self.hold(bytes.len()).ok_or_else(|| {
            let message = "too many batches are compressed anew at once".to_owned();
            (ErrorCode::RequestTimedOut, message)
        })?;
        Ok(Some((header, bytes, held)))
    }

    fn hold(&self, bytes: usize) -> Option<Held> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let held = Held { bytes, of: Arc::clone(&self.held) };
        (before.saturating_add(bytes) <= MAX_HELD_BYTES).then_some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log_format::{BatchBuilder, validate_produced};
    use ottla_types::{Offset, TimestampMs};

    fn batch() -> (BatchHeader, Bytes) {
        let batch = BatchBuilder::new(Offset(0));
        let bytes = batch.record(TimestampMs(1), None, Some(&[7; 5_000])).build();
        (validate_produced(&bytes).unwrap(), bytes)
    }

    fn topic(n: u128) -> TopicId {
        TopicId(ottla_types::Uuid::from_random(n))
    }

    #[test]
    fn only_batches_of_topics_with_a_codec_of_their_own_are_compressed_anew() {
        let (header, bytes) = batch();
        let recompression = Recompression::default();
        let apply = |topic| recompression.apply(topic, &header, &bytes).unwrap();
        recompression.targets.set(topic(1), Target::of(StoredCompression::Zstd(3), 1 << 20));
        recompression.targets.set(topic(2), Target::of(StoredCompression::Uncompressed, 1 << 20));
        recompression.targets.set(topic(3), Target::of(StoredCompression::Zstd(3), 1_000));
        let (stored, smaller, _held) = apply(topic(1)).unwrap();
        assert_eq!(stored.attributes.codec(), Some(Codec::Zstd));
        assert!(smaller.len() < 500);
        for unchanged in [2, 3, 4] {
            assert!(apply(topic(unchanged)).is_none());
        }
        recompression.targets.set(topic(1), Target::of(StoredCompression::Producer, 1 << 20));
        assert!(apply(topic(1)).is_none());
        recompression.targets.retain(|_| false);
        assert!(recompression.targets.load().is_empty());
    }

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let recompression = Recompression::default();
        let most = recompression.hold(MAX_HELD_BYTES);
        assert!(most.is_some() && recompression.hold(1).is_none());
        drop(most);
        assert!(recompression.hold(MAX_HELD_BYTES).is_some());
        assert_eq!(recompression.held.load(Ordering::Relaxed), 0);
    }
}
