//! A Kafka client in the simulated network: one connection per address, one question at a time, nothing tried again by itself.
//!
//! Invariant: after an error the connection is gone, so that a late answer is never taken for another one's.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_kafka_wire::messages::metadata_response::MetadataResponse;
use ottla_kafka_wire::{Message, Request, frames};
use ottla_runtime::seams::{HostPort, Net as _, NetStream, SimNet, SimRng};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sim::history::Spot;

/// How long connecting may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer may take.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(6);
/// The Metadata version in use: names and ids of topics.
const METADATA_VERSION: i16 = 12;

/// Why there is no answer. Whether the request was carried out is unknown.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("timed out")]
    TimedOut(#[from] tokio::time::error::Elapsed),
    /// The answer is none: a problem, whatever else happens.
    #[error("an answer that cannot be: {0}")]
    Nonsense(String),
}

/// One connection.
pub struct Connection {
    stream: Box<dyn NetStream>,
    next_correlation_id: i32,
    waiting: std::collections::VecDeque<i32>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: &HostPort) -> Result<Self, CallError> {
        let stream = tokio::time::timeout(CONNECT_PATIENCE, SimNet.connect(address)).await??;
        Ok(Self { stream, next_correlation_id: 0, waiting: Default::default() })
    }

    /// Sends a request; answers come in the order of requests.
    pub async fn send<R: Request + Message>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<(), CallError> {
        let id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let frame = frames::encode_request(version, id, Some("ottla-sim"), request)
            .expect("the request can be said in this version")
            .into_contiguous()
            .expect("a request has no file regions");
        tokio::time::timeout(ANSWER_PATIENCE, self.stream.write_all(&frame)).await??;
        self.waiting.push_back(id);
        Ok(())
    }

    /// The answer to the oldest request that has none.
    pub async fn receive<R: Request>(&mut self, version: i16) -> Result<R::Response, CallError> {
        let frame = tokio::time::timeout(ANSWER_PATIENCE, self.read_frame()).await??;
        let expected = self.waiting.pop_front();
        let (answered, response) = frames::decode_response::<R>(frame, version)
            .map_err(|error| CallError::Nonsense(error.to_string()))?;
        if Some(answered) != expected {
            let what = format!("correlation id {answered} instead of {expected:?}");
            return Err(CallError::Nonsense(what));
        }
        Ok(response)
    }

    async fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; frames::LENGTH_BYTES];
        self.stream.read_exact(&mut length).await?;
        let length = frames::frame_length(length, i32::MAX as usize).map_err(io::Error::other)?;
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame).await?;
        Ok(frame.into())
    }
}

/// A client of the cluster.
pub struct Client {
    bootstrap: Rc<[HostPort]>,
    /// Randomness of this client.
    pub rng: SimRng,
    connections: BTreeMap<HostPort, Connection>,
    leaders: BTreeMap<Spot, HostPort>,
}

impl Client {
    /// A client that begins at any of these addresses.
    pub fn new(bootstrap: Rc<[HostPort]>, seed: u64) -> Self {
        let (connections, leaders) = Default::default();
        Self { bootstrap, rng: SimRng::new(seed), connections, leaders }
    }

    /// One of the addresses to begin at.
    pub fn any_bootstrap(&self) -> HostPort {
        self.bootstrap[self.rng.below(self.bootstrap.len() as u64) as usize].clone()
    }

    /// A connection that waits for nothing; `give_back` it if all went well.
    pub async fn take(&mut self, address: &HostPort) -> Result<Connection, CallError> {
        match self.connections.remove(address) {
            Some(connection) => Ok(connection),
            None => Connection::open(address).await,
        }
    }

    /// Keeps a connection for the next call.
    pub fn give_back(&mut self, address: HostPort, connection: Connection) {
        self.connections.insert(address, connection);
    }

    /// Asks one address.
    pub async fn call<R: Request + Message>(
        &mut self,
        address: &HostPort,
        version: i16,
        request: &R,
    ) -> Result<R::Response, CallError> {
        let mut connection = self.take(address).await?;
        connection.send(version, request).await?;
        let response = connection.receive::<R>(version).await?;
        self.give_back(address.clone(), connection);
        Ok(response)
    }

    /// What a gateway says about these topics, or all.
    pub async fn metadata(
        &mut self,
        address: &HostPort,
        topics: Option<&[String]>,
    ) -> Result<MetadataResponse, CallError> {
        let topic =
            |name: &String| MetadataRequestTopic { name: Some(name.clone()), ..Default::default() };
        let request = MetadataRequest {
            topics: topics.map(|names| names.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        self.call(address, METADATA_VERSION, &request).await
    }

    /// The address of a partition's leader, as last heard; `None` sends the caller to [`Client::refresh`].
    pub fn leader(&self, spot: &Spot) -> Option<HostPort> {
        self.leaders.get(spot).cloned()
    }

    /// Forgets where a partition's leader is.
    pub fn forget(&mut self, spot: &Spot) {
        self.leaders.remove(spot);
    }

    /// Asks any gateway for the leaders of all partitions.
    pub async fn refresh(&mut self) -> Result<(), CallError> {
        let address = self.any_bootstrap();
        let metadata = self.metadata(&address, None).await?;
        self.leaders.clear();
        for topic in &metadata.topics {
            let name: Rc<str> = topic.name.as_deref().unwrap_or_default().into();
            for partition in &topic.partitions {
                let leader = metadata.brokers.iter().find(|b| b.node_id == partition.leader_id);
                let Some(leader) = leader else { continue };
                let spot = Spot { topic: name.clone(), partition: partition.partition_index };
                let port = u16::try_from(leader.port).unwrap_or_default();
                self.leaders.insert(spot, HostPort::new(leader.host.clone(), port));
            }
        }
        Ok(())
    }
}
