//! A raw, blocking Kafka client: one connection, requests in, responses out, nothing hidden.
//!
//! Deliberately does no retries, no batching, no metadata: what it measures or provokes is the server.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_kafka_wire::frames;
use ottla_kafka_wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_kafka_wire::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_kafka_wire::messages::metadata_response::MetadataResponse;
use ottla_kafka_wire::{Message, Request};

/// How long one answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// One connection.
pub struct Wire {
    /// The socket.
    pub stream: TcpStream,
    next_correlation_id: i32,
}

impl Wire {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        Ok(Self { stream, next_correlation_id: 0 })
    }

    /// Sends one request and waits for its answer.
    pub fn call<R: Request>(&mut self, version: i16, request: &R) -> io::Result<R::Response> {
        let sent = self.send(version, request)?;
        self.receive::<R>(version, sent)
    }

    /// Sends one request; the number that its answer will have.
    pub fn send<R: Request>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.stream.write_all(&encode(version, correlation_id, request))?;
        Ok(correlation_id)
    }

    /// Waits for the answer to the oldest request that has none, which was `sent` under this number.
    pub fn receive<R: Request>(&mut self, version: i16, sent: i32) -> io::Result<R::Response> {
        let frame = self.read_frame()?;
        let (answered, response) =
            frames::decode_response::<R>(frame, version).map_err(io::Error::other)?;
        if answered != sent {
            return Err(io::Error::other(format!("answer {answered} to request {sent}")));
        }
        Ok(response)
    }

    /// Reads one frame, without its length.
    pub fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; frames::LENGTH_BYTES];
        self.stream.read_exact(&mut length)?;
        let length = frames::frame_length(length, i32::MAX as usize).map_err(io::Error::other)?;
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        Ok(frame.into())
    }
}

/// A whole request frame.
pub fn encode<R: Request + Message>(version: i16, correlation_id: i32, request: &R) -> Bytes {
    frames::encode_request(version, correlation_id, Some("ottla-test"), request)
        .expect("the request can be said in this version")
        .into_contiguous()
        .expect("a request has no file regions")
}

/// Tries until `attempt` succeeds; the last error after `patience`.
pub fn retry<T>(patience: Duration, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(RETRY_PAUSE),
        }
    }
}

/// Creates a topic with replication factor `replicas`.
pub fn create_topic(
    bootstrap: &str,
    name: &str,
    (partitions, replicas): (i32, i16),
    configs: &[(&str, &str)],
) -> io::Result<()> {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
    };
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: replicas,
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        }],
        timeout_ms: 30_000,
        ..Default::default()
    };
    let response = Wire::connect(bootstrap)?.call(5, &request)?;
    match response.topics.first() {
        Some(topic) if topic.error_code == 0 => Ok(()),
        Some(topic) => Err(io::Error::other(format!(
            "CreateTopics {name}: error {} {}",
            topic.error_code,
            topic.error_message.as_deref().unwrap_or_default()
        ))),
        None => Err(io::Error::other("CreateTopics: empty answer")),
    }
}

/// Deletes a topic.
pub fn delete_topic(bootstrap: &str, name: &str) -> io::Result<()> {
    let request = DeleteTopicsRequest {
        topic_names: vec![name.to_owned()],
        timeout_ms: 30_000,
        ..Default::default()
    };
    Wire::connect(bootstrap)?.call(4, &request).map(|_| ())
}

/// Metadata of one topic, in version 7.
pub fn metadata(bootstrap: &str, topic: &str) -> io::Result<MetadataResponse> {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(topic.to_owned()),
            ..Default::default()
        }]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    Wire::connect(bootstrap)?.call(7, &request)
}

/// The address of the leader of each partition, by index; an error while one has none.
pub fn leaders(bootstrap: &str, topic: &str) -> io::Result<Vec<String>> {
    let metadata = metadata(bootstrap, topic)?;
    let found = metadata.topics.first().filter(|t| t.error_code == 0 && !t.partitions.is_empty());
    let found = found.ok_or_else(|| io::Error::other("no such topic yet"))?;
    let mut partitions = found.partitions.clone();
    partitions.sort_by_key(|partition| partition.partition_index);
    let address = |leader: i32| {
        let broker = metadata.brokers.iter().find(|broker| broker.node_id == leader);
        broker
            .map(|broker| format!("{}:{}", broker.host, broker.port))
            .ok_or_else(|| io::Error::other("a partition has no leader yet"))
    };
    partitions.iter().map(|partition| address(partition.leader_id)).collect()
}
