//! What becomes of a request: bytes to send, nothing, or the end of the connection.
//!
//! Invariant: a region's tag in the chunk list is its index in `regions`. Deliberately knows no API.

use std::sync::Arc;
use std::time::Duration;

use ottla_kafka_wire::{Chunk, ChunkList};
use ottla_runtime::seams::DiskFile;
use ottla_types::TraceParent;

use crate::connection::{AnswerAccount, HeldAnswer};

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Bytes go back to the client.
    Send(Frame),
    /// The client expects nothing (`acks=0`).
    Silent,
    /// The connection ends, as Kafka ends it; the text is for the log.
    Close(String),
}

/// An encoded response.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The bytes, with holes where a region belongs.
    pub(crate) chunks: ChunkList,
    /// What belongs into the holes.
    pub(crate) regions: Vec<Region>,
    /// The memory that the chunks take; given back when they are sent.
    pub(crate) held: HeldAnswer,
    /// How long the connection is not read after this answer: clients that ignore `throttle_time_ms` are slowed down too.
    pub(crate) mute: Option<Duration>,
    /// The trace of the request, if it is sampled: for exemplars.
    pub(crate) trace: Option<TraceParent>,
}

impl Frame {
    /// A response whose regions are still to be named; what it takes in memory is counted from now on.
    pub(crate) fn new(chunks: ChunkList, account: &Arc<AnswerAccount>) -> Self {
        let in_memory = |chunk: &Chunk| match chunk {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::External { .. } => 0,
        };
        let held = account.hold(chunks.chunks().iter().map(in_memory).sum());
        Self { chunks, regions: Vec::new(), held, mute: None, trace: None }
    }
}

/// A part of a file that is sent without passing through memory.
#[derive(Clone)]
pub(crate) struct Region {
    /// The file.
    pub(crate) file: Arc<dyn DiskFile>,
    /// First byte.
    pub(crate) position: u64,
    /// How many bytes.
    pub(crate) len: usize,
}

impl Region {
    /// The first bytes of it, `len` at most; the rest stays.
    pub(crate) fn split_to(&mut self, len: usize) -> Self {
        let first = Self { len: len.min(self.len), ..self.clone() };
        self.position += first.len as u64;
        self.len -= first.len;
        first
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes at {}", self.len, self.position)
    }
}
