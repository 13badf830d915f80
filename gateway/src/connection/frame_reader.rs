//! Reads frames from a socket: each into one buffer, out of which everything else is sliced.
//!
//! Invariant: nothing is allocated for bytes that did not come, beyond [`EAGER_BYTES`]; what did come is in the memory budget;
//! a length above the limit is refused before anything is kept. Reading can be dropped and taken up again at any await.
//! Deliberately does not look into a frame, but for the API's number.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use ottla_kafka_wire::ApiKey;
use ottla_kafka_wire::frames::{FrameError, LENGTH_BYTES, frame_length};
use ottla_runtime::seams::NetStream;
use tokio::io::AsyncReadExt;

use super::memory::{MemoryBudget, MemoryPermit};

/// Smallest and largest buffer for what may come next; between them it follows the size of the last frame.
const MIN_READ_AHEAD_BYTES: usize = 4 << 10;
/// See [`MIN_READ_AHEAD_BYTES`].
const MAX_READ_AHEAD_BYTES: usize = 32 << 10;
/// A frame up to this size gets its whole buffer at once (the pages are touched only when bytes come); a longer one
/// grows with what came.
const EAGER_BYTES: usize = 1 << 20;
/// The memory budget is asked for a frame in steps of this size.
const BUDGET_STEP_BYTES: usize = 256 << 10;

/// What a Produce takes in memory, decoded form included, in multiples of its length: nearly all of it are batches, which
/// stay where they are.
pub(crate) const PRODUCE_WEIGHT: usize = 2;
/// What any other request takes in memory at most, decoded form included, in multiples of its length.
pub(crate) const OTHER_WEIGHT: usize = 5;

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The socket failed.
    #[error("reading failed: {0}")]
    Io(#[from] std::io::Error),
    /// The length is not acceptable.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The client went in the middle of a frame.
    #[error("the client closed in the middle of a frame")]
    Truncated,
}

/// What came.
pub(crate) enum Incoming {
    /// A frame without its length, and the memory that it takes.
    Frame(Bytes, MemoryPermit),
    /// A part of a frame.
    Part,
    /// The client closed after a whole frame.
    End,
}

/// Reads one frame after the other.
pub(crate) struct FrameReader {
    buffer: BytesMut,
    limit: usize,
    budget: MemoryBudget,
    /// Of the frame that is being read.
    memory: MemoryPermit,
    /// Length of the frame that is being read, its prefix included, once that is known.
    wanted: Option<usize>,
    read_ahead: usize,
}

impl FrameReader {
    /// Reads frames of up to `limit` bytes.
    pub(crate) fn new(limit: usize, budget: MemoryBudget) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
            budget,
            memory: MemoryPermit::default(),
            wanted: None,
            read_ahead: MIN_READ_AHEAD_BYTES,
        }
    }

    /// Whether a frame began and is not complete.
    pub(crate) fn is_in_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads at most once. Can be dropped and called again.
    ///
    /// # Errors
    /// The socket failed, or what comes is no frame.
    pub(crate) async fn next(&mut self, stream: &mut dyn NetStream) -> Result<Incoming, ReadError> {
        if self.has_whole_frame()? {
            return Ok(self.take().await);
        }
        let most = self.make_room().await;
        let read = stream.read_buf(&mut (&mut self.buffer).limit(most)).await?;
        match (read, self.buffer.is_empty()) {
            (0, true) => return Ok(Incoming::End),
            (0, false) => return Err(ReadError::Truncated),
            _ => {}
        }
        match self.has_whole_frame()? {
            true => Ok(self.take().await),
            false => Ok(Incoming::Part),
        }
    }

    fn has_whole_frame(&mut self) -> Result<bool, FrameError> {
        if self.wanted.is_none() {
            let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(false) };
            self.wanted = Some(LENGTH_BYTES + frame_length(*prefix, self.limit)?);
        }
        Ok(self.wanted.is_some_and(|wanted| self.buffer.len() >= wanted))
    }

    async fn take(&mut self) -> Incoming {
        let wanted = self.wanted.expect("a whole frame has a known length");
        let charge = wanted * self.weight();
        self.budget.grow(&mut self.memory, charge).await;
        let mut frame = self.buffer.split_to(wanted);
        frame.advance(LENGTH_BYTES);
        self.wanted = None;
        self.read_ahead =
            wanted.next_power_of_two().clamp(MIN_READ_AHEAD_BYTES, MAX_READ_AHEAD_BYTES);
        Incoming::Frame(frame.freeze(), std::mem::take(&mut self.memory))
    }

    /// Makes room in the buffer; returns how many bytes to read at most.
    async fn make_room(&mut self) -> usize {
        let Some(wanted) = self.wanted else {
            if self.spare() < self.read_ahead / 2 {
                self.buffer.reserve(self.read_ahead);
            }
            return self.spare();
        };
        let come = self.buffer.len();
        let step = wanted.min(come + BUDGET_STEP_BYTES);
        let charge = step * self.weight();
        self.budget.grow(&mut self.memory, charge).await;
        let missing = wanted - come;
        if self.spare() < missing && (wanted <= EAGER_BYTES || self.spare() == 0) {
            self.buffer.reserve(missing.min(come.max(EAGER_BYTES)));
        }
        // Small frames share a buffer; a large one has its own, and leaves what follows it in the socket.
        let most = if wanted <= self.read_ahead { self.spare() } else { step - come };
        most.min(self.spare())
    }

    /// How much memory the frame takes, in multiples of its length; the API's number comes first in it.
    fn weight(&self) -> usize {
        let key = self.buffer.get(LENGTH_BYTES..LENGTH_BYTES + 2);
        let is_produce = key.is_some_and(|key| key == ApiKey::Produce.code().to_be_bytes());
        if is_produce { PRODUCE_WEIGHT } else { OTHER_WEIGHT }
    }

    fn spare(&self) -> usize {
        self.buffer.capacity() - self.buffer.len()
    }
}
