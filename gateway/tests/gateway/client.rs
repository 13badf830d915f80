//! A client that says exactly what it is told to.

use std::time::Duration;

use bytes::Bytes;
use ottla_kafka_wire::Request;
use ottla_kafka_wire::frames::{decode_response, encode_request};
use ottla_runtime::Seams;
use ottla_runtime::seams::{HostPort, NetStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer than any answer takes; a test that waits this long has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) stream: Box<dyn NetStream>,
    next_correlation_id: i32,
}

impl Client {
    pub(crate) async fn connect(seams: &Seams, address: &HostPort) -> Self {
        let stream = seams.net.connect(address).await.unwrap();
        Self { stream, next_correlation_id: 1 }
    }

    /// Sends a request and returns its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let frame = encode_request(version, id, Some("test"), request).unwrap();
        self.stream.write_all(&frame.into_contiguous().unwrap()).await.unwrap();
        id
    }

    /// The next frame without its length; `None` when the gateway closed.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let read = async {
            let mut prefix = [0; 4];
            self.stream.read_exact(&mut prefix).await.ok()?;
            let mut frame = vec![0; usize::try_from(i32::from_be_bytes(prefix)).unwrap()];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(LIMIT, read).await.expect("neither an answer nor the end")
    }

    pub(crate) async fn receive<R: Request>(&mut self, version: i16, id: i32) -> R::Response {
        let frame = self.frame().await.expect("an answer, not the end");
        let (correlation_id, response) = decode_response::<R>(frame, version).unwrap();
        assert_eq!(correlation_id, id);
        response
    }

    pub(crate) async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let id = self.send(version, request).await;
        self.receive::<R>(version, id).await
    }

    /// Whether the gateway closed without another word.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.frame().await.is_none()
    }
}
