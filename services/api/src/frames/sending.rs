//! The body of a request or response that is made of messages.
//!
//! Invariant: what is ready goes out together, without a timer; a response ends with its status.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::BoxStream;
use http::HeaderMap;
use http_body::{Body, Frame};
use prost::Message;
use tonic::{Code, Status};

use super::COALESCED_BYTES;
use super::pieces::Pieces;

pub(super) struct Sending<M> {
    /// `None`: it ended.
    messages: Option<BoxStream<'static, Result<M, Status>>>,
    pieces: Pieces,
    most_bytes: usize,
    /// Whether the end is told by trailers.
    is_response: bool,
    /// How it ended, until that was told.
    end: Option<Status>,
}

impl<M> Sending<M> {
    pub(super) fn request(messages: BoxStream<'static, Result<M, Status>>, most: usize) -> Self {
        Self::new(messages, most, false)
    }

    pub(super) fn response(messages: BoxStream<'static, Result<M, Status>>, most: usize) -> Self {
        Self::new(messages, most, true)
    }

    fn new(
        messages: BoxStream<'static, Result<M, Status>>,
        most_bytes: usize,
        is_response: bool,
    ) -> Self {
        let pieces = Pieces::default();
        Self { messages: Some(messages), pieces, most_bytes, is_response, end: None }
    }
}

impl<M: Message> Sending<M> {
    /// Encodes what is ready, up to a full frame; false: nothing is, and the stream will wake.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.pieces.is_full(COALESCED_BYTES) {
            let Some(messages) = &mut self.messages else { break };
            match messages.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => self.encode(&message),
                Poll::Ready(Some(Err(status))) => self.finish(status),
                Poll::Ready(None) => self.finish(Status::new(Code::Ok, "")),
                Poll::Pending if self.pieces.is_empty() => return false,
                Poll::Pending => break,
            }
        }
        self.pieces.finish();
        true
    }

    fn encode(&mut self, message: &M) {
        let len = message.encoded_len();
        match u32::try_from(len) {
            Ok(len) if len as usize <= self.most_bytes => self.pieces.add(message, len),
            _ => self.finish(Status::out_of_range(format!("a message of {len} bytes is too long"))),
        }
    }

    fn finish(&mut self, status: Status) {
        self.messages = None;
        self.end = Some(status);
    }

    /// The last frame, if there is one.
    fn told_end(&mut self) -> Option<Result<Frame<Bytes>, Status>> {
        let status = self.end.take()?;
        if !self.is_response {
            return (status.code() != Code::Ok).then_some(Err(status));
        }
        let mut trailers = HeaderMap::new();
        Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers)))
    }
}

impl<M: Message> Body for Sending<M>
where
    Self: Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Some(piece) = this.pieces.take() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if !this.gather(cx) {
            return Poll::Pending;
        }
        match this.pieces.take() {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => Poll::Ready(this.told_end()),
        }
    }
}
