//! LeaveGroup.

use super::*;
use crate::reply::Left;

fn codes(decision: &Decision) -> Vec<ErrorCode> {
    let left = decision.replies.iter().find_map(|(_, reply)| match reply {
        Reply::Leave(left) => Some(left),
        _ => None,
    });
    left.unwrap().as_ref().unwrap().iter().map(|left: &Left| left.error).collect()
}

#[test]
fn the_others_rebalance_when_one_leaves() {
    let mut world = World::new();
    let ids = world.stable(3);
    let decision = world.leave(&[&ids[0], &member_id("x")]);
    assert_eq!(codes(&decision), [ErrorCode::None, ErrorCode::UnknownMemberId]);
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn the_last_one_that_leaves_leaves_an_empty_group_behind() {
    let mut world = World::new();
    let ids = world.stable(2);
    let decision = world.leave(&[&ids[0], &ids[1]]);
    assert_eq!(codes(&decision), [ErrorCode::None, ErrorCode::None]);
    assert_eq!(world.state(), GroupState::Empty);
    let stored = world.stored();
    assert_eq!((stored.generation, stored.members), (Generation(2), vec![]));
    assert_eq!((stored.protocol, stored.leader), (None, None));
    assert_eq!(stored.protocol_type, Some(text("consumer")));
    assert_eq!(stored.state_timestamp, world.now.wall);
    assert_eq!(world.soft.waiting(), 0);
    assert_eq!(world.soft.next_deadline(), None, "a group without members costs nothing");
}

#[test]
fn a_member_that_leaves_while_it_waits_is_answered() {
    let mut world = World::new();
    let ids = world.stable(2);
    let again = world.consumer(ids[0].as_str());
    let (join, _) = world.join(again);
    world.leave(&[&ids[0]]);
    let refused = world.join_reply(join).unwrap_err();
    let gone = JoinRefused { error: ErrorCode::UnknownMemberId, member: MemberId::empty() };
    assert_eq!(refused, gone);

    let mut world = World::new();
    let (a, first) = world.enter(range());
    let (b, _) = world.enter(range());
    world.pass(6_000);
    let leader = world.join_reply(first).unwrap().leader;
    let follower = if leader == a { &b } else { &a };
    let waiting = world.sync(follower, 1, &[]);
    world.leave(&[follower]);
    assert_eq!(world.sync_reply(waiting), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn a_pending_member_may_leave_and_the_generation_begins_without_it() {
    let mut world = World::new();
    let ids = world.stable(1);
    let ask = world.consumer("");
    let (ask, _) = world.join(ask);
    let pending = world.join_reply(ask).unwrap_err().member;
    let again = world.consumer(ids[0].as_str());
    let (token, _) = world.join(again);
    assert_eq!(codes(&world.leave(&[&pending])), [ErrorCode::None]);
    assert_eq!(world.join_reply(token).unwrap().members.len(), 1);
}

#[test]
fn an_administrator_removes_static_members_by_their_instance_ids() {
    let mut world = World::new();
    let join = world.static_consumer("i");
    let (token, _) = world.join(join);
    world.pass(3_000);
    let id = world.join_reply(token).unwrap().member;
    let leaving = |instance: &str| LeavingMember {
        member: MemberId::empty(),
        instance: Some(InstanceId::new(instance).unwrap()),
        reason: None,
    };
    let members = vec![leaving("x"), leaving("i")];
    let token = world.token();
    let decision = world.submit(Command::Leave(Leave { token, group: group(), members }));
    assert_eq!(codes(&decision), [ErrorCode::UnknownMemberId, ErrorCode::None]);
    assert_eq!(world.heartbeat(&id, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn an_instance_id_of_another_member_is_fenced() {
    let mut world = World::new();
    let join = world.static_consumer("i");
    world.join(join);
    world.pass(3_000);
    let instance = Some(InstanceId::new("i").unwrap());
    let members = vec![LeavingMember { member: member_id("old"), instance, reason: None }];
    let token = world.token();
    let decision = world.submit(Command::Leave(Leave { token, group: group(), members }));
    assert_eq!(codes(&decision), [ErrorCode::FencedInstanceId]);
}

#[test]
fn nobody_leaves_a_group_that_does_not_exist() {
    let mut world = World::new();
    assert_eq!(codes(&world.leave(&[&member_id("x")])), [ErrorCode::UnknownMemberId]);
    let token = world.token();
    let leave = Leave { token, group: GroupId::empty(), members: vec![] };
    let decision = world.submit(Command::Leave(leave));
    assert_eq!(decision.replies, [(token, Reply::Leave(Err(ErrorCode::InvalidGroupId)))]);
}
