//! Topics are gone.

use super::*;

fn id(number: u128) -> TopicId {
    TopicId(Uuid::from_bytes(number.to_be_bytes()))
}

/// Until nothing is left to do; the number of decisions.
fn deleted(world: &mut World, topics: &[(&str, u128)]) -> usize {
    let topics = topics.iter().map(|(name, number)| (topic(name), id(*number))).collect();
    let mut next = Some(Command::TopicsDeleted { topics, after: None });
    let mut decisions = 0;
    while let Some(command) = next {
        next = world.submit(command).next;
        decisions += 1;
    }
    decisions
}

#[test]
fn offsets_go_with_their_topic_but_not_those_of_one_with_another_id() {
    let mut world = World::new();
    let mut commit = world.commit_of("", -1, &["old", "new", "unknown", "other"]);
    commit.topics[0].id = id(1);
    commit.topics[1].id = id(2);
    world.submit(Command::CommitOffsets(commit));
    assert_eq!(deleted(&mut world, &[("old", 1), ("new", 1), ("unknown", 1)]), 1);
    let left = ["old", "new", "unknown", "other"].map(|name| world.has_offset(name));
    assert_eq!(left, [false, true, false, true]);
}

#[test]
fn what_does_not_fit_into_one_batch_goes_in_several() {
    let mut world = World::new();
    for number in 0..30 {
        let mut commit = world.commit_of("", -1, &["t", "u"]);
        commit.caller.group = GroupId::new(format!("g{number:02}")).unwrap();
        world.submit(Command::CommitOffsets(commit));
    }
    world.settings.max_batch_bytes = 2_000;
    assert!(deleted(&mut world, &[("t", 1)]) > 2);
    assert_eq!(world.durable.offset_count(), 30);
}
