//! Metadata: storage nodes with their addresses, topics, partitions and who leads them.
//!
//! Topics that do not exist are created when client and cluster allow it, and answered once they can be used; Kafka makes
//! the client ask again.

use std::collections::HashSet;
use std::sync::Arc;

use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_kafka_wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_metadata::Image;
use ottla_metadata::addresses::NodeAddress;
use ottla_metadata::image::{Partition, Topic};
use ottla_types::{ErrorCode, NodeId, TopicId, Uuid};

use super::create_topics::create_missing;
use super::nodes::{controller_for, nodes_for};
use super::{
    CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS, is_internal, offsets_topic, topics,
};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// Before this version an empty list asks for all topics; from it on, null does.
const FIRST_WITH_NULL_FOR_ALL: i16 = 1;
/// First version in which a topic may be asked for by its id.
const FIRST_WITH_TOPIC_IDS: i16 = 12;
/// First version in which a broker without an address on this listener has a code of its own.
const FIRST_WITH_LISTENER_NOT_FOUND: i16 = 6;

/// The handler.
pub(crate) struct Metadata;

impl Handle for Metadata {
    type Request = MetadataRequest;

    async fn handle(call: Call, request: MetadataRequest) -> Answer {
        let mut image = call.gateway.image();
        let names = wanted_names(&call, &request);
        if call.gateway.config.auto_create_topics && request.allow_auto_topic_creation {
            let is_missing = |name: &&str| {
                topics::is_legal_name(name)
                    && (!is_internal(name) || *name == offsets_topic::NAME)
                    && image.topic_by_name(name).is_none()
            };
            let missing: Vec<String> =
                names.iter().copied().filter(is_missing).map(str::to_owned).collect();
            if !missing.is_empty() {
                image = create_missing(&call, missing).await.0;
            }
        }
        let nodes = nodes_for(&call, &image);
        let view = View { call: &call, image: &image, nodes: &nodes, request: &request };
        call.answer(&view.response())
    }
}

/// The names that are asked for one by one.
fn wanted_names<'a>(call: &Call, request: &'a MetadataRequest) -> Vec<&'a str> {
    if is_for_all(call, request) {
        return Vec::new();
    }
    let topics = request.topics.as_deref().unwrap_or_default();
    topics.iter().filter_map(|topic| topic.name.as_deref()).collect()
}

fn is_for_all(call: &Call, request: &MetadataRequest) -> bool {
    match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && call.version < FIRST_WITH_NULL_FOR_ALL,
    }
}

/// What an answer is made from.
struct View<'a> {
    call: &'a Call,
    image: &'a Image,
    nodes: &'a [NodeAddress],
    request: &'a MetadataRequest,
}

impl View<'_> {
    fn response(&self) -> MetadataResponse {
        let with_operations = self.request.include_cluster_authorized_operations;
        MetadataResponse {
            brokers: self.nodes.iter().map(broker).collect(),
            cluster_id: self.image.cluster_id.as_ref().map(|id| id.as_str().to_owned()),
            controller_id: controller_for(self.call, self.nodes),
            topics: self.topics(),
            cluster_authorized_operations: operations(with_operations, CLUSTER_OPERATIONS),
            ..Default::default()
        }
    }

    fn topics(&self) -> Vec<MetadataResponseTopic> {
        if is_for_all(self.call, self.request) {
            let ids = self.image.topic_ids.values();
            return ids.filter_map(|id| self.image.topics.get(id)).map(|t| self.topic(t)).collect();
        }
        let wanted = self.request.topics.as_deref().unwrap_or_default();
        // As in Kafka, one answer for a topic however often it is named: an answer must not outgrow the cluster.
        let mut seen = HashSet::with_capacity(wanted.len());
        let topics = wanted.iter().filter(|topic| seen.insert((&topic.name, topic.topic_id)));
        topics.map(|topic| self.wanted(topic)).collect()
    }

    fn wanted(&self, wanted: &MetadataRequestTopic) -> MetadataResponseTopic {
        let has_ids = self.call.version >= FIRST_WITH_TOPIC_IDS;
        let found = match &wanted.name {
            _ if !has_ids && (wanted.name.is_none() || !wanted.topic_id.is_zero()) => {
                Err(ErrorCode::InvalidRequest)
            }
            Some(name) if !topics::is_legal_name(name) => Err(ErrorCode::InvalidTopicException),
            Some(name) => self.image.topic_by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition),
            None => {
                let id = TopicId(wanted.topic_id);
                self.image.topics.get(&id).ok_or(ErrorCode::UnknownTopicId)
            }
        };
        match found {
            Ok(topic) => self.topic(topic),
            Err(error) => self.unknown(wanted, error),
        }
    }

    fn unknown(&self, wanted: &MetadataRequestTopic, error: ErrorCode) -> MetadataResponseTopic {
        // Before ids a name must stand there.
        let has_ids = self.call.version >= FIRST_WITH_TOPIC_IDS;
        let name =
            if has_ids { wanted.name.clone() } else { wanted.name.clone().or(Some(String::new())) };
        MetadataResponseTopic {
            error_code: error.code(),
            is_internal: wanted.name.as_deref().is_some_and(is_internal),
            topic_id: if wanted.name.is_none() { wanted.topic_id } else { Uuid::ZERO },
            name,
            ..Default::default()
        }
    }

    fn topic(&self, topic: &Arc<Topic>) -> MetadataResponseTopic {
        let with_operations = self.request.include_topic_authorized_operations;
        let partitions = topic.partitions.iter().enumerate();
        MetadataResponseTopic {
            error_code: ErrorCode::None.code(),
            name: Some(topic.name.clone()),
            topic_id: topic.id.0,
            is_internal: is_internal(&topic.name),
            partitions: partitions.map(|(at, partition)| self.partition(at, partition)).collect(),
            topic_authorized_operations: operations(with_operations, TOPIC_OPERATIONS),
        }
    }

    fn partition(&self, index: usize, partition: &Partition) -> MetadataResponsePartition {
        let is_offline = |node: &&NodeId| !self.is_shown(**node);
        let (error, leader) = match partition.leader {
            Some(leader) if self.is_shown(leader) => (ErrorCode::None, leader),
            Some(_) if self.call.version >= FIRST_WITH_LISTENER_NOT_FOUND => {
                (ErrorCode::ListenerNotFound, NodeId::NONE)
            }
            _ => (ErrorCode::LeaderNotAvailable, NodeId::NONE),
        };
        MetadataResponsePartition {
            error_code: error.code(),
            partition_index: i32::try_from(index).unwrap_or(i32::MAX),
            leader_id: leader.0,
            leader_epoch: partition.leader_epoch.0,
            replica_nodes: ids(&partition.replicas),
            isr_nodes: ids(&partition.isr),
            offline_replicas: partition.replicas.iter().filter(is_offline).map(|n| n.0).collect(),
        }
    }

    fn is_shown(&self, node: NodeId) -> bool {
        self.nodes.binary_search_by_key(&node, |known| known.node).is_ok()
    }
}

fn ids(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().map(|node| node.0).collect()
}

fn operations(asked: bool, all: i32) -> i32 {
    if asked { all } else { OPERATIONS_NOT_ASKED }
}

fn broker(node: &NodeAddress) -> MetadataResponseBroker {
    MetadataResponseBroker {
        node_id: node.node.0,
        host: node.endpoint.host.clone(),
        port: i32::from(node.endpoint.port),
        rack: node.rack.clone(),
    }
}
