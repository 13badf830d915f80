//! A Kafka client of one connection, for what the kept library has no words: internal topics, and offsets of groups.
//!
//! Invariant: one request at a time, each with its answer. Deliberately does no retries, and knows no cluster.

use std::time::Duration;

use ottla_kafka_wire::frames;
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_kafka_wire::{Message, Request};
use ottla_runtime::seams::{HostPort, Net as _, NetStream, RealNet};
use ottla_types::ErrorCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::cli::failure::Failure;

/// How long a connection, or one answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer, bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// The version of Metadata that is asked in: every broker since 1.0 has it.
const METADATA_VERSION: i16 = 5;

/// One connection.
pub(super) struct Wire {
    stream: Box<dyn NetStream>,
    peer: String,
    next_correlation_id: i32,
}

impl Wire {
    /// Connects to `HOST:PORT`.
    pub(super) async fn connect(peer: &str) -> Result<Self, Failure> {
        let address: HostPort = peer.parse().map_err(Failure::local)?;
        let connecting = tokio::time::timeout(PATIENCE, RealNet.connect(&address)).await;
        let stream = match connecting {
            Ok(connected) => connected.map_err(|error| silent(peer, error.to_string()))?,
            Err(_) => return Err(silent(peer, "no connection in time".to_owned())),
        };
        Ok(Self { stream, peer: peer.to_owned(), next_correlation_id: 0 })
    }

    /// Sends one request and waits for its answer.
    pub(super) async fn call<R>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Failure>
    where
        R: Request + Message,
    {
        let peer = self.peer.clone();
        match tokio::time::timeout(PATIENCE, self.exchange(version, request)).await {
            Ok(answer) => answer.map_err(|error| silent(&peer, error.to_string())),
            Err(_) => Err(silent(&peer, "no answer in time".to_owned())),
        }
    }

    async fn exchange<R>(&mut self, version: i16, request: &R) -> std::io::Result<R::Response>
    where
        R: Request + Message,
    {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let frame = frames::encode_request(version, correlation_id, Some("ottla-cli"), request)
            .map_err(std::io::Error::other)?;
        let frame = frame.into_contiguous().expect("a request has no file regions");
        self.stream.write_all(&frame).await?;
        self.stream.flush().await?;
        let mut length = [0; frames::LENGTH_BYTES];
        self.stream.read_exact(&mut length).await?;
        let length =
            frames::frame_length(length, MAX_ANSWER_BYTES).map_err(std::io::Error::other)?;
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame).await?;
        let (answered, response) =
            frames::decode_response::<R>(frame.into(), version).map_err(std::io::Error::other)?;
        match answered == correlation_id {
            true => Ok(response),
            false => Err(std::io::Error::other("the answer is another request's")),
        }
    }

    /// The partitions of a topic, in order, internal topics too. Never makes the topic.
    pub(super) async fn partitions(&mut self, topic: &str) -> Result<Vec<i32>, Failure> {
        let named = MetadataRequestTopic { name: Some(topic.to_owned()), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(vec![named]),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let answer = self.call(METADATA_VERSION, &request).await?;
        let found = answer.topics.into_iter().next();
        let found = found.ok_or_else(|| Failure::no_topic(topic))?;
        let mut partitions: Vec<_> =
            found.partitions.iter().map(|partition| partition.partition_index).collect();
        partitions.sort_unstable();
        match ErrorCode::from_code(found.error_code) {
            _ if !partitions.is_empty() => Ok(partitions),
            ErrorCode::None | ErrorCode::UnknownTopicOrPartition => Err(Failure::no_topic(topic)),
            error => {
                Err(Failure::refused(error, format!("{topic:?} cannot be read now; try again")))
            }
        }
    }
}

fn silent(peer: &str, cause: String) -> Failure {
    Failure::Unreachable { peer: peer.to_owned(), cause, option: "--bootstrap HOST:PORT" }
}
