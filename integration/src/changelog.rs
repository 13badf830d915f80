//! A changelog of which every record can be told from its offset: so a reader knows what compaction must have left, whoever wrote it and
//! however often it was killed.

use std::io;

use bytes::Bytes;
use ottla_log_format::compression::decompress;
use ottla_log_format::{BATCH_HEADER_BYTES, BatchBuilder, Codec, Records, batches};
use ottla_types::Offset;

use crate::records;
use crate::wire::Wire;

/// Bytes of a value.
const VALUE_BYTES: usize = 100;
/// Most bytes that come out of a batch.
const MAX_INFLATED_BYTES: usize = 64 << 20;
/// One record of so many is a tombstone.
const TOMBSTONE_EACH: u64 = 17;
/// Spreads offsets over keys.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A changelog over so many keys.
#[derive(Clone, Copy, Debug)]
pub struct Changelog {
    /// How many keys there are.
    pub keys: u64,
}

/// What a reader saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Records.
    pub records: u64,
    /// Of those, tombstones.
    pub tombstones: u64,
    /// Keys whose last record is a tombstone that is gone.
    pub gone: u64,
    /// Where the log ends.
    pub end: u64,
}

impl Changelog {
    /// The key at an offset.
    fn key(&self, offset: u64) -> u64 {
        (offset.wrapping_mul(SPREAD) >> 20) % self.keys.max(1)
    }

    fn is_tombstone(offset: u64) -> bool {
        offset.wrapping_mul(SPREAD) >> 40 & 0xffff < 0x1_0000 / TOMBSTONE_EACH
    }

    fn value(offset: u64) -> Option<Vec<u8>> {
        let text = format!("{offset:>width$}", width = VALUE_BYTES);
        (!Self::is_tombstone(offset)).then(|| text.into_bytes())
    }

    /// A batch of the records from `base` on.
    ///
    /// # Errors
    /// The compressor's.
    pub fn batch(&self, base: u64, count: u64, codec: Codec) -> io::Result<Bytes> {
        let (stamp, mut builder) = (records::now(), BatchBuilder::new(Offset(0)).codec(codec));
        for offset in base..base + count {
            let key = format!("key-{:08}", self.key(offset));
            builder.push(stamp, Some(key.as_bytes()), Self::value(offset).as_deref(), &[]);
        }
        builder.try_build().map_err(io::Error::other)
    }

    /// Reads partition 0 of a topic from its beginning to its end, and checks all that is seen: each record is as it was written, in the
    /// order of offsets; each key's last one is there, but for a tombstone where `may_be_gone`.
    ///
    /// # Errors
    /// What is wrong, or the connection's.
    pub fn check(&self, wire: &mut Wire, topic: &str, may_be_gone: bool) -> io::Result<Seen> {
        let (mut seen, mut next) = (Seen::default(), 0);
        let mut found = vec![None; usize::try_from(self.keys).unwrap_or(0)];
        loop {
            let (end, bytes) = records::fetch(wire, topic, 0, next)?;
            for batch in batches(&bytes) {
                // The last one may be cut off.
                let Ok(batch) = batch else { break };
                let codec = batch.header.attributes.codec().unwrap_or(Codec::None);
                let payload = &batch.bytes[BATCH_HEADER_BYTES..];
                let payload =
                    decompress(codec, payload, MAX_INFLATED_BYTES).map_err(io::Error::other)?;
                for record in Records::over(&batch.header, &payload) {
                    let record = record.map_err(io::Error::other)?;
                    if record.offset.0 < next {
                        continue;
                    }
                    let offset = record.offset.0 as u64;
                    let key = self.key(offset);
                    let is_right = record.key == Some(format!("key-{key:08}").as_bytes())
                        && record.value == Self::value(offset).as_deref();
                    if !is_right {
                        return Err(wrong(format!("offset {offset} is not as it was written")));
                    }
                    found[key as usize] = Some(offset);
                    seen.records += 1;
                    seen.tombstones += u64::from(record.value.is_none());
                }
                next = next.max(batch.header.next_offset().0);
            }
            if next >= end {
                seen.end = u64::try_from(end).unwrap_or(0);
                break;
            }
        }
        seen.gone = self.compare(&found, seen.end, may_be_gone)?;
        Ok(seen)
    }

    /// How many keys have no record because the last one was a tombstone.
    fn compare(&self, found: &[Option<u64>], end: u64, may_be_gone: bool) -> io::Result<u64> {
        let mut last = vec![None; found.len()];
        for offset in 0..end {
            last[self.key(offset) as usize] = Some(offset);
        }
        let mut gone = 0;
        for (key, (found, last)) in found.iter().zip(&last).enumerate() {
            let is_gone = found.is_none() && last.is_some_and(Self::is_tombstone);
            gone += u64::from(is_gone);
            if found != last && !(is_gone && may_be_gone) {
                return Err(wrong(format!("key {key}: last written at {last:?}, seen {found:?}")));
            }
        }
        Ok(gone)
    }
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_repeat_and_some_records_are_tombstones() {
        let log = Changelog { keys: 100 };
        let keys: std::collections::BTreeSet<_> =
            (0..10_000).map(|offset| log.key(offset)).collect();
        assert_eq!(keys.len(), 100);
        let tombstones = (0..17_000).filter(|offset| Changelog::is_tombstone(*offset)).count();
        assert!((500..2_000).contains(&tombstones), "{tombstones}");
        let last_ones = (0..100).filter(|key| {
            let last = (0..10_000).rev().find(|offset| log.key(*offset) == *key);
            last.is_some_and(Changelog::is_tombstone)
        });
        assert!(last_ones.count() > 0, "some keys end with one");
    }

    #[test]
    fn what_is_missing_or_back_is_found() {
        let log = Changelog { keys: 10 };
        let mut found = vec![None; 10];
        (0..1_000).for_each(|offset| found[log.key(offset) as usize] = Some(offset));
        assert_eq!(log.compare(&found, 1_000, false).unwrap(), 0);
        let value =
            found.iter().position(|last| !last.is_some_and(Changelog::is_tombstone)).unwrap();
        let mut missing = found.clone();
        missing[value] = None;
        assert!(log.compare(&missing, 1_000, true).is_err());
        missing[value] = Some(1);
        assert!(log.compare(&missing, 1_000, true).is_err());
    }
}
