//! OffsetDelete.

use super::*;
use crate::command::DeleteOffsets;

fn delete(world: &mut World, topics: &[&str]) -> Result<Vec<ErrorCode>, ErrorCode> {
    let token = world.token();
    let topics = topics.iter().map(|name| (topic(name), vec![PartitionIndex(0)])).collect();
    let delete = DeleteOffsets { token, group: group(), topics };
    match &world.submit(Command::DeleteOffsets(delete)).replies[..] {
        [(_, Reply::DeleteOffsets(outcome))] => {
            outcome.clone().map(|topics| topics.iter().map(|topic| topic.partitions[0].1).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn offsets_of_topics_that_nobody_reads_go() {
    let mut world = World::new();
    world.commit("", -1, &["t", "u"]);
    world.stable(1);
    let codes = delete(&mut world, &["t", "u", "none"]).unwrap();
    let subscribed = ErrorCode::GroupSubscribedToTopic;
    assert_eq!(codes, [subscribed, ErrorCode::None, ErrorCode::None]);
    assert!(world.has_offset("t") && !world.has_offset("u"));
}

#[test]
fn all_offsets_of_a_group_without_members_may_go() {
    let mut world = World::new();
    world.commit("", -1, &["t"]);
    let ids = world.stable(1);
    world.leave(&[&ids[0]]);
    assert_eq!(delete(&mut world, &["t"]), Ok(vec![ErrorCode::None]));
    assert!(!world.has_offset("t"));
    assert_eq!(world.state(), GroupState::Empty, "the group itself stays");
}

#[test]
fn a_group_of_another_kind_with_members_keeps_its_offsets() {
    let mut world = World::new();
    let join = world.consumer("");
    let connect = text("connect");
    world.join(Join { protocol_type: connect, requires_member_id: false, ..join });
    assert_eq!(delete(&mut world, &["t"]), Err(ErrorCode::NonEmptyGroup));
}

#[test]
fn subscriptions_that_cannot_be_read_may_name_any_topic() {
    let mut world = World::new();
    world.commit("", -1, &["u"]);
    let odd = vec![Protocol { name: text("range"), metadata: bytes("odd") }];
    world.enter(odd);
    world.pass(3_000);
    assert_eq!(delete(&mut world, &["u"]), Ok(vec![ErrorCode::GroupSubscribedToTopic]));
}

#[test]
fn a_group_must_be_named_and_exist() {
    let mut world = World::new();
    assert_eq!(delete(&mut world, &["t"]), Err(ErrorCode::GroupIdNotFound));
    let token = world.token();
    let nameless = DeleteOffsets { token, group: GroupId::empty(), topics: vec![] };
    let decision = world.submit(Command::DeleteOffsets(nameless));
    let refused = Reply::DeleteOffsets(Err(ErrorCode::InvalidGroupId));
    assert_eq!(decision.replies, [(token, refused)]);
}
