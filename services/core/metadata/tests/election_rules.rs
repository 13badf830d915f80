//! Election rules 1, frozen: an image and an event make this hash, for ever. New behaviour gets a new number.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use ottla_metadata::election::CURRENT_RULES;
use ottla_metadata::event::{
    Assignment, BrokerRegistration, ElectionRules, Endpoint, Event, FenceReason,
};
use ottla_metadata::{Changes, Image};
use ottla_types::{
    BrokerEpoch, ClusterId, DirectoryId, IncarnationId, NodeId, TimestampMs, TopicId, Uuid,
};

fn id(number: u128) -> Uuid {
    Uuid::from_bytes(number.to_be_bytes())
}

fn registered(node: i32) -> Event {
    Event::BrokerRegistered(BrokerRegistration {
        node: NodeId(node),
        incarnation: IncarnationId(id(1)),
        rack: None,
        directories: vec![DirectoryId(id(2))],
        storage_endpoint: Endpoint { host: "h".to_owned(), port: 9094 },
    })
}

/// The registrations are the events 2, 3 and 4.
fn epoch(node: i32) -> BrokerEpoch {
    BrokerEpoch(i64::from(node) + 1)
}

fn fenced(node: i32) -> Event {
    Event::BrokerFenced {
        node: NodeId(node),
        broker_epoch: epoch(node),
        reason: FenceReason::SessionExpired { silent_ms: 9_000 },
        at: TimestampMs(5),
        rules: ElectionRules(1),
    }
}

fn unfenced(node: i32) -> Event {
    Event::BrokerUnfenced { node: NodeId(node), broker_epoch: epoch(node), rules: ElectionRules(1) }
}

fn assignment(replicas: &[i32]) -> Assignment {
    let replicas: Vec<NodeId> = replicas.iter().copied().map(NodeId).collect();
    Assignment { isr: replicas.clone(), replicas }
}

/// Three live nodes and a topic with every order of three, two and one replicas.
fn start() -> Vec<Event> {
    let assignments = [
        &[1, 2, 3][..],
        &[1, 3, 2],
        &[2, 1, 3],
        &[2, 3, 1],
        &[3, 1, 2],
        &[3, 2, 1],
        &[1, 2],
        &[2, 3],
        &[1],
        &[2],
        &[3],
    ];
    let topic = Event::TopicCreated {
        id: TopicId(id(7)),
        name: "t".to_owned(),
        configs: Vec::new(),
        assignments: assignments.into_iter().map(assignment).collect(),
        at: TimestampMs(4),
    };
    let formatted = Event::ClusterFormatted { cluster_id: ClusterId::new("c") };
    let mut events = vec![formatted];
    events.extend((1..=3).map(registered));
    events.extend((1..=3).map(unfenced));
    events.push(topic);
    events
}

/// Leaders, one digit a partition, `-` for none; then ISR sizes, then leader epochs, then partition epochs.
fn shape(image: &Image) -> String {
    let partitions = &image.topics.get(&TopicId(id(7))).unwrap().partitions;
    let leaders: String = partitions
        .iter()
        .map(|p| p.leader.map_or("-".to_owned(), |node| node.to_string()))
        .collect();
    let isr: String = partitions.iter().map(|p| p.isr.len().to_string()).collect();
    let leader_epochs: String = partitions.iter().map(|p| p.leader_epoch.to_string()).collect();
    let epochs: String = partitions.iter().map(|p| p.partition_epoch.to_string()).collect();
    format!("{leaders} {isr} {leader_epochs} {epochs}")
}

#[test]
fn rules_1_are_frozen() {
    let mut image = Image::default();
    for event in start() {
        image.replay(&event, &mut Changes::default());
    }
    let expected = [
        (None, "11223312123 33333322111 00000000000 00000000000", 0x40b5_79b2_8d52_876b_u64),
        (
            Some(fenced(1)),
            "23223322-23 22222212111 11000010100 11111110100",
            0x5e22_622d_27ba_b43d_u64,
        ),
        (
            Some(fenced(3)),
            "22222222-2- 11111111111 12001110101 22222211101",
            0x4106_935f_b231_e5ca_u64,
        ),
        (
            Some(unfenced(1)),
            "2222222212- 11111111111 12001110201 22222211201",
            0x26ec_0a7c_676d_291e_u64,
        ),
        (
            Some(fenced(2)),
            "--------1-- 11111111111 23112221211 33333322211",
            0x93c1_2752_feb3_149f_u64,
        ),
        (
            Some(fenced(1)),
            "----------- 11111111111 23112221311 33333322311",
            0xbf71_8944_b235_8a61_u64,
        ),
        (
            Some(unfenced(3)),
            "----------3 11111111111 23112221312 33333322312",
            0x0709_bcb8_72cb_beaf_u64,
        ),
        (
            Some(unfenced(2)),
            "22222222-23 11111111111 34223332322 44444433322",
            0x14ec_d6bd_82ad_3117_u64,
        ),
    ];
    let mut found = Vec::new();
    for (event, _, _) in &expected {
        if let Some(event) = event {
            image.replay(event, &mut Changes::default());
        }
        found.push((shape(&image), image.hash()));
    }
    let expected: Vec<(String, u64)> =
        expected.iter().map(|(_, shape, hash)| ((*shape).to_owned(), *hash)).collect();
    assert_eq!(found, expected, "election rules 1 changed: members of two releases would differ");
}

#[test]
fn new_events_name_rules_1() {
    assert_eq!(CURRENT_RULES, ElectionRules(1));
}

#[test]
fn a_fencing_of_an_older_registration_changes_nothing_but_the_offset() {
    let mut image = Image::default();
    for event in start() {
        image.replay(&event, &mut Changes::default());
    }
    let before = image.clone();
    let mut changes = Changes::default();
    let old = Event::BrokerFenced {
        node: NodeId(1),
        broker_epoch: BrokerEpoch(1),
        reason: FenceReason::Asked,
        at: TimestampMs(0),
        rules: ElectionRules(1),
    };
    image.replay(&old, &mut changes);
    assert!(changes.is_empty());
    assert_eq!(image.offset, before.offset.next());
    assert_eq!(image.brokers, before.brokers);
    assert_eq!(image.topics, before.topics);
}
