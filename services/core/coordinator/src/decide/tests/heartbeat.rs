//! Heartbeat.

use super::*;

#[test]
fn a_member_lives_on_by_its_heartbeats() {
    let mut world = World::new();
    let ids = world.stable(1);
    for _ in 0..5 {
        world.pass(9_000);
        assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::None);
    }
    world.pass(10_000);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn who_is_not_of_this_generation_is_told_so() {
    let mut world = World::new();
    let mut nameless = world.caller("");
    nameless.group = GroupId::empty();
    assert_eq!(world.heartbeat_of(nameless, 1), ErrorCode::InvalidGroupId);
    assert_eq!(world.heartbeat(&member_id("x"), 1), ErrorCode::UnknownMemberId);
    let ids = world.stable(1);
    assert_eq!(world.heartbeat(&member_id("x"), 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat(&ids[0], 0), ErrorCode::IllegalGeneration);
    assert_eq!(world.heartbeat(&ids[0], 2), ErrorCode::IllegalGeneration);
}

#[test]
fn a_heartbeat_counts_while_the_leader_assigns() {
    let mut world = World::new();
    let (id, _) = world.enter(range());
    world.pass(3_000);
    assert_eq!(world.state(), GroupState::CompletingRebalance);
    assert_eq!(world.heartbeat(&id, 1), ErrorCode::None);
}
