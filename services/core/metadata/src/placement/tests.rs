//! Placement: even, rack-aware, repeatable.

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::{ClusterId, DirectoryId, IncarnationId, TimestampMs, TopicId, Uuid};
use proptest::prelude::*;

use super::*;
use crate::election::CURRENT_RULES;
use crate::event::{BrokerRegistration, Endpoint, Event};
use crate::image::Changes;

/// Live nodes with ids from 0, in these racks.
fn image(racks: &[Option<&str>]) -> Image {
    let mut image = Image::default();
    let formatted = Event::ClusterFormatted { cluster_id: ClusterId::new("c") };
    image.replay(&formatted, &mut Changes::default());
    for (id, rack) in (0..).zip(racks) {
        let node = NodeId(id);
        let registration = BrokerRegistration {
            node,
            incarnation: IncarnationId::default(),
            rack: rack.map(str::to_owned),
            directories: vec![DirectoryId(Uuid::from_random(id as u128))],
            storage_endpoint: Endpoint { host: "h".to_owned(), port: 1 },
        };
        image.replay(&Event::BrokerRegistered(registration), &mut Changes::default());
        let broker_epoch = image.brokers.get(&node).unwrap().epoch;
        let unfenced = Event::BrokerUnfenced { node, broker_epoch, rules: CURRENT_RULES };
        image.replay(&unfenced, &mut Changes::default());
    }
    image
}

fn leaders(assignments: &[Assignment]) -> BTreeMap<NodeId, usize> {
    let mut leaders = BTreeMap::new();
    for assignment in assignments {
        *leaders.entry(assignment.replicas[0]).or_default() += 1;
    }
    leaders
}

#[test]
fn leaders_of_one_topic_spread_evenly() {
    let image = image(&[None; 3]);
    let assignments = place(&image, 9, 1, &mut Dice::new(1));
    assert_eq!(leaders(&assignments), (0..3).map(|node| (NodeId(node), 3)).collect());
}

#[test]
fn many_topics_of_one_partition_spread_evenly_too() {
    let mut image = image(&[None; 3]);
    for at in 0..30 {
        let assignments = place(&image, 1, 1, &mut Dice::new(at));
        let created = Event::TopicCreated {
            id: TopicId(Uuid::from_random(u128::from(at))),
            name: format!("t{at}"),
            configs: Vec::new(),
            assignments,
            at: TimestampMs(0),
        };
        image.replay(&created, &mut Changes::default());
    }
    for node in 0..3 {
        assert_eq!(image.preferred_leaders_on(NodeId(node)), 10);
    }
}

#[test]
fn replicas_of_a_partition_are_in_different_racks() {
    let image = image(&[Some("a"), Some("a"), Some("a"), Some("b"), Some("b"), Some("c")]);
    let rack = |node: &NodeId| image.brokers.get(node).unwrap().registration.rack.clone();
    for assignment in place(&image, 60, 3, &mut Dice::new(3)) {
        let racks: BTreeSet<_> = assignment.replicas.iter().map(rack).collect();
        assert_eq!(racks.len(), 3, "{assignment:?}");
    }
}

#[test]
fn followers_of_a_node_vary() {
    let image = image(&[None; 4]);
    let assignments = place(&image, 12, 2, &mut Dice::new(3));
    let pairs: BTreeSet<_> = assignments.iter().map(|assignment| &assignment.replicas).collect();
    assert_eq!(pairs.len(), 12);
}

#[test]
fn fenced_nodes_get_nothing() {
    let mut image = image(&[None; 3]);
    let broker_epoch = image.brokers.get(&NodeId(1)).unwrap().epoch;
    let fenced = Event::BrokerFenced {
        node: NodeId(1),
        broker_epoch,
        reason: crate::event::FenceReason::Asked,
        at: TimestampMs(0),
        rules: CURRENT_RULES,
    };
    image.replay(&fenced, &mut Changes::default());
    let assignments = place(&image, 8, 2, &mut Dice::new(3));
    assert!(assignments.iter().all(|assignment| !assignment.replicas.contains(&NodeId(1))));
    let error = PlacementError::TooFewLive { factor: 3, live: 2, registered: 3 };
    assert_eq!(check(&image, 3), Err(error));
}

proptest! {
    #[test]
    fn every_placement_is_even_and_distinct(
        racks in proptest::collection::vec(proptest::option::of("[abc]"), 1..9),
        count in 1_usize..40,
        factor in 1_usize..9,
        seed: u64,
    ) {
        let factor = factor.min(racks.len());
        let racks: Vec<Option<&str>> = racks.iter().map(Option::as_deref).collect();
        let image = image(&racks);
        let assignments = place(&image, count, factor, &mut Dice::new(seed));
        prop_assert_eq!(&assignments, &place(&image, count, factor, &mut Dice::new(seed)));
        prop_assert_eq!(assignments.len(), count);
        let distinct_racks = racks.iter().collect::<BTreeSet<_>>().len();
        for assignment in &assignments {
            prop_assert_eq!(&assignment.isr, &assignment.replicas);
            let nodes: BTreeSet<_> = assignment.replicas.iter().collect();
            prop_assert_eq!(nodes.len(), factor);
            let used: BTreeSet<_> =
                nodes.iter().map(|node| &image.brokers.get(*node).unwrap().registration.rack).collect();
            prop_assert_eq!(used.len(), factor.min(distinct_racks));
        }
        let leaders = leaders(&assignments);
        let most = leaders.values().max().copied().unwrap_or(0);
        let least = if leaders.len() == racks.len() { leaders.values().min().copied().unwrap_or(0) } else { 0 };
        prop_assert!(most - least <= 1, "{:?}", leaders);
    }
}
