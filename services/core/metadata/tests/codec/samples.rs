//! One sample of every event and every reason.

use ottla_metadata::event::{
    Assignment, BrokerRegistration, ChangeReason, ConfigResource, ElectionRules, Endpoint, Event,
    FenceReason, GatewayListener, GatewayRegistration,
};
use ottla_types::{
    BrokerEpoch, ClusterId, DirectoryId, IncarnationId, LeaderEpoch, ListenerName, NodeId,
    PartitionEpoch, PartitionIndex, ProducerId, TimestampMs, TopicId, Uuid,
};

/// Every event, every reason. They also tell a story: replayed in order, nearly each changes the image.
pub(crate) fn samples() -> Vec<(&'static str, Event)> {
    [first_samples(), configs_change()].concat()
}

/// What there was when images had their first format.
pub(crate) fn first_samples() -> Vec<(&'static str, Event)> {
    [nodes_come(), topics_change(), nodes_go(), the_rest()].concat()
}

/// Configs of everything but topics, and the end of a registration.
fn configs_change() -> Vec<(&'static str, Event)> {
    let set = |resource| Event::ResourceConfigsChanged {
        resource,
        changes: vec![("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)],
    };
    vec![
        ("ResourceConfigsChanged/Topic", set(ConfigResource::Topic("t".to_owned()))),
        ("ResourceConfigsChanged/Broker", set(ConfigResource::Broker(Some(NodeId(1))))),
        ("ResourceConfigsChanged/Brokers", set(ConfigResource::Broker(None))),
        ("ResourceConfigsChanged/Group", set(ConfigResource::Group("g".to_owned()))),
        (
            "ResourceConfigsChanged/ClientMetrics",
            set(ConfigResource::ClientMetrics("m".to_owned())),
        ),
        (
            "BrokerUnregistered",
            Event::BrokerUnregistered {
                node: NodeId(9),
                broker_epoch: BrokerEpoch(2),
                at: TimestampMs(7),
            },
        ),
    ]
}

/// The cluster and a live node.
fn nodes_come() -> Vec<(&'static str, Event)> {
    vec![
        (
            "ClusterFormatted",
            Event::ClusterFormatted { cluster_id: ClusterId::new("AAAAAAAAAAAAAAAAAAAAAQ") },
        ),
        (
            "BrokerRegistered",
            Event::BrokerRegistered(BrokerRegistration {
                node: NodeId(1),
                incarnation: IncarnationId(uuid(0x0bbb)),
                rack: Some("us-east-1a".to_owned()),
                directories: vec![DirectoryId(uuid(1)), DirectoryId(uuid(2))],
                storage_endpoint: endpoint(),
            }),
        ),
        (
            "BrokerUnfenced",
            Event::BrokerUnfenced {
                node: NodeId(1),
                broker_epoch: BrokerEpoch(2),
                rules: ElectionRules(1),
            },
        ),
    ]
}

/// A topic, and what may change of it.
fn topics_change() -> Vec<(&'static str, Event)> {
    let one = || Assignment { replicas: vec![NodeId(1), NodeId(300)], isr: vec![NodeId(1)] };
    vec![
        (
            "TopicCreated",
            Event::TopicCreated {
                id: TopicId(uuid(0x0aaa)),
                name: "orders.eu".to_owned(),
                configs: vec![("retention.ms".to_owned(), "5".to_owned())],
                assignments: vec![one(), one()],
                at: TimestampMs(1_700_000_000_000),
            },
        ),
        (
            "PartitionsAdded",
            Event::PartitionsAdded { id: TopicId(uuid(0x0aaa)), assignments: vec![one()] },
        ),
        (
            "TopicConfigsChanged",
            Event::TopicConfigsChanged {
                id: TopicId(uuid(0x0aaa)),
                changes: vec![
                    ("segment.ms".to_owned(), Some("9".to_owned())),
                    ("retention.ms".to_owned(), None),
                ],
            },
        ),
        ("PartitionChanged/PreferredLeader", changed(ChangeReason::PreferredLeader)),
        ("PartitionChanged/Asked", changed(ChangeReason::Asked)),
    ]
}

/// A fencing for every reason.
fn nodes_go() -> Vec<(&'static str, Event)> {
    vec![
        ("BrokerFenced/SessionExpired", fenced(FenceReason::SessionExpired { silent_ms: 9_000 })),
        (
            "BrokerFenced/ControlStreamBroken",
            fenced(FenceReason::ControlStreamBroken { silent_ms: 500 }),
        ),
        ("BrokerFenced/ControlledShutdown", fenced(FenceReason::ControlledShutdown)),
        ("BrokerFenced/Asked", fenced(FenceReason::Asked)),
        ("BrokerFenced/Restarted", fenced(FenceReason::Restarted)),
    ]
}

/// Gateways, producer ids, the state hash, deletion.
fn the_rest() -> Vec<(&'static str, Event)> {
    vec![
        (
            "GatewayRegistered",
            Event::GatewayRegistered(GatewayRegistration {
                node: NodeId(100),
                incarnation: IncarnationId(uuid(0x0ccc)),
                rack: None,
                own_storage_node: Some(NodeId(1)),
                listeners: vec![GatewayListener {
                    name: ListenerName::new("PLAINTEXT"),
                    endpoint: endpoint(),
                    node_port_first: Some(9192),
                }],
            }),
        ),
        (
            "GatewayDraining",
            Event::GatewayDraining { node: NodeId(100), incarnation: IncarnationId(uuid(0x0ccc)) },
        ),
        (
            "ProducerIdsAllocated",
            Event::ProducerIdsAllocated {
                node: NodeId(1),
                broker_epoch: BrokerEpoch(2),
                first: ProducerId(0),
                count: 1_000,
            },
        ),
        ("StateHash", Event::StateHash { hash: 0x0123_4567_89ab_cdef }),
        (
            "GatewayGone",
            Event::GatewayGone { node: NodeId(101), incarnation: IncarnationId(uuid(0x0ccc)) },
        ),
        ("TopicDeleted", Event::TopicDeleted { id: TopicId(uuid(0x0ddd)), at: TimestampMs(7) }),
    ]
}

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_bytes(number.to_be_bytes())
}

fn endpoint() -> Endpoint {
    Endpoint { host: "storage-1.example".to_owned(), port: 9094 }
}

fn fenced(reason: FenceReason) -> Event {
    Event::BrokerFenced {
        node: NodeId(1),
        broker_epoch: BrokerEpoch(2),
        reason,
        at: TimestampMs(1_700_000_000_123),
        rules: ElectionRules(1),
    }
}

fn changed(reason: ChangeReason) -> Event {
    Event::PartitionChanged {
        id: TopicId(uuid(0x0aaa)),
        partition: PartitionIndex(0),
        leader: Some(NodeId(1)),
        leader_epoch: LeaderEpoch(3),
        isr: vec![NodeId(1)],
        partition_epoch: PartitionEpoch(4),
        reason,
        at: TimestampMs(-1),
    }
}
