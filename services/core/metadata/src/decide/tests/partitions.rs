//! CreatePartitions, and what fencing makes of partitions.

use super::*;
use crate::command::NewPartitions;

fn grow(name: &str, count: i32, assignments: Option<Vec<Vec<NodeId>>>) -> Command {
    let topics = vec![NewPartitions { name: name.to_owned(), count, assignments }];
    Command::CreatePartitions { topics, validate_only: false }
}

fn leaders(world: &World) -> Vec<Option<i32>> {
    let topic = world.image.topic_by_name("t").unwrap();
    topic.partitions.iter().map(|partition| partition.leader.map(|node| node.0)).collect()
}

#[test]
fn partitions_are_added_after_the_ones_that_are_there() {
    let mut world = World::with_nodes([1, 2]);
    world.create(NewTopic { partitions: Some(2), ..topic("t") }).unwrap();
    let before = leaders(&world);
    let (events, outcomes) = world.topics(grow("t", 4, None));
    assert!(matches!(events[..], [Event::PartitionsAdded { .. }]));
    assert_eq!(outcomes[0].clone().unwrap().partitions, 4);
    assert_eq!(leaders(&world)[..2], before);
    assert_eq!(world.image.preferred_leaders_on(NodeId(1)), 2);
    assert_eq!(world.image.preferred_leaders_on(NodeId(2)), 2);
}

#[test]
fn a_topic_never_shrinks() {
    let mut world = World::with_nodes([1]);
    world.create(NewTopic { partitions: Some(2), ..topic("t") }).unwrap();
    for (count, message) in [
        (2, "Topic already has 2 partition(s)."),
        (1, "The topic t currently has 2 partition(s); 1 would not be an increase."),
        (-5, "The topic t currently has 2 partition(s); -5 would not be an increase."),
    ] {
        let (events, outcomes) = world.topics(grow("t", count, None));
        let expected = (ErrorCode::InvalidPartitions, message.to_owned());
        assert_eq!((events, refusal(outcomes[0].clone())), (vec![], expected));
    }
    let (_, outcomes) = world.topics(grow("x", 3, None));
    assert_eq!(refusal(outcomes[0].clone()).0, ErrorCode::UnknownTopicOrPartition);
    let (_, outcomes) = world.topics(grow("t", i32::MAX, None));
    assert_eq!(refusal(outcomes[0].clone()).0, ErrorCode::PolicyViolation);
}

#[test]
fn new_partitions_by_hand_must_fit_the_topic() {
    let mut world = World::with_nodes([1, 2]);
    world.create(topic("t")).unwrap();
    let (one, two) = (NodeId(1), NodeId(2));
    for assignments in
        [vec![], vec![vec![one], vec![two], vec![one]], vec![vec![one, two], vec![one]]]
    {
        let (_, outcomes) = world.topics(grow("t", 3, Some(assignments)));
        assert_eq!(refusal(outcomes[0].clone()).0, ErrorCode::InvalidReplicaAssignment);
    }
    let (_, outcomes) = world.topics(grow("t", 3, Some(vec![vec![two], vec![one]])));
    assert!(outcomes[0].is_ok());
    assert_eq!(leaders(&world)[1..], [Some(2), Some(1)]);
}

#[test]
fn a_topic_named_twice_gets_no_partitions() {
    let mut world = World::with_nodes([1]);
    world.create(topic("t")).unwrap();
    let wish = |count| NewPartitions { name: "t".to_owned(), count, assignments: None };
    let topics = vec![wish(2), wish(3)];
    let (events, outcomes) =
        world.topics(Command::CreatePartitions { topics, validate_only: false });
    assert_eq!(events, []);
    assert!(outcomes.into_iter().all(|outcome| refusal(outcome).0 == ErrorCode::InvalidRequest));
}

#[test]
fn a_fenced_nodes_only_replicas_wait_for_it_and_it_leads_them_again() {
    let mut world = World::with_nodes([1, 2]);
    world.create(NewTopic { partitions: Some(2), ..topic("t") }).unwrap();
    let before = leaders(&world);
    let epoch = world.epoch(1);
    world.pass_ms(5_000);
    world.heartbeat(2, world.epoch(2));
    world.pass_ms(4_000);
    let (events, _) = world.submit(Command::Tick);
    assert_eq!(events.len(), 1);
    let fenced: Vec<_> = before.iter().map(|leader| leader.filter(|node| *node != 1)).collect();
    assert_eq!(leaders(&world), fenced);
    world.heartbeat(1, epoch);
    assert_eq!(leaders(&world), before);
    let partitions = &world.image.topic_by_name("t").unwrap().partitions;
    let moved = partitions.iter().find(|partition| partition.leader == Some(NodeId(1))).unwrap();
    assert_eq!((moved.leader_epoch.0, moved.partition_epoch.0), (2, 2));
    assert_eq!(moved.isr, [NodeId(1)]);
}

#[test]
fn r11_a_broken_down_leader_is_followed_by_the_first_live_member_of_the_isr() {
    let mut world = World::with_nodes([1, 2, 3]);
    world.settings.max_replication_factor = 3;
    world
        .create(NewTopic { partitions: Some(3), replication_factor: Some(3), ..topic("t") })
        .unwrap();
    world.pass_ms(5_000);
    for node in [2, 3] {
        world.heartbeat(node, world.epoch(node));
    }
    world.pass_ms(4_000);
    world.submit(Command::Tick);
    for partition in &world.image.topic_by_name("t").unwrap().partitions {
        let first_live = partition.replicas.iter().copied().find(|node| *node != NodeId(1));
        assert_eq!(partition.leader, first_live);
        assert!(!partition.isr.contains(&NodeId(1)) && partition.isr.len() == 2);
        let led = partition.replicas[0] == NodeId(1);
        assert_eq!((partition.leader_epoch.0, partition.partition_epoch.0), (i32::from(led), 1));
    }
}
