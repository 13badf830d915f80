//! Reads messages from the body of a request or response.
//!
//! Invariant: a message is decoded once all its bytes are there, none is longer than allowed, and bytes that make no sense end the
//! stream with a status. `message` may be dropped and called again.

use std::marker::PhantomData;

use bytes::Buf;
use http::HeaderMap;
use http_body_util::BodyExt;
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};

use super::HEADER_BYTES;
use super::chunks::Chunks;

pub(crate) struct FrameReader<M> {
    body: Body,
    chunks: Chunks,
    /// Length of the message whose header was read.
    expected: Option<usize>,
    most_bytes: usize,
    is_over: bool,
    message: PhantomData<fn() -> M>,
}

impl<M: Message + Default> FrameReader<M> {
    pub(super) fn new(body: Body, most_bytes: usize) -> Self {
        let chunks = Chunks::default();
        Self { body, chunks, expected: None, most_bytes, is_over: false, message: PhantomData }
    }

    /// The next message; `None` at the orderly end.
    pub(crate) async fn message(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(message) = self.decode()? {
                return Ok(Some(message));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.chunks.push(data),
                    Err(frame) => self.end(frame.into_trailers().ok())?,
                },
                Some(Err(status)) => {
                    self.is_over = true;
                    return Err(status);
                }
                None => self.end(None)?,
            }
        }
    }

    fn decode(&mut self) -> Result<Option<M>, Status> {
        let expected = match self.expected {
            Some(expected) => expected,
            None if self.chunks.len() < HEADER_BYTES => return Ok(None),
            None => self.header()?,
        };
        if self.chunks.len() < expected {
            self.expected = Some(expected);
            return Ok(None);
        }
        self.expected = None;
        let decoded = M::decode(self.chunks.reading().take(expected));
        decoded.map(Some).map_err(|error| Status::internal(format!("cannot decode: {error}")))
    }

    fn header(&mut self) -> Result<usize, Status> {
        let header = self.chunks.reading();
        let (flag, len) = (header.get_u8(), header.get_u32() as usize);
        if flag != 0 {
            return Err(Status::internal("a message is compressed, which was not agreed"));
        }
        if len > self.most_bytes {
            return Err(Status::out_of_range(format!("a message of {len} bytes is too long")));
        }
        Ok(len)
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Status> {
        self.is_over = true;
        match trailers.as_ref().and_then(Status::from_header_map) {
            Some(status) if status.code() != Code::Ok => Err(status),
            _ if self.expected.is_some() || self.chunks.len() > 0 => {
                Err(Status::internal("the stream ended within a message"))
            }
            _ => Ok(()),
        }
    }
}
