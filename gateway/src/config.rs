//! What a gateway is told at its start.
//!
//! Invariant: every value is checked before it gets here; names are Kafka's. Deliberately does not know where values come from
//! (file, environment, command line).

use std::time::Duration;

use ottla_metadata::topic_config::ClusterDefaults;
use ottla_runtime::seams::HostPort;
use ottla_types::{ListenerName, NodeId};

/// Default of `socket.request.max.bytes`.
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 100 << 20;
/// Default of `connections.max.idle.ms`.
pub const DEFAULT_MAX_IDLE: Duration = Duration::from_secs(600);
/// Most connections of one gateway, unless `max.connections` says less.
pub const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// Bytes of all requests that one gateway holds at a time, their decoded forms included.
pub const DEFAULT_QUEUED_REQUEST_BYTES: usize = 512 << 20;
/// Bytes of answers that one gateway holds for its clients at a time.
pub const DEFAULT_ANSWER_BYTES: usize = 256 << 20;
/// Default of `fetch.max.bytes`: most bytes that one Fetch is answered with.
pub const DEFAULT_MAX_FETCH_BYTES: i32 = 55 << 20;
/// Default of `max.incremental.fetch.session.cache.slots`.
pub const DEFAULT_FETCH_SESSION_SLOTS: usize = 1_000;
/// Default of `max.request.partition.size.limit`: most partitions of one DescribeTopicPartitions answer.
pub const DEFAULT_MAX_PARTITIONS_PER_DESCRIBE: i32 = 2_000;

/// What a gateway is told at its start.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// `node.id` of the process.
    pub node: NodeId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `listeners` that serve Kafka clients; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// What connections may take.
    pub limits: ConnectionLimits,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `fetch.max.bytes`.
    pub max_fetch_bytes: i32,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_session_slots: usize,
    /// `max.request.partition.size.limit`.
    pub max_partitions_per_describe: i32,
    /// Defaults of topic configs that the process's own configuration sets.
    pub topic_defaults: ClusterDefaults,
    /// How the topic of groups and their offsets is made.
    pub offsets_topic: OffsetsTopic,
}

/// How `__consumer_offsets` is made when the first client looks for the coordinator of a group. Later changes of these have no
/// effect on a topic that exists. The defaults are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetsTopic {
    /// `offsets.topic.num.partitions`.
    pub partitions: i32,
    /// `offsets.topic.replication.factor`.
    pub replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub segment_bytes: i32,
}

impl Default for OffsetsTopic {
    fn default() -> Self {
        Self { partitions: 50, replication_factor: 3, segment_bytes: 100 << 20 }
    }
}

/// One listener for Kafka clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name.
    pub name: ListenerName,
    /// Where to listen; port 0 lets the machine choose.
    pub bind: HostPort,
    /// What clients are told (`advertised.listeners`); port 0 means the port of `bind`.
    pub advertised: HostPort,
    /// `ottla.gateway.node.port.first`: node N is served on this port plus N. `None`: only the storage node of this process is
    /// served, on the listener's own port.
    pub node_port_first: Option<u16>,
}

/// What connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// `socket.request.max.bytes`: longest frame.
    pub max_request_bytes: usize,
    /// Bytes of all requests that are held at a time, their decoded forms included; beyond, sockets are not read.
    pub queued_request_bytes: usize,
    /// Bytes of answers that are held for clients at a time; beyond, requests wait, and clients that read slowly are cut off.
    pub answer_bytes: usize,
    /// `connections.max.idle.ms`; also how long a client may leave an answer untouched.
    pub max_idle: Duration,
    /// `max.connections`.
    pub max_connections: usize,
    /// `max.connections.per.ip`.
    pub max_connections_per_address: usize,
    /// `max.connection.creation.rate`, in connections a second of one listener.
    pub max_connections_per_second: u32,
    /// `socket.send.buffer.bytes`; `None` leaves the kernel's choice.
    pub send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves the kernel's choice.
    pub receive_buffer_bytes: Option<usize>,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            queued_request_bytes: DEFAULT_QUEUED_REQUEST_BYTES,
            answer_bytes: DEFAULT_ANSWER_BYTES,
            max_idle: DEFAULT_MAX_IDLE,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_connections_per_address: DEFAULT_MAX_CONNECTIONS,
            max_connections_per_second: u32::MAX,
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
        }
    }
}
