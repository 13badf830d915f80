//! Encoded bytes as a list of chunks, so that record batches are sent from where they lie.
//!
//! Invariant: `len` is the sum of the chunks' lengths; no chunk is empty. Deliberately does not know who sends them or how.

use bytes::{Bytes, BytesMut};

/// A piece of an encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes that the sender fetches itself (by sendfile): the message has a hole of this length.
    External {
        /// How many bytes.
        len: usize,
        /// What the one who encoded called it.
        tag: u64,
    },
}

impl Chunk {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::External { len, .. } => *len,
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An encoded message or frame, in the order of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkList {
    chunks: Vec<Chunk>,
    len: usize,
}

impl ChunkList {
    pub(crate) fn push(&mut self, chunk: Chunk) {
        if !chunk.is_empty() {
            self.len += chunk.len();
            self.chunks.push(chunk);
        }
    }

    /// Length of all chunks in bytes, holes included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The chunks, to be sent.
    pub fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// The chunks if all are in memory: what one vectored write takes.
    pub fn into_bytes(self) -> Option<Vec<Bytes>> {
        self.chunks
            .into_iter()
            .map(|chunk| match chunk {
                Chunk::Bytes(bytes) => Some(bytes),
                Chunk::External { .. } => None,
            })
            .collect()
    }

    /// All in one piece if all is in memory; copies if there is more than one chunk. For small messages and tests.
    pub fn into_contiguous(self) -> Option<Bytes> {
        let len = self.len;
        let mut pieces = self.into_bytes()?;
        if pieces.len() <= 1 {
            return Some(pieces.pop().unwrap_or_default());
        }
        let mut whole = BytesMut::with_capacity(len);
        pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        Some(whole.freeze())
    }
}
