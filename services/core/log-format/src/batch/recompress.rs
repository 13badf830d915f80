//! A batch with its records compressed anew (`compression.type` other than `producer`).
//!
//! Invariant: only codec, length and checksum change; records, offsets, timestamps and producer are those of the batch that came.
//! Deliberately never looks at a record.

use bytes::Bytes;

use super::header::{BATCH_HEADER_BYTES, BatchHeader, CRC_START, Codec, LOG_OVERHEAD_BYTES};
use crate::compression::{self, CompressError, DecompressError};

/// How a topic's batches are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The codec; `None`: uncompressed.
    pub codec: Codec,
    /// Kafka's level; `None` for a codec without levels.
    pub level: Option<i32>,
}

/// Why a batch could not be compressed anew.
#[derive(Debug, thiserror::Error)]
pub enum RecompressError {
    /// What came cannot be decompressed.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The compressor's own error.
    #[error(transparent)]
    Compress(#[from] CompressError),
}

impl Compression {
    /// Whether a batch is stored as it came: as in Kafka, where the codec is the same, whatever the level.
    pub fn is_of(&self, header: &BatchHeader) -> bool {
        header.attributes.codec() == Some(self.codec)
    }

    /// A validated batch, compressed so; and its header. At most `max_inflated` bytes of records are taken.
    ///
    /// # Errors
    /// See [`RecompressError`].
    pub fn apply(
        &self,
        header: &BatchHeader,
        batch: &[u8],
        max_inflated: usize,
    ) -> Result<(BatchHeader, Bytes), RecompressError> {
        let records = batch.get(BATCH_HEADER_BYTES..).unwrap_or_default();
        let packed = match header.attributes.codec().unwrap_or(Codec::None) {
            Codec::None => compression::compress_at(self.codec, self.level, records)?,
            codec => {
                let inflated = compression::decompress(codec, records, max_inflated)?;
                match self.codec {
                    Codec::None => inflated,
                    codec => compression::compress_at(codec, self.level, &inflated)?,
                }
            }
        };
        let len = BATCH_HEADER_BYTES + packed.len();
        let mut header = BatchHeader {
            batch_length: i32::try_from(len - LOG_OVERHEAD_BYTES)
                .map_err(|_| DecompressError::TooLarge { max_bytes: max_inflated })?,
            attributes: header.attributes.with_codec(self.codec),
            ..*header
        };
        let crc = crc32c::crc32c(&header.encode()[CRC_START..]);
        header.crc = crc32c::crc32c_append(crc, &packed);
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(&packed);
        Ok((header, bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchBuilder, validate_produced};
    use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

    const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    fn batch(codec: Codec) -> Bytes {
        let mut batch = BatchBuilder::new(Offset(40))
            .leader_epoch(LeaderEpoch(2))
            .codec(codec)
            .producer(ProducerId(5), ProducerEpoch(1), Sequence(9));
        for at in 0..200 {
            let headers: &[(&str, &[u8])] = &[("h", b"v")];
            batch.push(TimestampMs(1_000 - at), Some(b"key"), Some(&[7; 30]), headers);
        }
        batch.try_build().unwrap()
    }

    #[test]
    fn only_codec_length_and_checksum_change() {
        let plain = batch(Codec::None);
        for from in CODECS {
            for to in CODECS {
                let came = batch(from);
                let header = validate_produced(&came).unwrap();
                let to = Compression { codec: to, level: None };
                let (stored, bytes) = to.apply(&header, &came, 1 << 20).unwrap();
                assert_eq!(validate_produced(&bytes).unwrap(), stored);
                let expected = BatchHeader {
                    crc: stored.crc,
                    batch_length: stored.batch_length,
                    attributes: header.attributes.with_codec(to.codec),
                    ..header
                };
                assert_eq!(stored, expected);
                let records = &bytes[BATCH_HEADER_BYTES..];
                let records = compression::decompress(to.codec, records, 1 << 20).unwrap();
                assert!(records == plain[BATCH_HEADER_BYTES..], "{from:?} to {:?}", to.codec);
            }
        }
    }

    #[test]
    fn a_batch_that_holds_more_than_it_may_is_refused() {
        let came = batch(Codec::Zstd);
        let header = validate_produced(&came).unwrap();
        let to = Compression { codec: Codec::Gzip, level: Some(9) };
        let refused = to.apply(&header, &came, 1_000);
        assert!(matches!(
            refused,
            Err(RecompressError::Decompress(DecompressError::TooLarge { max_bytes: 1_000 }))
        ));
    }
}
