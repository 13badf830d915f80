//! Sends answers: all that are ready in one vectored write, file regions by sendfile.
//!
//! Invariant: answers leave whole and in the order in which they are given; a client that takes nothing for too long is cut
//! off. Deliberately does not know what the bytes mean.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::FutureExt;
use futures::future::{Either, select};
use ottla_kafka_wire::Chunk;
use ottla_runtime::seams::{Clock, NetStream, Tasks};

use super::{HeldAnswer, region};
use crate::answer::{Frame, Region};

/// Chunks in one system call (`IOV_MAX` of Linux).
const MAX_SLICES_PER_WRITE: usize = 1_024;

/// A client that takes its answers more slowly than this, all in all, is cut off.
const MIN_BYTES_PER_SECOND: u64 = 16 << 10;

/// Why the client was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The socket failed.
    #[error("writing failed: {0}")]
    Io(#[from] io::Error),
    /// The client takes nothing.
    #[error("the client took nothing of its answer for {} s", .0.as_secs())]
    Stalled(Duration),
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
}

enum Piece {
    Bytes(Bytes),
    Region(Region),
}

impl Writer {
    /// Sends the frames one after the other.
    ///
    /// # Errors
    /// The socket failed, or the client takes nothing.
    pub(crate) async fn send(
        &self,
        stream: &mut dyn NetStream,
        frames: Vec<Frame>,
    ) -> Result<(), WriteError> {
        let has_descriptor = stream.as_fd().is_some();
        let bytes: usize = frames.iter().map(|frame| frame.chunks.len()).sum();
        let slowest = Duration::from_secs(bytes as u64 / MIN_BYTES_PER_SECOND);
        let now = self.clock.monotonic();
        let deadline = now.saturating_add(self.patience).saturating_add(slowest);
        // Given back only when all is sent.
        let (mut pieces, _held) = self.pieces(has_descriptor, frames).await?;
        while let Some(first) = pieces.pop_front() {
            match first {
                Piece::Bytes(bytes) => {
                    pieces.push_front(Piece::Bytes(bytes));
                    self.write_some(stream, &mut pieces, deadline).await?;
                }
                Piece::Region(region) => self.send_region(stream, region, deadline).await?,
            }
        }
        Ok(())
    }

    /// What is to be sent; small regions are read into memory: cheaper than a system call of their own.
    async fn pieces(
        &self,
        has_descriptor: bool,
        frames: Vec<Frame>,
    ) -> Result<(VecDeque<Piece>, Vec<HeldAnswer>), WriteError> {
        let mut pieces = VecDeque::new();
        let mut held = Vec::new();
        for frame in frames {
            held.extend(frame.held);
            for chunk in frame.chunks.into_chunks() {
                match chunk {
                    Chunk::Bytes(bytes) => pieces.push_back(Piece::Bytes(bytes)),
                    Chunk::External { tag, .. } => {
                        let index = usize::try_from(tag).expect("a tag is an index");
                        let region = frame.regions[index].clone();
                        if has_descriptor && region::is_for_sendfile(&region) {
                            pieces.push_back(Piece::Region(region));
                        } else {
                            let read = region::read(&self.tasks, region).await;
                            pieces.push_back(Piece::Bytes(read.map_err(WriteError::Region)?));
                        }
                    }
                }
            }
        }
        Ok((pieces, held))
    }

    /// One vectored write of the bytes in front.
    async fn write_some(
        &self,
        stream: &mut dyn NetStream,
        pieces: &mut VecDeque<Piece>,
        deadline: Duration,
    ) -> Result<(), WriteError> {
        let slices: Vec<IoSlice<'_>> = pieces
            .iter()
            .map_while(|piece| match piece {
                Piece::Bytes(bytes) => Some(IoSlice::new(bytes)),
                Piece::Region(_) => None,
            })
            .take(MAX_SLICES_PER_WRITE)
            .collect();
        let mut stream = Pin::new(stream);
        let write = poll_fn(|cx| stream.as_mut().poll_write_vectored(cx, &slices));
        let mut written = self.patiently(write, deadline).await?;
        drop(slices);
        if written == 0 {
            return Err(WriteError::Io(io::ErrorKind::WriteZero.into()));
        }
        while written > 0 {
            let Some(Piece::Bytes(front)) = pieces.front_mut() else { break };
            let taken = front.len().min(written);
            front.advance(taken);
            written -= taken;
            if front.is_empty() {
                pieces.pop_front();
            }
        }
        Ok(())
    }

    async fn send_region(
        &self,
        stream: &mut dyn NetStream,
        mut region: Region,
        deadline: Duration,
    ) -> Result<(), WriteError> {
        while region.len > 0 {
            region::warm(&self.tasks, &region).await.map_err(WriteError::Region)?;
            let mut call = |socket: std::os::fd::BorrowedFd<'_>| region::sendfile(socket, &region);
            let sent = self.patiently(stream.write_with(&mut call), deadline).await?;
            if sent == 0 {
                return Err(WriteError::Region(io::ErrorKind::UnexpectedEof.into()));
            }
            region.position += sent as u64;
            region.len -= sent.min(region.len);
        }
        Ok(())
    }

    async fn patiently(
        &self,
        mut write: impl Future<Output = io::Result<usize>> + Unpin,
        deadline: Duration,
    ) -> Result<usize, WriteError> {
        // Most writes are done at once, and cost no timer.
        if let Some(written) = (&mut write).now_or_never() {
            return Ok(written?);
        }
        let left = deadline.saturating_sub(self.clock.monotonic()).min(self.patience);
        match select(write, self.clock.sleep(left)).await {
            Either::Left((written, _)) => Ok(written?),
            Either::Right(_) => Err(WriteError::Stalled(self.patience)),
        }
    }
}
