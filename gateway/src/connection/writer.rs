//! Sends answers: all that are ready in one vectored write, file regions by sendfile.
//!
//! Invariant: answers leave whole and in the order in which they are given; a client that takes nothing for too long is cut
//! off, sooner when others wait for the memory that his answer takes. Deliberately does not know what the bytes mean.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::FutureExt;
use futures::future::{Either, select};
use ottla_kafka_wire::Chunk;
use ottla_runtime::seams::{Clock, NetStream, Tasks};

use super::{AnswerAccount, HeldAnswer, region};
use crate::answer::{Frame, Region};

/// Chunks in one system call (`IOV_MAX` of Linux).
const MAX_SLICES_PER_WRITE: usize = 1_024;

/// A client that takes its answers more slowly than this, all in all, is cut off.
const MIN_BYTES_PER_SECOND: u64 = 16 << 10;

/// Bytes of small regions that are in memory at a time.
const WINDOW_BYTES: usize = 256 << 10;

/// When others wait for memory, a client gets this long for its answer, and what [`SCARCE_BYTES_PER_SECOND`] adds to it.
const SCARCE_PATIENCE: Duration = Duration::from_secs(10);

/// See [`SCARCE_PATIENCE`].
const SCARCE_BYTES_PER_SECOND: u64 = 1 << 20;

/// How often it is looked whether others wait for memory, once a client is that slow.
const SCARCE_CHECK: Duration = Duration::from_secs(2);

/// Answers up to this size are in nobody's way.
const SMALL_ANSWER_BYTES: usize = 64 << 10;

/// Why the client was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The socket failed.
    #[error("writing failed: {0}")]
    Io(#[from] io::Error),
    /// The client takes nothing.
    #[error("the client took nothing of its answer for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The client is slow, and others wait.
    #[error(
        "the client took its answer too slowly while others waited for the memory that it takes"
    )]
    InTheWay,
    /// The records are gone.
    #[error("the records could not be read: {0}")]
    Region(io::Error),
}

/// What sending needs of the machine.
#[derive(Clone)]
pub(crate) struct Writer {
    /// Measures how long a client takes nothing.
    pub(crate) clock: Arc<dyn Clock>,
    /// Reads what is not in the page cache.
    pub(crate) tasks: Arc<dyn Tasks>,
    /// How long a client may take nothing.
    pub(crate) patience: Duration,
    /// The memory that the answers of the connection take.
    pub(crate) answers: Arc<AnswerAccount>,
}

/// What is to be sent, in its order.
enum Piece {
    Bytes(Bytes),
    Region(Region),
}

/// Until when a client must have taken what is sent to it.
#[derive(Clone, Copy)]
struct Deadlines {
    usual: Duration,
    /// When others wait for the memory that this takes.
    scarce: Duration,
}

impl Writer {
    /// Sends the frames one after the other; their memory is given back when all are sent.
    ///
    /// # Errors
    /// The socket failed, or the client takes nothing.
    pub(crate) async fn send(
        &self,
        stream: &mut dyn NetStream,
        frames: Vec<Frame>,
    ) -> Result<(), WriteError> {
        let has_descriptor = stream.as_fd().is_some();
        let deadlines = self.deadlines(&frames);
        let (mut pieces, _held) = pieces(frames);
        let mut window = Window::default();
        loop {
            self.fill(&mut window, &mut pieces, has_descriptor).await?;
            if !window.ready.is_empty() {
                self.write_some(stream, &mut window.ready, deadlines).await?;
                continue;
            }
            match pieces.pop_front() {
                Some(Piece::Region(region)) => self.send_region(stream, region, deadlines).await?,
                Some(Piece::Bytes(bytes)) => window.ready.push_back(bytes),
                None => return Ok(()),
            }
        }
    }

    fn deadlines(&self, frames: &[Frame]) -> Deadlines {
        let bytes: usize = frames.iter().map(|frame| frame.chunks.len()).sum();
        let seconds = |rate| Duration::from_secs(bytes as u64 / rate);
        let now = self.clock.monotonic();
        let usual = now.saturating_add(self.patience).saturating_add(seconds(MIN_BYTES_PER_SECOND));
        let scarce = now + SCARCE_PATIENCE + seconds(SCARCE_BYTES_PER_SECOND);
        Deadlines { usual, scarce }
    }

    /// Makes bytes ready to be written, when none are: small regions are read into memory, cheaper than a system call of
    /// their own, but no more than a window of them.
    async fn fill(
        &self,
        window: &mut Window,
        pieces: &mut VecDeque<Piece>,
        has_descriptor: bool,
    ) -> Result<(), WriteError> {
        if !window.ready.is_empty() {
            return Ok(());
        }
        let mut room = WINDOW_BYTES;
        while window.ready.len() < MAX_SLICES_PER_WRITE
            && room > 0
            && let Some(first) = pieces.pop_front()
        {
            let mut region = match first {
                Piece::Bytes(bytes) => {
                    window.ready.push_back(bytes);
                    continue;
                }
                Piece::Region(region) => region,
            };
            let has_memory = window.has_memory(&self.answers);
            if has_descriptor && (!has_memory || region::is_for_sendfile(&region)) {
                pieces.push_front(Piece::Region(region));
                break;
            }
            let part = region.split_to(room);
            if region.len > 0 {
                pieces.push_front(Piece::Region(region));
            }
            room -= part.len;
            let read = region::read(&self.tasks, part).await.map_err(WriteError::Region)?;
            window.ready.push_back(read);
        }
        Ok(())
    }

    /// One vectored write of the bytes in front.
    async fn write_some(
        &self,
        stream: &mut dyn NetStream,
        ready: &mut VecDeque<Bytes>,
        deadlines: Deadlines,
    ) -> Result<(), WriteError> {
        let slices: Vec<_> = ready.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let mut stream = Pin::new(stream);
        let write = poll_fn(|cx| stream.as_mut().poll_write_vectored(cx, &slices));
        let mut written = self.patiently(write, deadlines).await?;
        drop(slices);
        if written == 0 {
            return Err(WriteError::Io(io::ErrorKind::WriteZero.into()));
        }
        while written > 0 {
            let Some(front) = ready.front_mut() else { break };
            let taken = front.len().min(written);
            front.advance(taken);
            written -= taken;
            if front.is_empty() {
                ready.pop_front();
            }
        }
        Ok(())
    }

    async fn send_region(
        &self,
        stream: &mut dyn NetStream,
        mut region: Region,
        deadlines: Deadlines,
    ) -> Result<(), WriteError> {
        while region.len > 0 {
            let step = region::next_step(&self.tasks, &mut region).await;
            let mut step = step.map_err(WriteError::Region)?;
            while step.len > 0 {
                let mut call = |socket: BorrowedFd<'_>| region::sendfile(socket, &step);
                let sent = self.patiently(stream.write_with(&mut call), deadlines).await?;
                if sent == 0 {
                    return Err(WriteError::Region(io::ErrorKind::UnexpectedEof.into()));
                }
                drop(step.split_to(sent));
            }
        }
        Ok(())
    }

    fn is_in_the_way(&self) -> bool {
        self.answers.is_scarce() && self.answers.unsent() >= SMALL_ANSWER_BYTES
    }

    async fn patiently(
        &self,
        mut write: impl Future<Output = io::Result<usize>> + Unpin,
        deadlines: Deadlines,
    ) -> Result<usize, WriteError> {
        // Most writes are done at once, and cost no timer.
        if let Some(written) = (&mut write).now_or_never() {
            return Ok(written?);
        }
        let mut now = self.clock.monotonic();
        let end = deadlines.usual.min(now.saturating_add(self.patience));
        loop {
            if now >= deadlines.scarce && self.is_in_the_way() {
                return Err(WriteError::InTheWay);
            }
            let look = deadlines.scarce.max(now.saturating_add(SCARCE_CHECK)).min(end);
            match select(&mut write, self.clock.sleep(look.saturating_sub(now))).await {
                Either::Left((written, _)) => return Ok(written?),
                Either::Right(_) if look == end => return Err(WriteError::Stalled(self.patience)),
                Either::Right(_) => now = self.clock.monotonic(),
            }
        }
    }
}

/// Frames as pieces, and the memory that they take.
fn pieces(frames: Vec<Frame>) -> (VecDeque<Piece>, Vec<HeldAnswer>) {
    let mut pieces = VecDeque::new();
    let mut held = Vec::with_capacity(frames.len());
    for frame in frames {
        held.push(frame.held);
        pieces.extend(frame.chunks.into_chunks().into_iter().map(|chunk| match chunk {
            Chunk::Bytes(bytes) => Piece::Bytes(bytes),
            Chunk::External { tag, .. } => {
                let index = usize::try_from(tag).expect("a tag is an index");
                Piece::Region(frame.regions[index].clone())
            }
        }));
    }
    (pieces, held)
}

/// What the next write takes.
#[derive(Default)]
struct Window {
    ready: VecDeque<Bytes>,
    /// For the regions that are read into it, once there is one.
    memory: Option<HeldAnswer>,
}

impl Window {
    fn has_memory(&mut self, answers: &Arc<AnswerAccount>) -> bool {
        if self.memory.is_none() {
            self.memory = answers.try_reserve(WINDOW_BYTES);
        }
        self.memory.is_some()
    }
}
