//! OffsetFetch.

use super::*;
use crate::command::{FetchOffsets, FetchTopic};
use crate::reply::FetchedTopic;

fn fetch(world: &mut World, topics: Option<Vec<FetchTopic>>) -> Vec<FetchedTopic> {
    let token = world.token();
    let fetch = FetchOffsets { token, group: group(), topics, require_stable: true };
    let decision = world.submit(Command::FetchOffsets(fetch));
    match &decision.replies[..] {
        [(_, Reply::FetchOffsets(Ok(topics)))] => topics.clone(),
        other => panic!("{other:?}"),
    }
}

fn of(name: &str, id: u128) -> FetchTopic {
    let id = TopicId(Uuid::from_bytes(id.to_be_bytes()));
    FetchTopic { name: topic(name), id, partitions: vec![PartitionIndex(0), PartitionIndex(1)] }
}

#[test]
fn what_was_committed_is_found_and_nothing_else() {
    let mut world = World::new();
    world.commit("", -1, &["t"]);
    let fetched = fetch(&mut world, Some(vec![of("t", 0), of("u", 0)]));
    let offsets: Vec<_> =
        fetched.iter().flat_map(|topic| &topic.partitions).map(|at| at.offset.0).collect();
    assert_eq!(offsets, [42, -1, -1, -1]);
    let first = &fetched[0].partitions[0];
    assert_eq!((first.leader_epoch, first.metadata.as_str()), (LeaderEpoch(3), "note"));
}

#[test]
fn all_topics_are_found_without_names() {
    let mut world = World::new();
    assert_eq!(fetch(&mut world, None), []);
    world.commit("", -1, &["b", "a"]);
    let names: Vec<_> = fetch(&mut world, None).iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_group_that_does_not_exist_has_committed_nothing() {
    let mut world = World::new();
    let fetched = fetch(&mut world, Some(vec![of("t", 0)]));
    assert_eq!(fetched[0].partitions[0].offset, Offset::NONE);
    assert_eq!(fetched[0].partitions[0].error, ErrorCode::None);
}

#[test]
fn an_offset_of_a_topic_that_was_made_anew_is_not_the_new_ones() {
    let mut world = World::new();
    let mut commit = world.commit_of("", -1, &["t"]);
    commit.topics[0].id = of("t", 5).id;
    world.submit(Command::CommitOffsets(commit));
    let found =
        |world: &mut World, id| fetch(world, Some(vec![of("t", id)]))[0].partitions[0].offset.0;
    assert_eq!([found(&mut world, 5), found(&mut world, 0), found(&mut world, 6)], [42, 42, -1]);
}
