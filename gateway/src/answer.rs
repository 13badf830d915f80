//! What becomes of a request: bytes to send, nothing, or the end of the connection.
//!
//! Invariant: a region's tag in the chunk list is its index in `regions`. Deliberately knows no API.

use std::sync::Arc;
use std::time::Duration;

use ottla_kafka_wire::ChunkList;
use ottla_runtime::seams::DiskFile;
use ottla_types::TraceParent;

use crate::connection::HeldAnswer;

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
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// The bytes, with holes where a region belongs.
    pub(crate) chunks: ChunkList,
    /// What belongs into the holes.
    pub(crate) regions: Vec<Region>,
    /// The memory that the chunks take; given back when they are sent.
    pub(crate) held: Option<HeldAnswer>,
    /// How long the connection is not read after this answer: clients that ignore `throttle_time_ms` are slowed down too.
    pub(crate) mute: Option<Duration>,
    /// The trace of the request, if it is sampled: for exemplars.
    pub(crate) trace: Option<TraceParent>,
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

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes at {}", self.len, self.position)
    }
}
