//! What the active controller is asked to do, and what it answers.
//!
//! Invariant: a command that is refused leaves no event. Deliberately does not know who carries commands.

use std::collections::BTreeMap;

use ottla_types::{
    BrokerEpoch, ErrorCode, IncarnationId, MetadataOffset, NodeId, PartitionIndex, ProducerId,
    TopicId,
};
use serde::{Deserialize, Serialize};

use crate::event::{BrokerRegistration, ConfigResource, GatewayRegistration};

/// Longest message of a refusal, in bytes: what a client sent is not echoed without end.
pub const MAX_REFUSAL_BYTES: usize = 1_024;

/// A question to the active controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A storage node starts. Answer: [`Reply::BrokerRegistered`].
    RegisterBroker {
        /// The cluster that it believes to belong to; `None`: none yet.
        cluster_id: Option<ottla_types::ClusterId>,
        /// What it is.
        registration: BrokerRegistration,
    },
    /// A storage node lives. Answer: [`Reply::BrokerHeartbeat`].
    BrokerHeartbeat {
        /// The node.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// It has replayed all events up to here.
        caught_up_to: MetadataOffset,
        /// It wants to stay fenced.
        want_fence: bool,
        /// It wants to shut down in order.
        want_shutdown: bool,
    },
    /// The control stream of a storage node broke; the grace period begins. Answer: [`Reply::Done`].
    ControlStreamBroken {
        /// The node.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
    },
    /// A gateway starts. Answer: [`Reply::Done`].
    RegisterGateway(GatewayRegistration),
    /// A gateway lives: its lease is renewed. Answer: [`Reply::GatewayHeartbeat`].
    GatewayHeartbeat {
        /// The gateway.
        node: NodeId,
        /// Its life.
        incarnation: IncarnationId,
        /// It drains.
        draining: bool,
        /// It stops now.
        goodbye: bool,
    },
    /// Time passed: leases and sessions are checked. Answer: [`Reply::Done`].
    Tick,
    /// Kafka's CreateTopics. Answer: [`Reply::Topics`].
    CreateTopics {
        /// The topics, each created or refused by itself.
        topics: Vec<NewTopic>,
        /// Only check.
        validate_only: bool,
    },
    /// Kafka's DeleteTopics. Answer: [`Reply::Topics`].
    DeleteTopics {
        /// By name or by id.
        topics: Vec<TopicRef>,
    },
    /// Kafka's CreatePartitions. Answer: [`Reply::Topics`].
    CreatePartitions {
        /// The topics and their new partition counts.
        topics: Vec<NewPartitions>,
        /// Only check.
        validate_only: bool,
    },
    /// Sets (`Some`) or resets (`None`) configs of one topic. Answer: [`Reply::Topics`] with one entry.
    AlterTopicConfigs {
        /// The topic.
        topic: TopicRef,
        /// By Kafka's names.
        changes: BTreeMap<String, Option<String>>,
        /// Only check.
        validate_only: bool,
    },
    /// A storage node needs producer ids. Answer: [`Reply::ProducerIds`].
    AllocateProducerIds {
        /// The node.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
    },
    /// Kafka's IncrementalAlterConfigs and AlterConfigs. Answer: [`Reply::Configs`].
    AlterConfigs {
        /// Each is altered or refused by itself.
        resources: Vec<ConfigAlteration>,
        /// Only check.
        validate_only: bool,
    },
    /// Kafka's UnregisterBroker. Answer: [`Reply::Done`].
    UnregisterBroker {
        /// The node.
        node: NodeId,
    },
}

/// What becomes of the configs of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigAlteration {
    /// Whose configs.
    pub resource: ConfigResource,
    /// Whether configs that are not named are reset (AlterConfigs).
    pub replaces: bool,
    /// Config and what is done to it, in order.
    pub changes: Vec<(String, ConfigOp)>,
}

/// What is done to one config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigOp {
    /// It gets this value.
    Set(String),
    /// It goes back to what is below.
    Delete,
    /// These items join its list, as far as they are not there.
    Append(String),
    /// These items leave its list.
    Subtract(String),
}

/// A topic, by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopicRef {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// One topic of CreateTopics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; `None`: the cluster's default (`num.partitions`).
    pub partitions: Option<i32>,
    /// How many replicas; `None`: the cluster's default (`default.replication.factor`).
    pub replication_factor: Option<i16>,
    /// Assignment by hand: partition index to replicas. Empty: the controller places.
    pub assignments: Vec<(PartitionIndex, Vec<NodeId>)>,
    /// Configs by Kafka's names; a config without value is refused, as in Kafka.
    pub configs: Vec<(String, Option<String>)>,
}

/// One topic of CreatePartitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPartitions {
    /// Its name.
    pub name: String,
    /// How many partitions from now on, in all.
    pub count: i32,
    /// Replicas of each new partition by hand; `None`: the controller places.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

/// An answer of the active controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// The registration holds.
    BrokerRegistered {
        /// The registration's epoch.
        broker_epoch: BrokerEpoch,
    },
    /// The heartbeat was taken.
    BrokerHeartbeat {
        /// Whether the node is fenced.
        fenced: bool,
        /// Whether it may end now (controlled shutdown).
        may_shut_down: bool,
    },
    /// The lease holds on.
    GatewayHeartbeat,
    /// One outcome a topic, in the order of the command.
    Topics(Vec<Result<TopicOutcome, Refusal>>),
    /// A block of producer ids.
    ProducerIds {
        /// The first id.
        first: ProducerId,
        /// How many.
        count: u32,
    },
    /// The command as a whole is refused.
    Refused(Refusal),
    /// One outcome a resource, in the order of the command.
    Configs(Vec<Result<(), Refusal>>),
}

/// What became of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicOutcome {
    /// Its id; zero where the command only checked.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Partitions that it has now.
    pub partitions: i32,
    /// Replicas of a partition.
    pub replication_factor: i16,
}

/// Kafka's error and a sentence for people: cause, then cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Kafka's code.
    pub code: ErrorCode,
    /// Cause, then cure.
    pub message: String,
}

impl Refusal {
    /// A refusal; a message longer than [`MAX_REFUSAL_BYTES`] is cut off.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_REFUSAL_BYTES {
            let end = (0..=MAX_REFUSAL_BYTES).rev().find(|&at| message.is_char_boundary(at));
            message.truncate(end.unwrap_or(0));
            message.push('…');
        }
        Self { code, message }
    }
}
