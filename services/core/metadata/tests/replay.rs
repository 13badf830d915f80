//! Replay cannot fail: an event that makes no sense moves the offset and nothing else, on every member alike.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use ottla_metadata::event::{
    Assignment, BrokerRegistration, ChangeReason, ConfigResource, ElectionRules, Endpoint, Event,
    FenceReason,
};
use ottla_metadata::image::HashMismatch;
use ottla_metadata::{Changes, Image};
use ottla_types::{
    BrokerEpoch, ClusterId, DirectoryId, IncarnationId, LeaderEpoch, MetadataOffset, NodeId,
    PartitionEpoch, PartitionIndex, ProducerId, TimestampMs, TopicId, Uuid,
};

const TOPIC: TopicId = TopicId(Uuid::from_bytes([7; 16]));
const OTHER: TopicId = TopicId(Uuid::from_bytes([8; 16]));

fn nodes(ids: &[i32]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn registered(node: i32) -> Event {
    Event::BrokerRegistered(BrokerRegistration {
        node: NodeId(node),
        incarnation: IncarnationId::default(),
        rack: None,
        directories: vec![DirectoryId::default()],
        storage_endpoint: Endpoint { host: "h".to_owned(), port: 9094 },
    })
}

fn unfenced(node: i32, epoch: i64) -> Event {
    let (node, broker_epoch) = (NodeId(node), BrokerEpoch(epoch));
    Event::BrokerUnfenced { node, broker_epoch, rules: ElectionRules(1) }
}

fn fenced(node: i32, epoch: i64) -> Event {
    Event::BrokerFenced {
        node: NodeId(node),
        broker_epoch: BrokerEpoch(epoch),
        reason: FenceReason::Asked,
        at: TimestampMs(0),
        rules: ElectionRules(1),
    }
}

fn unregistered(node: i32, epoch: i64) -> Event {
    let (node, broker_epoch) = (NodeId(node), BrokerEpoch(epoch));
    Event::BrokerUnregistered { node, broker_epoch, at: TimestampMs(0) }
}

fn configs_changed(resource: ConfigResource, value: Option<&str>) -> Event {
    let changes = vec![("log.roll.ms".to_owned(), value.map(str::to_owned))];
    Event::ResourceConfigsChanged { resource, changes }
}

fn created(id: TopicId, name: &str, replicas: &[i32], isr: &[i32]) -> Event {
    Event::TopicCreated {
        id,
        name: name.to_owned(),
        configs: Vec::new(),
        assignments: vec![Assignment { replicas: nodes(replicas), isr: nodes(isr) }],
        at: TimestampMs(0),
    }
}

fn added(id: TopicId, assignments: Vec<Assignment>) -> Event {
    Event::PartitionsAdded { id, assignments }
}

/// A change of partition 0 to this leader and ISR, with these epochs.
fn changed(leader: Option<i32>, isr: &[i32], leader_epoch: i32, partition_epoch: i32) -> Event {
    Event::PartitionChanged {
        id: TOPIC,
        partition: PartitionIndex(0),
        leader: leader.map(NodeId),
        leader_epoch: LeaderEpoch(leader_epoch),
        isr: nodes(isr),
        partition_epoch: PartitionEpoch(partition_epoch),
        reason: ChangeReason::Asked,
        at: TimestampMs(0),
    }
}

/// Nodes 1 and 2 live (epochs 2 and 3), node 3 fenced (epoch 4); topic `a.b` on all three, led by 1.
fn image() -> Image {
    let mut image = Image::default();
    let events = [
        Event::ClusterFormatted { cluster_id: ClusterId::new("c") },
        registered(1),
        registered(2),
        registered(3),
        unfenced(1, 2),
        unfenced(2, 3),
        created(TOPIC, "a.b", &[1, 2, 3], &[1, 2]),
    ];
    for event in events {
        image.replay(&event, &mut Changes::default());
    }
    image
}

#[test]
fn nonsense_moves_the_offset_only() {
    let nonsense = [
        Event::ClusterFormatted { cluster_id: ClusterId::new("other") },
        // A live node registers again (R1).
        registered(1),
        fenced(1, 3),
        fenced(3, 4),
        fenced(9, 1),
        unfenced(1, 2),
        unfenced(3, 3),
        Event::GatewayDraining { node: NodeId(1), incarnation: IncarnationId::default() },
        Event::GatewayGone { node: NodeId(1), incarnation: IncarnationId::default() },
        created(TOPIC, "other", &[1], &[1]),
        created(OTHER, "a.b", &[1], &[1]),
        created(OTHER, "a_b", &[1], &[1]),
        created(OTHER, "x", &[1], &[]),
        created(OTHER, "x", &[1], &[2]),
        created(OTHER, "x", &[1, 1], &[1]),
        created(OTHER, "x", &[1, 2], &[1, 1]),
        Event::TopicDeleted { id: OTHER, at: TimestampMs(0) },
        added(OTHER, vec![Assignment { replicas: nodes(&[1]), isr: nodes(&[1]) }]),
        added(TOPIC, vec![Assignment { replicas: nodes(&[1]), isr: vec![] }]),
        added(TOPIC, vec![]),
        Event::TopicConfigsChanged { id: OTHER, changes: vec![("a".to_owned(), None)] },
        // Configs of topics have an event of their own; nothing is reset where nothing was set.
        configs_changed(ConfigResource::Topic("a.b".to_owned()), Some("1")),
        configs_changed(ConfigResource::Broker(None), None),
        // A live node, and one that does not exist.
        unregistered(1, 2),
        unregistered(9, 2),
        // R3: an epoch that is not newer.
        changed(Some(2), &[1, 2], 1, 0),
        // A new leader without a new leader epoch, and an epoch that shrinks.
        changed(Some(2), &[1, 2], 0, 1),
        changed(Some(1), &[1, 2], -1, 1),
        // R2: a fenced leader; a leader outside the ISR; an ISR outside the replicas, empty, or with a node twice.
        changed(Some(3), &[1, 2, 3], 1, 1),
        changed(Some(2), &[1], 1, 1),
        changed(Some(1), &[1, 9], 1, 1),
        changed(None, &[], 1, 1),
        changed(Some(1), &[1, 1], 1, 1),
        Event::ProducerIdsAllocated {
            node: NodeId(1),
            broker_epoch: BrokerEpoch(2),
            first: ProducerId(5),
            count: 1,
        },
    ];
    for event in nonsense {
        let (mut image, mut changes) = (image(), Changes::default());
        let mut expected = image.clone();
        expected.offset = expected.offset.next();
        image.replay(&event, &mut changes);
        assert_eq!(image, expected, "{event:?}");
        assert_eq!(changes, Changes::default(), "{event:?}");
    }
}

#[test]
fn a_change_of_a_partition_that_makes_sense_is_made_and_told() {
    let (mut image, mut changes) = (image(), Changes::default());
    image.replay(&changed(Some(2), &[2], 1, 1), &mut changes);
    let partition = image.partition(TOPIC, PartitionIndex(0)).unwrap();
    assert_eq!((partition.leader, partition.isr.clone()), (Some(NodeId(2)), nodes(&[2])));
    assert!(changes.topics.contains(&TOPIC));
    let change = &changes.partitions[0];
    assert_eq!(
        (change.offset, change.topic, change.partition),
        (image.offset, TOPIC, PartitionIndex(0))
    );
    assert_eq!(change.before.leader, Some(NodeId(1)));
    assert_eq!(change.after, *partition);
}

#[test]
fn r3_a_change_that_was_computed_from_an_older_state_is_ignored() {
    let (mut image, mut changes) = (image(), Changes::default());
    image.replay(&changed(Some(1), &[1], 0, 1), &mut changes);
    image.replay(&changed(Some(2), &[2], 1, 1), &mut changes);
    let partition = image.partition(TOPIC, PartitionIndex(0)).unwrap();
    assert_eq!((partition.leader, partition.isr.clone()), (Some(NodeId(1)), nodes(&[1])));
}

#[test]
fn r15_a_topic_made_and_deleted_in_one_run_is_told_as_deleted_only() {
    let (mut image, mut changes) = (image(), Changes::default());
    image.replay(&created(OTHER, "x", &[1], &[1]), &mut changes);
    assert!(changes.topics.contains(&OTHER));
    image.replay(&Event::TopicDeleted { id: OTHER, at: TimestampMs(0) }, &mut changes);
    assert!(changes.topics.is_empty());
    assert_eq!(changes.deleted_topics.get(&OTHER).map(String::as_str), Some("x"));
}

#[test]
fn another_state_hash_is_told_and_an_equal_one_is_not() {
    let (mut image, mut changes) = (image(), Changes::default());
    let (offset, found) = (image.offset, image.hash());
    image.replay(&Event::StateHash { hash: found }, &mut changes);
    assert_eq!(changes.mismatch, None);
    let found = image.hash();
    image.replay(&Event::StateHash { hash: 1 }, &mut changes);
    let mismatch = HashMismatch { offset: offset.next(), expected: 1, found };
    assert_eq!(changes.mismatch, Some(mismatch));
}

#[test]
fn a_deleted_topic_leaves_no_trace_in_the_hash() {
    let mut image = image();
    let mut twin = image.clone();
    image.replay(&created(OTHER, "x.y", &[1, 2], &[1]), &mut Changes::default());
    image.replay(&Event::TopicDeleted { id: OTHER, at: TimestampMs(0) }, &mut Changes::default());
    assert_ne!(image.hash(), twin.hash());
    twin.offset = MetadataOffset(image.offset.0);
    assert_eq!(image.hash(), twin.hash());
    assert_eq!(image, twin);
}

#[test]
fn a_fencing_that_moves_very_many_partitions_is_told_within_bounds() {
    let mut image = image();
    let one = Assignment { replicas: nodes(&[1]), isr: nodes(&[1]) };
    for at in 0..11_u8 {
        let id = TopicId(Uuid::from_bytes([100 + at; 16]));
        let event = Event::TopicCreated {
            id,
            name: format!("t{at}"),
            configs: Vec::new(),
            assignments: vec![one.clone(); 10_000],
            at: TimestampMs(0),
        };
        image.replay(&event, &mut Changes::default());
    }
    let mut changes = Changes::default();
    image.replay(&fenced(1, 2), &mut changes);
    assert_eq!(changes.partitions.len(), ottla_metadata::image::MAX_PARTITION_CHANGES);
    assert_eq!(changes.partitions_left_off, 10_001);
    assert_eq!(changes.topics.len(), 12);
    let led = |node| move |partition: &&std::sync::Arc<_>| leader(partition) == Some(NodeId(node));
    let partitions = || image.topics.values().flat_map(|topic| &topic.partitions);
    assert_eq!(partitions().filter(led(1)).count(), 0);
    assert_eq!(partitions().filter(led(2)).count(), 1);
}

fn leader(partition: &ottla_metadata::image::Partition) -> Option<NodeId> {
    partition.leader
}
