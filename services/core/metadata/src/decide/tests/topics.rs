//! CreateTopics, DeleteTopics, AlterTopicConfigs.

use std::collections::BTreeMap;

use ottla_types::{PartitionIndex, TopicId};

use super::*;
use crate::command::TopicRef;

fn by_hand(assignments: &[(i32, &[i32])]) -> NewTopic {
    let nodes = |nodes: &[i32]| nodes.iter().copied().map(NodeId).collect();
    let assignments =
        assignments.iter().map(|(at, replicas)| (PartitionIndex(*at), nodes(replicas))).collect();
    NewTopic { assignments, ..topic("t") }
}

fn with_config(name: &str, value: &str) -> NewTopic {
    NewTopic { configs: vec![(name.to_owned(), Some(value.to_owned()))], ..topic("t") }
}

#[test]
fn a_topic_is_one_event_with_all_its_partitions_and_can_be_led_at_once() {
    let mut world = World::with_nodes([1, 2, 3]);
    let wish = NewTopic { partitions: Some(6), ..topic("orders") };
    let (events, outcomes) =
        world.topics(Command::CreateTopics { topics: vec![wish], validate_only: false });
    assert!(matches!(events[..], [Event::TopicCreated { .. }]));
    let outcome = outcomes[0].clone().unwrap();
    assert_eq!((outcome.partitions, outcome.replication_factor), (6, 1));
    let created = world.image.topic_by_name("orders").unwrap();
    assert_eq!(created.id, outcome.id);
    let mut leaders: Vec<i32> = created.partitions.iter().map(|p| p.leader.unwrap().0).collect();
    leaders.sort_unstable();
    assert_eq!(leaders, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn defaults_are_the_clusters() {
    let mut world = World::with_nodes([1]);
    world.settings.num_partitions = 4;
    assert_eq!(world.create(topic("t")).unwrap().partitions, 4);
}

#[test]
fn names_follow_kafkas_rules() {
    let mut world = World::with_nodes([1]);
    let long = "x".repeat(250);
    for (name, flaw) in [
        ("", "the empty string is not allowed"),
        (".", "'.' is not allowed"),
        ("..", "'..' is not allowed"),
        (
            "a/b",
            "'a/b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (
            "ä",
            "'ä' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
    ] {
        let expected = (ErrorCode::InvalidTopicException, format!("Topic name is invalid: {flaw}"));
        assert_eq!(refusal(world.create(topic(name))), expected);
    }
    assert_eq!(refusal(world.create(topic(&long))).0, ErrorCode::InvalidTopicException);
    assert_eq!(refusal(world.create(topic("__cluster_metadata"))).0, ErrorCode::InvalidRequest);
    world.create(topic(&long[..249])).unwrap();
    world.create(topic("__consumer_offsets")).unwrap();
}

#[test]
fn a_name_that_exists_or_collides_is_refused() {
    let mut world = World::with_nodes([1]);
    world.create(topic("a.b")).unwrap();
    let exists = (ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists.".to_owned());
    assert_eq!(refusal(world.create(topic("a.b"))), exists);
    let collides = "Topic 'a_b' collides with existing topic: a.b".to_owned();
    assert_eq!(refusal(world.create(topic("a_b"))), (ErrorCode::InvalidTopicException, collides));
    world.create(topic("ab")).unwrap();
}

#[test]
fn two_topics_of_one_request_see_each_other() {
    let mut world = World::with_nodes([1]);
    let topics = vec![topic("a.b"), topic("a_b"), topic("c"), topic("c")];
    let (events, outcomes) = world.topics(Command::CreateTopics { topics, validate_only: false });
    assert_eq!(events.len(), 1);
    assert!(outcomes[0].is_ok());
    assert_eq!(refusal(outcomes[1].clone()).0, ErrorCode::InvalidTopicException);
    let duplicate = (ErrorCode::InvalidRequest, "Duplicate topic name.".to_owned());
    assert_eq!(refusal(outcomes[2].clone()), duplicate);
    assert_eq!(refusal(outcomes[3].clone()), duplicate);
}

#[test]
fn counts_that_make_no_sense_are_refused() {
    let mut world = World::with_nodes([1, 2]);
    let partitions = |count| NewTopic { partitions: Some(count), ..topic("t") };
    let factor = |factor| NewTopic { replication_factor: Some(factor), ..topic("t") };
    for count in [0, -2] {
        assert_eq!(refusal(world.create(partitions(count))).0, ErrorCode::InvalidPartitions);
    }
    for (wish, message) in [
        (0, "Replication factor must be larger than 0, or -1 to use the default value."),
        (-3, "Replication factor must be larger than 0, or -1 to use the default value."),
        (
            3,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot \
             be reached because only 2 broker(s) are registered.",
        ),
        (
            2,
            "Replication factor 2 is not possible: replication is not there yet. Use a replication \
             factor of at most 1.",
        ),
    ] {
        let expected = (ErrorCode::InvalidReplicationFactor, message.to_owned());
        assert_eq!(refusal(world.create(factor(wish))), expected);
    }
}

#[test]
fn without_a_live_node_nothing_is_placed() {
    let mut world = World::with_nodes([1]);
    world.pass_ms(9_000);
    world.submit(Command::Tick);
    let message = "Unable to replicate the partition 1 time(s): All brokers are currently fenced.";
    let expected = (ErrorCode::InvalidReplicationFactor, message.to_owned());
    assert_eq!(refusal(world.create(topic("t"))), expected);
    let message = "All brokers specified in the manual partition assignment for partition 0 are \
                   fenced or in controlled shutdown.";
    let expected = (ErrorCode::InvalidReplicaAssignment, message.to_owned());
    assert_eq!(refusal(world.create(by_hand(&[(0, &[1])]))), expected);
}

#[test]
fn a_request_for_too_many_partitions_is_refused_as_a_whole() {
    let mut world = World::with_nodes([1]);
    let topics = vec![
        NewTopic { partitions: Some(10_000), ..topic("a") },
        NewTopic { partitions: Some(1), ..topic("b") },
    ];
    let (events, outcomes) = world.topics(Command::CreateTopics { topics, validate_only: false });
    assert_eq!((events, outcomes.len()), (vec![], 2));
    assert_eq!(refusal(outcomes[1].clone()).0, ErrorCode::PolicyViolation);
    world.create(NewTopic { partitions: Some(10_000), ..topic("a") }).unwrap();
    let huge = NewTopic { partitions: Some(i32::MAX), ..topic("b") };
    assert_eq!(refusal(world.create(huge)).0, ErrorCode::PolicyViolation);
}

#[test]
fn a_request_whose_events_would_not_fit_into_one_entry_is_cut_off_and_says_so() {
    let mut world = World::with_nodes([1]);
    let value = "0:1,".repeat(8_000);
    let topics = (0..1_000).map(|at| {
        let configs =
            vec![("leader.replication.throttled.replicas".to_owned(), Some(value.clone()))];
        NewTopic { configs, ..topic(&format!("t{at}")) }
    });
    let topics = topics.collect();
    let (events, outcomes) = world.topics(Command::CreateTopics { topics, validate_only: false });
    assert!(crate::codec::encode_events(&events).len() <= crate::codec::MAX_BATCH_BYTES);
    assert_eq!(events.len(), outcomes.iter().filter(|outcome| outcome.is_ok()).count());
    assert_eq!(refusal(outcomes[999].clone()).0, ErrorCode::PolicyViolation);
}

#[test]
fn assignments_by_hand_follow_kafkas_rules() {
    let mut world = World::with_nodes([1, 2]);
    world.settings.max_replication_factor = 3;
    let with_factor = NewTopic { replication_factor: Some(1), ..by_hand(&[(0, &[1])]) };
    let with_count = NewTopic { partitions: Some(1), ..by_hand(&[(0, &[1])]) };
    for (wish, code) in [
        (with_factor, ErrorCode::InvalidRequest),
        (with_count, ErrorCode::InvalidRequest),
        (by_hand(&[(1, &[1])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[(0, &[1]), (2, &[2])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[(0, &[1]), (0, &[2])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[(0, &[3])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[(0, &[1, 2]), (1, &[1])]), ErrorCode::InvalidReplicaAssignment),
        (by_hand(&[(-1, &[1])]), ErrorCode::InvalidReplicaAssignment),
    ] {
        assert_eq!(refusal(world.create(wish.clone())).0, code, "{wish:?}");
    }
    let unknown =
        "The manual partition assignment includes broker 3, but no such broker is registered.";
    assert_eq!(refusal(world.create(by_hand(&[(0, &[2, 3])]))).1, unknown);
    let made = world.create(by_hand(&[(1, &[1, 2]), (0, &[2, 1])])).unwrap();
    assert_eq!((made.partitions, made.replication_factor), (2, 2));
    let leaders = |world: &World| -> Vec<Option<NodeId>> {
        world.image.topic_by_name("t").unwrap().partitions.iter().map(|p| p.leader).collect()
    };
    assert_eq!(leaders(&world), [Some(NodeId(2)), Some(NodeId(1))]);
}

#[test]
fn an_assignment_by_hand_of_two_replicas_waits_for_replication() {
    let mut world = World::with_nodes([1, 2]);
    assert_eq!(
        refusal(world.create(by_hand(&[(0, &[1, 2])]))).0,
        ErrorCode::InvalidReplicationFactor
    );
}

#[test]
fn configs_are_checked_and_kept() {
    let mut world = World::with_nodes([1]);
    let null = NewTopic { configs: vec![("retention.ms".to_owned(), None)], ..topic("t") };
    for (wish, message) in [
        (with_config("foo", "1"), "Unknown topic config name: foo"),
        (
            with_config("retention.ms", "-2"),
            "Invalid value -2 for configuration retention.ms: Value must be at least -1",
        ),
        (null, "Null value not supported for topic configs: retention.ms"),
    ] {
        let expected = (ErrorCode::InvalidConfig, message.to_owned());
        assert_eq!(refusal(world.create(wish)), expected);
    }
    world.create(with_config("retention.ms", "5")).unwrap();
    let configs = &world.image.topic_by_name("t").unwrap().configs;
    assert_eq!(configs.get("retention.ms").map(String::as_str), Some("5"));
}

#[test]
fn a_command_that_only_checks_leaves_no_event_and_gives_no_id() {
    let mut world = World::with_nodes([1]);
    let topics = vec![topic("a"), topic("a.b"), topic("a_b")];
    let (events, outcomes) = world.topics(Command::CreateTopics { topics, validate_only: true });
    assert_eq!(events, []);
    assert_eq!(outcomes[0].clone().unwrap().id, TopicId::default());
    assert!(outcomes[2].is_err());
    assert!(world.image.topics.is_empty());
}

#[test]
fn topics_are_deleted_by_name_or_id_and_unknown_ones_refused() {
    let mut world = World::with_nodes([1]);
    let id = world.create(topic("a")).unwrap().id;
    world.create(topic("b.c")).unwrap();
    let topics = vec![
        TopicRef::Id(id),
        TopicRef::Name("b.c".to_owned()),
        TopicRef::Name("x".to_owned()),
        TopicRef::Id(TopicId::default()),
    ];
    let (events, outcomes) = world.topics(Command::DeleteTopics { topics });
    assert_eq!(events.len(), 2);
    assert_eq!(outcomes[0].clone().unwrap().name, "a");
    assert_eq!(refusal(outcomes[2].clone()).0, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refusal(outcomes[3].clone()).0, ErrorCode::UnknownTopicId);
    assert!(world.image.topics.is_empty() && world.image.topic_ids.is_empty());
    // Names are free again, ids are not used again.
    assert_ne!(world.create(topic("a")).unwrap().id, id);
    world.create(topic("b_c")).unwrap();
}

#[test]
fn no_topic_is_deleted_where_deletion_is_disabled() {
    let mut world = World::with_nodes([1]);
    world.settings.is_topic_deletion_allowed = false;
    world.create(topic("t")).unwrap();
    let topics = vec![TopicRef::Name("t".to_owned()), TopicRef::Name("nope".to_owned())];
    let (events, outcomes) = world.topics(Command::DeleteTopics { topics });
    assert_eq!((events, outcomes.len()), (Vec::new(), 2));
    for outcome in outcomes {
        let (code, message) = refusal(outcome);
        assert_eq!(code, ErrorCode::TopicDeletionDisabled);
        assert!(message.contains("delete.topic.enable"), "{message}");
    }
}

#[test]
fn a_topic_named_twice_is_not_deleted() {
    let mut world = World::with_nodes([1]);
    let id = world.create(topic("a")).unwrap().id;
    let topics = vec![TopicRef::Id(id), TopicRef::Name("a".to_owned())];
    let (events, outcomes) = world.topics(Command::DeleteTopics { topics });
    assert_eq!(events, []);
    assert!(outcomes.into_iter().all(|outcome| refusal(outcome).0 == ErrorCode::InvalidRequest));
}

#[test]
fn configs_are_set_and_reset_and_a_change_of_nothing_is_no_event() {
    let mut world = World::with_nodes([1]);
    world.create(with_config("retention.ms", "5")).unwrap();
    let alter = |name: &str, value: Option<&str>, validate_only| Command::AlterTopicConfigs {
        topic: TopicRef::Name("t".to_owned()),
        changes: BTreeMap::from([(name.to_owned(), value.map(str::to_owned))]),
        validate_only,
    };
    let (events, _) = world.topics(alter("segment.ms", Some("9"), true));
    assert_eq!(events, []);
    let (events, outcomes) = world.topics(alter("segment.ms", Some("9"), false));
    assert!(matches!(events[..], [Event::TopicConfigsChanged { .. }]));
    assert_eq!(outcomes[0].clone().unwrap().name, "t");
    assert_eq!(world.topics(alter("segment.ms", Some("9"), false)).0, []);
    assert_eq!(world.topics(alter("flush.ms", None, false)).0, []);
    world.topics(alter("retention.ms", None, false));
    let configs = &world.image.topic_by_name("t").unwrap().configs;
    assert_eq!(configs.keys().collect::<Vec<_>>(), ["segment.ms"]);
    let (events, outcomes) = world.topics(alter("segment.ms", Some("0"), false));
    assert_eq!((events, refusal(outcomes[0].clone()).0), (vec![], ErrorCode::InvalidConfig));
}

#[test]
fn more_topics_than_a_request_may_have_get_one_answer() {
    let mut world = World::with_nodes([1]);
    let topics = vec![topic("t"); MAX_TOPICS_PER_REQUEST + 1];
    let (events, reply) = world.submit(Command::CreateTopics { topics, validate_only: false });
    assert_eq!((events, refused(reply)), (vec![], ErrorCode::PolicyViolation));
}

#[test]
fn what_a_client_sent_is_not_echoed_without_end() {
    let mut world = World::with_nodes([1]);
    let (_, message) = refusal(world.create(with_config(&"ä".repeat(30_000), "1")));
    assert!(message.len() <= crate::command::MAX_REFUSAL_BYTES + 3);
}
