//! What one record of the write-ahead log says: everything that one `Ready` of raft needs to be durable, in one piece (P1).
//!
//! Invariant: decoding takes no more memory than the bytes received justify, and never panics.

use raft::eraftpb::{ConfState, Entry, HardState};

/// A position in raft's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Index of an entry.
    pub index: u64,
    /// Its term.
    pub term: u64,
}

/// What is written at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// A snapshot took the place of all entries; it is this position's state (P4).
    pub installed: Option<Position>,
    /// Entries up to here are not needed any more.
    pub start: Option<Position>,
    /// The members from now on.
    pub conf_state: Option<ConfState>,
    /// Entries; they replace what the log has from the first one's index on.
    pub entries: Vec<Entry>,
    /// Term, vote and commit index from now on.
    pub hard_state: Option<HardState>,
}

/// A payload with a good checksum that nevertheless makes no sense: written by a later version, or by a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record has a good checksum but a content that this version does not understand")]
pub(super) struct DecodeError;

const TAG_INSTALLED: u8 = 1;
const TAG_START: u8 = 2;
const TAG_CONF_STATE: u8 = 3;
const TAG_ENTRY: u8 = 4;
const TAG_HARD_STATE: u8 = 5;
/// Bytes before the content of a part: tag and length.
const PART_HEAD_BYTES: usize = 5;

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The payload, and where in it each entry lies.
    pub(super) fn encode(&self) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
        let mut out = Vec::with_capacity(self.size_hint());
        let mut places = Vec::with_capacity(self.entries.len());
        for (tag, position) in [(TAG_INSTALLED, self.installed), (TAG_START, self.start)] {
            if let Some(position) = position {
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&position.index.to_le_bytes());
                bytes[8..].copy_from_slice(&position.term.to_le_bytes());
                put(&mut out, tag, &bytes);
            }
        }
        if let Some(conf_state) = &self.conf_state {
            put(&mut out, TAG_CONF_STATE, &to_bytes(conf_state));
        }
        for entry in &self.entries {
            let begin = out.len() + PART_HEAD_BYTES;
            put(&mut out, TAG_ENTRY, &to_bytes(entry));
            places.push(begin..out.len());
        }
        if let Some(hard_state) = &self.hard_state {
            put(&mut out, TAG_HARD_STATE, &to_bytes(hard_state));
        }
        (out, places)
    }

    /// The batch of a payload, and where in it each entry lies.
    pub(super) fn decode(
        payload: &[u8],
    ) -> Result<(Self, Vec<std::ops::Range<usize>>), DecodeError> {
        let mut batch = Self::default();
        let mut places = Vec::new();
        let mut at = 0;
        while at < payload.len() {
            let head = payload.get(at..at + PART_HEAD_BYTES).ok_or(DecodeError)?;
            let length = u32::from_le_bytes(head[1..].try_into().expect("four bytes")) as usize;
            let begin = at + PART_HEAD_BYTES;
            let end = begin.checked_add(length).ok_or(DecodeError)?;
            let part = payload.get(begin..end).ok_or(DecodeError)?;
            match head[0] {
                TAG_INSTALLED => batch.installed = Some(position(part)?),
                TAG_START => batch.start = Some(position(part)?),
                TAG_CONF_STATE => batch.conf_state = Some(from_bytes(part)?),
                TAG_ENTRY => {
                    batch.entries.push(from_bytes(part)?);
                    places.push(begin..end);
                }
                TAG_HARD_STATE => batch.hard_state = Some(from_bytes(part)?),
                _ => return Err(DecodeError),
            }
            at = end;
        }
        Ok((batch, places))
    }

    fn size_hint(&self) -> usize {
        256 + self.entries.iter().map(|e| e.data.len() + e.context.len() + 48).sum::<usize>()
    }
}

/// The entry of some bytes that [`Batch::encode`] wrote.
pub(super) fn decode_entry(bytes: &[u8]) -> Result<Entry, DecodeError> {
    from_bytes(bytes)
}

fn put(out: &mut Vec<u8>, tag: u8, part: &[u8]) {
    out.push(tag);
    let length = u32::try_from(part.len()).expect("a part is shorter than a payload");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(part);
}

fn to_bytes(message: &impl protobuf::Message) -> Vec<u8> {
    message.write_to_bytes().expect("writing to memory does not fail, and no field is required")
}

fn from_bytes<M: protobuf::Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    M::parse_from_bytes(bytes).map_err(|_| DecodeError)
}

fn position(part: &[u8]) -> Result<Position, DecodeError> {
    let bytes: &[u8; 16] = part.try_into().map_err(|_| DecodeError)?;
    let half = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    Ok(Position { index: half(0), term: half(8) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_leads_back_to_itself() {
        let entry = Entry { index: 4, term: 2, data: vec![7; 30].into(), ..Entry::default() };
        let batch = Batch {
            installed: Some(Position { index: 3, term: 1 }),
            start: Some(Position { index: 2, term: 1 }),
            conf_state: Some(ConfState::from((vec![1, 2, 3], vec![]))),
            entries: vec![entry.clone(), Entry { index: 5, ..entry }],
            hard_state: Some(HardState { term: 2, vote: 1, commit: 3, ..HardState::default() }),
        };
        let (payload, places) = batch.encode();
        let (decoded, found) = Batch::decode(&payload).unwrap();
        assert_eq!((decoded, found.clone()), (batch.clone(), places));
        assert_eq!(decode_entry(&payload[found[1].clone()]).unwrap(), batch.entries[1]);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = Batch::decode(&bytes);
        }
    }
}
