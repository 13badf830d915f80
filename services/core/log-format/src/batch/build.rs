//! Making batches: for the CLI, for tests, for control records.
//!
//! Invariant: `build` gives a batch that `validate_stored` accepts. Clients' batches never come through here.

use bytes::Bytes;
use ottla_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use super::header::{
    Attributes, BATCH_HEADER_BYTES, BatchHeader, CRC_START, Codec, LOG_OVERHEAD_BYTES,
};
use crate::compression::{self, CompressError};
use crate::varint::{write_i32, write_i64};

/// Collects records and makes a batch of them.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    records: Vec<u8>,
    /// Scratch for one record's body.
    body: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch whose first record will be at `base_offset`.
    pub fn new(base_offset: Offset) -> Self {
        let header = BatchHeader {
            base_offset,
            batch_length: 0,
            leader_epoch: LeaderEpoch(-1),
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: -1,
            base_timestamp: TimestampMs::NONE,
            max_timestamp: TimestampMs::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch(-1),
            base_sequence: Sequence(-1),
            record_count: 0,
        };
        Self { header, records: Vec::new(), body: Vec::new() }
    }

    /// Sets the leader epoch.
    pub fn leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = epoch;
        self
    }

    /// Sets codec and flags.
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.header.attributes = attributes;
        self
    }

    /// Sets the codec.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.header.attributes = self.header.attributes.with_codec(codec);
        self
    }

    /// Sets the idempotent producer and the sequence of the first record.
    pub fn producer(
        mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        base_sequence: Sequence,
    ) -> Self {
        (self.header.producer_id, self.header.producer_epoch, self.header.base_sequence) =
            (id, epoch, base_sequence);
        self
    }

    /// Adds a record without headers.
    pub fn record(self, timestamp: TimestampMs, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        self.record_with_headers(timestamp, key, value, &[])
    }

    /// Adds a record.
    pub fn record_with_headers(
        mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Self {
        self.push(timestamp, key, value, headers);
        self
    }

    /// Adds a record, in place.
    pub fn push(
        &mut self,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        if self.header.record_count == 0 {
            self.header.base_timestamp = timestamp;
        }
        self.body.clear();
        self.body.push(0);
        write_i64(&mut self.body, timestamp.since_ms(self.header.base_timestamp));
        write_i32(&mut self.body, self.header.record_count);
        write_nullable(&mut self.body, key);
        write_nullable(&mut self.body, value);
        write_i32(&mut self.body, headers.len() as i32);
        for (key, value) in headers {
            write_nullable(&mut self.body, Some(key.as_bytes()));
            write_nullable(&mut self.body, Some(value));
        }
        write_i32(&mut self.records, self.body.len() as i32);
        self.records.extend_from_slice(&self.body);
        self.header.record_count += 1;
        self.header.last_offset_delta += 1;
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
    }

    /// Number of records so far.
    pub fn record_count(&self) -> usize {
        self.header.record_count as usize
    }

    /// Bytes of the records so far, uncompressed.
    pub fn records_bytes(&self) -> usize {
        self.records.len()
    }

    /// The batch, with its records compressed as the codec says.
    ///
    /// # Errors
    /// What the compressor says.
    pub fn try_build(mut self) -> Result<Bytes, CompressError> {
        let codec = self.header.attributes.codec().unwrap_or(Codec::None);
        if codec != Codec::None {
            self.records = compression::compress(codec, &self.records)?;
        }
        Ok(self.assemble())
    }

    /// The batch, uncompressed.
    pub fn build(mut self) -> Bytes {
        self.header.attributes = self.header.attributes.with_codec(Codec::None);
        self.assemble()
    }

    fn assemble(mut self) -> Bytes {
        let len = BATCH_HEADER_BYTES + self.records.len();
        self.header.batch_length = (len - LOG_OVERHEAD_BYTES) as i32;
        let crc = crc32c::crc32c(&self.header.encode()[CRC_START..]);
        self.header.crc = crc32c::crc32c_append(crc, &self.records);
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&self.header.encode());
        bytes.extend_from_slice(&self.records);
        bytes.into()
    }
}

fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => write_i32(out, -1),
        Some(bytes) => {
            write_i32(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}
