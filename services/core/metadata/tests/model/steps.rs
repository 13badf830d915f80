//! The steps of the model, how they are drawn, and the commands that they stand for.

use std::collections::BTreeMap;

use ottla_metadata::command::{NewPartitions, NewTopic, TopicRef};
use ottla_metadata::event::{BrokerRegistration, Endpoint, GatewayListener, GatewayRegistration};
use ottla_metadata::{Command, Image};
use ottla_types::{
    BrokerEpoch, DirectoryId, IncarnationId, ListenerName, MetadataOffset, NodeId, PartitionIndex,
    Uuid,
};
use proptest::prelude::*;

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Register {
        node: i32,
        life: u8,
        directory: u8,
    },
    Heartbeat {
        node: i32,
        stale: bool,
        behind: bool,
        wants: (bool, bool),
    },
    StreamBroken {
        node: i32,
    },
    RegisterGateway {
        node: i32,
        life: u8,
    },
    GatewayHeartbeat {
        node: i32,
        life: u8,
        draining: bool,
        goodbye: bool,
    },
    Create {
        names: Vec<u8>,
        partitions: i32,
        factor: i16,
        check: bool,
    },
    CreateByHand {
        name: u8,
        replicas: Vec<i32>,
    },
    Delete {
        name: u8,
    },
    Grow {
        name: u8,
        count: i32,
        check: bool,
    },
    Alter {
        name: u8,
        retention: Option<i64>,
    },
    ProducerIds {
        node: i32,
        stale: bool,
    },
    Pass {
        ms: u64,
    },
    /// Everything proposed so far is committed.
    Commit,
    /// Leadership is lost: what was not committed is gone.
    Depose,
    /// The follower begins again from a snapshot.
    Snapshot,
}

/// Runs of steps.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..5_i32;
    let step = prop_oneof![
        3 => (node.clone(), 0..3_u8, 0..2_u8).prop_map(|(node, life, directory)| Step::Register { node, life, directory }),
        6 => (node.clone(), prop::bool::weighted(0.1), prop::bool::weighted(0.1), (prop::bool::weighted(0.1), prop::bool::weighted(0.1)))
            .prop_map(|(node, stale, behind, wants)| Step::Heartbeat { node, stale, behind, wants }),
        1 => node.clone().prop_map(|node| Step::StreamBroken { node }),
        1 => (node.clone(), 0..3_u8).prop_map(|(node, life)| Step::RegisterGateway { node, life }),
        1 => (node.clone(), 0..3_u8, any::<bool>(), any::<bool>())
            .prop_map(|(node, life, draining, goodbye)| Step::GatewayHeartbeat { node, life, draining, goodbye }),
        3 => (prop::collection::vec(0..8_u8, 1..4), -1..6_i32, -1..5_i16, prop::bool::weighted(0.2))
            .prop_map(|(names, partitions, factor, check)| Step::Create { names, partitions, factor, check }),
        2 => (0..8_u8, prop::collection::vec(0..6_i32, 0..4)).prop_map(|(name, replicas)| Step::CreateByHand { name, replicas }),
        1 => (0..8_u8).prop_map(|name| Step::Delete { name }),
        1 => (0..8_u8, 0..9_i32, any::<bool>()).prop_map(|(name, count, check)| Step::Grow { name, count, check }),
        1 => (0..8_u8, prop::option::of(-3..3_i64)).prop_map(|(name, retention)| Step::Alter { name, retention }),
        1 => (node, any::<bool>()).prop_map(|(node, stale)| Step::ProducerIds { node, stale }),
        3 => (1..6_000_u64).prop_map(|ms| Step::Pass { ms }),
        2 => Just(Step::Commit),
        1 => Just(Step::Depose),
        1 => Just(Step::Snapshot),
    ];
    prop::collection::vec(step, 1..120)
}

/// Names of which some collide.
fn name(number: u8) -> String {
    ["a", "b.c", "b_c", "d", "e.f", "e_f", "bad/name", "g"][usize::from(number) % 8].to_owned()
}

/// The command of a step, as the image is.
pub(crate) fn command(image: &Image, step: Step) -> Command {
    match step {
        Step::Register { node, life, directory } => Command::RegisterBroker {
            cluster_id: None,
            registration: registration(node, life, directory),
        },
        Step::Heartbeat { node, stale, behind, wants: (want_fence, want_shutdown) } => {
            let offset = image.offset;
            Command::BrokerHeartbeat {
                node: NodeId(node),
                broker_epoch: epoch(image, node, stale),
                caught_up_to: if behind { MetadataOffset(0) } else { offset },
                want_fence,
                want_shutdown,
            }
        }
        Step::StreamBroken { node } => Command::ControlStreamBroken {
            node: NodeId(node),
            broker_epoch: epoch(image, node, false),
        },
        Step::RegisterGateway { node, life } => Command::RegisterGateway(gateway(node, life)),
        Step::GatewayHeartbeat { node, life, draining, goodbye } => Command::GatewayHeartbeat {
            node: NodeId(node),
            incarnation: gateway(node, life).incarnation,
            draining,
            goodbye,
        },
        Step::ProducerIds { node, stale } => Command::AllocateProducerIds {
            node: NodeId(node),
            broker_epoch: epoch(image, node, stale),
        },
        other => topic_command(other),
    }
}

fn epoch(image: &Image, node: i32, stale: bool) -> BrokerEpoch {
    let current = image.brokers.get(&NodeId(node)).map_or(BrokerEpoch(0), |b| b.epoch);
    if stale { BrokerEpoch(current.0 - 1) } else { current }
}

fn topic_command(step: Step) -> Command {
    let topic = |number, assignments| NewTopic {
        name: name(number),
        partitions: None,
        replication_factor: None,
        assignments,
        configs: Vec::new(),
    };
    match step {
        Step::Create { names, partitions, factor, check } => Command::CreateTopics {
            topics: names
                .into_iter()
                .map(|number| NewTopic {
                    partitions: Some(partitions).filter(|count| *count != -1),
                    replication_factor: Some(factor).filter(|factor| *factor != -1),
                    ..topic(number, Vec::new())
                })
                .collect(),
            validate_only: check,
        },
        Step::CreateByHand { name, replicas } => {
            let replicas = replicas.into_iter().map(NodeId).collect();
            let topics = vec![topic(name, vec![(PartitionIndex(0), replicas)])];
            Command::CreateTopics { topics, validate_only: false }
        }
        Step::Delete { name: number } => {
            Command::DeleteTopics { topics: vec![TopicRef::Name(name(number))] }
        }
        Step::Grow { name: number, count, check } => Command::CreatePartitions {
            topics: vec![NewPartitions { name: name(number), count, assignments: None }],
            validate_only: check,
        },
        Step::Alter { name: number, retention } => Command::AlterTopicConfigs {
            topic: TopicRef::Name(name(number)),
            changes: BTreeMap::from([(
                "retention.ms".to_owned(),
                retention.map(|ms| ms.to_string()),
            )]),
            validate_only: false,
        },
        other => panic!("not about topics: {other:?}"),
    }
}

fn registration(node: i32, life: u8, directory: u8) -> BrokerRegistration {
    let id = 100 * u128::from(node.unsigned_abs()) + u128::from(directory);
    BrokerRegistration {
        node: NodeId(node),
        incarnation: IncarnationId(Uuid::from_random(u128::from(life))),
        rack: Some(["x", "y"][usize::from(node % 2 == 0)].to_owned()),
        directories: vec![DirectoryId(Uuid::from_random(1 + id))],
        storage_endpoint: Endpoint { host: "h".to_owned(), port: 9094 },
    }
}

fn gateway(node: i32, life: u8) -> GatewayRegistration {
    GatewayRegistration {
        node: NodeId(node),
        incarnation: IncarnationId(Uuid::from_random(u128::from(life))),
        rack: None,
        own_storage_node: None,
        listeners: vec![GatewayListener {
            name: ListenerName::new("PLAINTEXT"),
            endpoint: Endpoint { host: "h".to_owned(), port: 9092 },
            node_port_first: Some(9192),
        }],
    }
}
