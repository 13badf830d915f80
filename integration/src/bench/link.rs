//! A raw Kafka connection for loads of very many: one question at a time, in a runtime of one thread.
//!
//! Deliberately does no retries: what it measures is the server.

use std::io;

use bytes::Bytes;
use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_kafka_wire::{Message, Request, frames};
use ottla_types::ErrorCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::group::client::FIND_VERSION;
use crate::wire;

/// A connection.
pub struct Link {
    stream: TcpStream,
    next_correlation_id: i32,
}

impl Link {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, next_correlation_id: 0 })
    }

    /// Sends one request and waits for its answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is none.
    pub async fn call<R: Request + Message>(
        &mut self,
        version: i16,
        request: &R,
    ) -> io::Result<R::Response> {
        let id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.stream.write_all(&wire::encode(version, id, request)).await?;
        let frame = read_frame(&mut self.stream).await?;
        let (answered, response) =
            frames::decode_response::<R>(frame, version).map_err(io::Error::other)?;
        match answered == id {
            true => Ok(response),
            false => Err(io::Error::other(format!("answer {answered} to request {id}"))),
        }
    }
}

/// One frame, without its length.
///
/// # Errors
/// The connection ended.
pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut length = [0; frames::LENGTH_BYTES];
    stream.read_exact(&mut length).await?;
    let length = frames::frame_length(length, i32::MAX as usize).map_err(io::Error::other)?;
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(frame.into())
}

/// Where each of these groups is coordinated, once all have a coordinator.
///
/// # Errors
/// Nobody can be asked, or some group has no coordinator yet.
pub fn coordinators(bootstrap: &str, groups: Vec<String>) -> io::Result<Vec<String>> {
    let request = FindCoordinatorRequest { coordinator_keys: groups, ..Default::default() };
    let answer = wire::Wire::connect(bootstrap)?.call(FIND_VERSION, &request)?;
    let address = |key: &String| {
        let found = answer.coordinators.iter().find(|found| found.key == *key);
        let found = found.ok_or_else(|| io::Error::other(format!("{key} is not answered")))?;
        match ErrorCode::from_code(found.error_code) {
            ErrorCode::None => Ok(format!("{}:{}", found.host, found.port)),
            code => Err(io::Error::other(format!("FindCoordinator of {key}: {code}"))),
        }
    };
    request.coordinator_keys.iter().map(address).collect()
}
