//! What the metadata log holds. Read this first: everything that can be true of a cluster is told by these events.
//!
//! Invariant: variants are only ever appended, and a new field is a new format version of `codec`; an event that was
//! written once is replayed the same way for ever.
//! The code behind an election-rules number is frozen.

use ottla_types::{
    BrokerEpoch, ClusterId, DirectoryId, IncarnationId, LeaderEpoch, ListenerName, NodeId,
    PartitionEpoch, PartitionIndex, ProducerId, TimestampMs, TopicId,
};
use serde::{Deserialize, Serialize};

/// Number of the rules by which `replay` derives new leaders from a fencing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectionRules(pub u16);

/// One fact about the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The cluster exists. The first event of every log.
    ClusterFormatted {
        /// Its id.
        cluster_id: ClusterId,
    },
    /// A storage node registered, fenced; the event's own offset is its broker epoch (R1, R2).
    BrokerRegistered(BrokerRegistration),
    /// A storage node may lead and be in ISRs.
    BrokerUnfenced {
        /// The node.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// Which rules derive the leaders that come back.
        rules: ElectionRules,
    },
    /// A storage node leads nothing and is in no ISR but where it is the last member; new leaders follow from `rules`.
    BrokerFenced {
        /// The node.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// Why.
        reason: FenceReason,
        /// When the controller decided it.
        at: TimestampMs,
        /// Which rules derive the new leaders.
        rules: ElectionRules,
    },
    /// A gateway serves clients, until its lease ends.
    GatewayRegistered(GatewayRegistration),
    /// A gateway drains: it leaves Metadata answers at once.
    GatewayDraining {
        /// The gateway.
        node: NodeId,
        /// Its life.
        incarnation: IncarnationId,
    },
    /// A gateway's lease ended, or it said goodbye.
    GatewayGone {
        /// The gateway.
        node: NodeId,
        /// Its life.
        incarnation: IncarnationId,
    },
    /// A topic exists, with all its partitions.
    TopicCreated {
        /// Its id.
        id: TopicId,
        /// Its name.
        name: String,
        /// Configs set at creation, by Kafka's names.
        configs: Vec<(String, String)>,
        /// One entry a partition, from index 0.
        assignments: Vec<Assignment>,
        /// When the controller decided it.
        at: TimestampMs,
    },
    /// A topic is gone.
    TopicDeleted {
        /// Its id.
        id: TopicId,
        /// When the controller decided it.
        at: TimestampMs,
    },
    /// A topic has more partitions; they follow the ones it had.
    PartitionsAdded {
        /// The topic.
        id: TopicId,
        /// One entry a new partition.
        assignments: Vec<Assignment>,
    },
    /// Some configs of a topic changed; `None` goes back to the default.
    TopicConfigsChanged {
        /// The topic.
        id: TopicId,
        /// Name and value.
        changes: Vec<(String, Option<String>)>,
    },
    /// One partition's leader or ISR changed by a decision of its own (preferred leader, ISR change).
    PartitionChanged {
        /// The topic.
        id: TopicId,
        /// The index.
        partition: PartitionIndex,
        /// Leader from now on.
        leader: Option<NodeId>,
        /// Its epoch.
        leader_epoch: LeaderEpoch,
        /// In-sync replicas from now on.
        isr: Vec<NodeId>,
        /// The partition epoch from now on (R3).
        partition_epoch: PartitionEpoch,
        /// Why.
        reason: ChangeReason,
        /// When the controller decided it.
        at: TimestampMs,
    },
    /// A storage node owns a block of producer ids.
    ProducerIdsAllocated {
        /// The node.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// The first id of the block.
        first: ProducerId,
        /// How many.
        count: u32,
    },
    /// The image's hash just before this event: a member whose own differs stops.
    StateHash {
        /// [`crate::Image::hash`].
        hash: u64,
    },
    /// Some configs of something else than a topic changed; `None` goes back to what is below.
    ResourceConfigsChanged {
        /// What has the configs; never a topic.
        resource: ConfigResource,
        /// Name and value.
        changes: Vec<(String, Option<String>)>,
    },
    /// A fenced storage node is registered no more; partitions keep it as a replica.
    BrokerUnregistered {
        /// The node.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// When the controller decided it.
        at: TimestampMs,
    },
}

/// Something that has configs, and lives in the metadata.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// A storage node; `None`: what holds for all that say nothing themselves.
    Broker(Option<NodeId>),
    /// A group, by id; it need not exist.
    Group(String),
    /// A subscription to metrics of clients (KIP-714), by name.
    ClientMetrics(String),
}

/// What a storage node says of itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerRegistration {
    /// `node.id`.
    pub node: NodeId,
    /// This life of the process.
    pub incarnation: IncarnationId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Its log directories, each with the id in its `meta.properties`.
    pub directories: Vec<DirectoryId>,
    /// Where gateways and followers reach its gRPC.
    pub storage_endpoint: Endpoint,
}

/// What a gateway says of itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRegistration {
    /// `node.id`.
    pub node: NodeId,
    /// This life of the process.
    pub incarnation: IncarnationId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The storage node of the same process, which it serves on the listener's own port.
    pub own_storage_node: Option<NodeId>,
    /// Its listeners.
    pub listeners: Vec<GatewayListener>,
}

/// One listener of a gateway, as clients reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayListener {
    /// Its name.
    pub name: ListenerName,
    /// The advertised host and bootstrap port.
    pub endpoint: Endpoint,
    /// The advertised port of storage node 0; node N is at this plus N. `None`: serves its own node only.
    pub node_port_first: Option<u16>,
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Where the replicas of a partition are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Storage nodes, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// Initial in-sync replicas and leader: those of `replicas` that were unfenced. Never empty.
    pub isr: Vec<NodeId>,
}

/// Why a storage node was fenced, with evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FenceReason {
    /// No heartbeat for this long.
    SessionExpired {
        /// Milliseconds since the last heartbeat.
        silent_ms: i64,
    },
    /// Its control stream broke and it did not come back within the grace period.
    ControlStreamBroken {
        /// Milliseconds since the stream broke.
        silent_ms: i64,
    },
    /// It shut down in order, after its leaders moved.
    ControlledShutdown,
    /// It asked to be fenced, or an operator unregistered it.
    Asked,
    /// A new life of the node registered.
    Restarted,
}

/// Why a partition's leader or ISR changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeReason {
    /// The preferred leader took over again.
    PreferredLeader,
    /// An operator asked.
    Asked,
}
