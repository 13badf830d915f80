//! DescribeGroups.

use super::*;
use crate::reply::DescribedGroup;

fn describe(world: &mut World, groups: Vec<GroupId>) -> Result<Vec<DescribedGroup>, ErrorCode> {
    let token = world.token();
    let decision = world.submit(Command::Describe { token, groups });
    match &decision.replies[..] {
        [(_, Reply::Describe(described))] => described.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stable_group_is_shown_with_all_that_its_members_have() {
    let mut world = World::new();
    let ids = world.stable(2);
    let described = describe(&mut world, vec![group()]).unwrap();
    let [only] = &described[..] else { panic!("{described:?}") };
    assert_eq!((only.error, only.state), (ErrorCode::None, GroupState::Stable));
    assert_eq!((only.protocol_type.as_str(), only.protocol.as_str()), ("consumer", "range"));
    assert_eq!(only.members.len(), 2);
    let member = only.members.iter().find(|member| member.member == ids[0]).unwrap();
    assert_eq!((member.client_id.as_str(), member.client_host.as_str()), ("client", "/127.0.0.1"));
    assert_eq!((&*member.metadata, &*member.assignment), (&*subscription(&["t"]), &b"mine"[..]));
}

#[test]
fn in_a_rebalance_members_are_shown_without_metadata() {
    let mut world = World::new();
    world.stable(1);
    world.enter(range());
    let described = describe(&mut world, vec![group()]).unwrap();
    assert_eq!(described[0].state, GroupState::PreparingRebalance);
    assert_eq!((described[0].members.len(), described[0].protocol.as_str()), (2, ""));
    assert!(described[0].members.iter().all(|member| member.metadata.is_empty()));
}

#[test]
fn empty_simple_and_dead_groups_are_told_apart() {
    let mut world = World::new();
    world.commit("", -1, &["t"]);
    let dead = GroupId::new("dead").unwrap();
    let described = describe(&mut world, vec![group(), dead]).unwrap();
    assert_eq!((described[0].state, described[0].error), (GroupState::Empty, ErrorCode::None));
    assert_eq!(described[1].state, GroupState::Dead);
    assert_eq!(described[1].error, ErrorCode::GroupIdNotFound);
    let ids = world.stable(1);
    world.leave(&[&ids[0]]);
    let described = describe(&mut world, vec![group()]).unwrap();
    assert_eq!(described[0].state, GroupState::Empty);
    assert_eq!(described[0].protocol_type.as_str(), "consumer");
}

#[test]
fn too_many_groups_are_refused() {
    let mut world = World::new();
    let many = vec![group(); crate::command::MAX_GROUPS_PER_REQUEST + 1];
    assert_eq!(describe(&mut world, many), Err(ErrorCode::InvalidRequest));
}
