//! OffsetCommit.

use super::*;

#[test]
fn a_member_commits_what_it_read() {
    let mut world = World::new();
    let ids = world.stable(1);
    let decision = world.commit(ids[0].as_str(), 1, &["t"]);
    let codes = committed(&decision).unwrap();
    assert_eq!(codes[0].partitions, [(PartitionIndex(0), ErrorCode::None)]);
    let offset = CommittedOffset {
        offset: Offset(42),
        leader_epoch: LeaderEpoch(3),
        metadata: text("note"),
        committed_at: world.now.wall,
        expires_at: TimestampMs::NONE,
        topic_id: TopicId::default(),
    };
    let at = OffsetKey { group: group(), topic: topic("t"), partition: PartitionIndex(0) };
    assert_eq!(decision.events, [Event::OffsetCommitted { at, offset }]);
}

#[test]
fn a_zombie_changes_no_offset() {
    let mut world = World::new();
    let ids = world.stable(1);
    for (id, generation, error) in [
        (ids[0].as_str(), 0, ErrorCode::IllegalGeneration),
        (ids[0].as_str(), -1, ErrorCode::IllegalGeneration),
        ("stranger", 1, ErrorCode::UnknownMemberId),
        ("", 1, ErrorCode::UnknownMemberId),
        ("", -1, ErrorCode::UnknownMemberId),
    ] {
        let decision = world.commit(id, generation, &["t"]);
        assert_eq!(committed(&decision), Err(error), "{id} {generation}");
        assert_eq!(decision.events, []);
    }
}

#[test]
fn members_of_the_last_generation_commit_until_the_next_begins() {
    let mut world = World::new();
    let ids = world.stable(1);
    let (_, token) = world.enter(range());
    assert!(committed(&world.commit(ids[0].as_str(), 1, &["t"])).is_ok());
    let again = world.consumer(ids[0].as_str());
    world.join(again);
    assert!(!world.waits(token));
    let decision = world.commit(ids[0].as_str(), 1, &["t"]);
    assert_eq!(committed(&decision), Err(ErrorCode::IllegalGeneration));
    let decision = world.commit(ids[0].as_str(), 2, &["t"]);
    assert_eq!(committed(&decision), Err(ErrorCode::RebalanceInProgress));
}

#[test]
fn a_commit_is_a_sign_of_life() {
    let mut world = World::new();
    let ids = world.stable(1);
    for _ in 0..4 {
        world.pass(9_000);
        assert!(committed(&world.commit(ids[0].as_str(), 1, &["t"])).is_ok());
    }
}

#[test]
fn anybody_commits_outside_of_generations_where_no_member_is() {
    let mut world = World::new();
    assert!(committed(&world.commit("", -1, &["t"])).is_ok());
    assert_eq!(world.state(), GroupState::Empty);
    assert_eq!(world.stored(), StoredGroup::memberless(TimestampMs::NONE));
    let ids = world.stable(1);
    let decision = world.commit("", -1, &["t"]);
    assert_eq!(committed(&decision), Err(ErrorCode::UnknownMemberId));
    world.leave(&[&ids[0]]);
    assert!(committed(&world.commit("", -1, &["t"])).is_ok());
}

#[test]
fn a_generation_of_a_group_that_does_not_exist_is_refused_in_words_that_the_client_knows() {
    let mut world = World::new();
    let commit = world.commit_of("m", 1, &["t"]);
    let old = CommitOffsets { knows_group_id_not_found: false, ..commit.clone() };
    let decision = world.submit(Command::CommitOffsets(commit));
    assert_eq!(committed(&decision), Err(ErrorCode::GroupIdNotFound));
    world.replies.clear();
    let decision = world.submit(Command::CommitOffsets(old));
    assert_eq!(committed(&decision), Err(ErrorCode::IllegalGeneration));
}

#[test]
fn a_note_that_is_too_long_refuses_its_own_partition_only() {
    let mut world = World::new();
    let mut commit = world.commit_of("", -1, &["a", "b", "c"]);
    // As many UTF-16 units as are allowed, in three times as many bytes.
    commit.topics[0].partitions[0].metadata = Some(text(&"€".repeat(4_096)));
    commit.topics[1].partitions[0].metadata = Some(text(&"x".repeat(4_097)));
    commit.topics[2].partitions[0].metadata = None;
    let decision = world.submit(Command::CommitOffsets(commit));
    let codes = committed(&decision).unwrap();
    let codes: Vec<_> = codes.iter().map(|topic| topic.partitions[0].1).collect();
    let long = ErrorCode::OffsetMetadataTooLarge;
    assert_eq!(codes, [ErrorCode::None, long, long]);
    assert_eq!(decision.events.len(), 1);
}

#[test]
fn a_retention_of_its_own_is_kept_with_the_offset() {
    let mut world = World::new();
    let commit = world.commit_of("", -1, &["t"]);
    world.submit(Command::CommitOffsets(CommitOffsets { retention_ms: 5_000, ..commit }));
    let offset = world.durable.offset(&group(), &topic("t"), PartitionIndex(0)).unwrap();
    assert_eq!(offset.expires_at, world.now.wall.plus_ms(5_000));
}

#[test]
fn a_commit_that_no_batch_could_hold_is_refused_as_a_whole() {
    let mut world = World::new();
    world.settings.max_batch_bytes = 1_000;
    let names: Vec<String> = (0..20).map(|n| format!("topic-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let decision = world.commit("", -1, &names);
    assert_eq!(committed(&decision), Err(ErrorCode::UnknownServerError));
    assert!(matches!(decision.notes[..], [Note::TooLarge { .. }]));
    assert_eq!(world.durable, Durable::default());
}
