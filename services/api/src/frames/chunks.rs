//! The decoding side: what has come in, as one sequence of bytes.
//!
//! Invariant: bytes leave in the order in which they came; a field that came in one chunk leaves without a copy. Tiny chunks are
//! joined, so that what is kept costs no more than a small multiple of what was sent.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Chunks below this size are copied together.
const TINY_BYTES: usize = 4 << 10;

#[derive(Default)]
pub(super) struct Chunks {
    whole: VecDeque<Bytes>,
    /// Tiny chunks, behind all whole ones.
    joined: BytesMut,
    len: usize,
}

impl Chunks {
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.len += chunk.len();
        if chunk.len() < TINY_BYTES {
            self.joined.extend_from_slice(&chunk);
        } else {
            self.close_joined();
            self.whole.push_back(chunk);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// To read from; whatever comes later is not part of it.
    pub(super) fn reading(&mut self) -> &mut Self {
        self.close_joined();
        self
    }

    fn close_joined(&mut self) {
        if !self.joined.is_empty() {
            self.whole.push_back(self.joined.split().freeze());
        }
    }
}

/// Only through [`Chunks::reading`].
impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.whole.front().map_or(&[], Bytes::as_ref)
    }

    fn advance(&mut self, count: usize) {
        self.len -= count;
        let mut left = count;
        while left > 0 {
            let front = self.whole.front_mut().expect("the length counts what is here");
            let step = left.min(front.len());
            front.advance(step);
            if front.is_empty() {
                self.whole.pop_front();
            }
            left -= step;
        }
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        match self.whole.front_mut() {
            Some(front) if front.len() > len => {
                self.len -= len;
                front.split_to(len)
            }
            Some(front) if front.len() == len => {
                self.len -= len;
                self.whole.pop_front().unwrap_or_default()
            }
            _ => {
                let mut joined = BytesMut::with_capacity(len);
                while joined.len() < len {
                    let step = self.chunk().len().min(len - joined.len());
                    assert!(step > 0, "the caller asked for no more than remains");
                    joined.extend_from_slice(&self.chunk()[..step]);
                    self.advance(step);
                }
                joined.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_leave_as_they_came(
            lens in prop::collection::vec(1..3 * TINY_BYTES, 1..8),
            takes in prop::collection::vec(0..4 * TINY_BYTES, 1..16),
        ) {
            let mut chunks = Chunks::default();
            let mut all = Vec::new();
            for (index, len) in lens.iter().enumerate() {
                let chunk: Vec<u8> = (0..*len).map(|n| (n * 7 + index) as u8).collect();
                all.extend_from_slice(&chunk);
                chunks.push(chunk.into());
            }
            let mut at = 0;
            for take in takes {
                let take = take.min(chunks.len());
                prop_assert_eq!(&chunks.reading().copy_to_bytes(take)[..], &all[at..at + take]);
                at += take;
                let skip = (take / 2).min(chunks.len());
                chunks.reading().advance(skip);
                at += skip;
                prop_assert_eq!(chunks.len(), all.len() - at);
            }
        }
    }

    #[test]
    fn a_chunk_that_is_taken_whole_is_not_copied() {
        let mut chunks = Chunks::default();
        let payload = Bytes::from(vec![1; 2 * TINY_BYTES]);
        chunks.push(Bytes::from_static(b"head"));
        chunks.push(payload.clone());
        chunks.reading().advance(4);
        assert_eq!(chunks.reading().copy_to_bytes(payload.len()).as_ptr(), payload.as_ptr());
    }
}
