//! A coordinator is loaded again from its log.

use super::*;

#[test]
fn every_member_has_a_full_session_and_goes_on_as_before() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.pass(9_000);
    world.reload();
    world.pass(9_000);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::None);
    let token = world.sync(&ids[1], 1, &[]);
    assert_eq!(&*world.sync_reply(token).unwrap().assignment, b"mine");
    assert!(committed(&world.commit(ids[0].as_str(), 1, &["t"])).is_ok());
    world.pass(1_000);
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_generation_that_was_not_stored_is_as_if_it_had_not_been() {
    let mut world = World::new();
    let ids = world.stable(1);
    let (new, _) = world.enter(range());
    let again = world.consumer(ids[0].as_str());
    world.join(again);
    assert_eq!(world.heartbeat(&new, 2), ErrorCode::None);
    world.reload();
    assert_eq!(world.heartbeat(&new, 2), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat(&ids[0], 2), ErrorCode::IllegalGeneration);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::None);
}

#[test]
fn a_static_member_that_came_back_is_known_by_its_new_id() {
    let mut world = World::new();
    let join = world.static_consumer("i");
    let (token, _) = world.join(join);
    world.pass(3_000);
    let old = world.join_reply(token).unwrap().member;
    world.sync(&old, 1, &[(&old, "mine")]);
    let back = world.static_consumer("i");
    let (token, _) = world.join(back);
    let new = world.join_reply(token).unwrap().member;
    world.reload();
    assert_eq!(world.heartbeat(&new, 1), ErrorCode::None);
    assert_eq!(world.heartbeat(&old, 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_group_that_is_larger_than_allowed_now_rebalances() {
    let mut world = World::new();
    let ids = world.stable(3);
    world.settings.group_max_size = 2;
    world.reload();
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    let tokens: Vec<Token> = ids
        .iter()
        .map(|id| {
            let again = world.consumer(id.as_str());
            world.join(again).0
        })
        .collect();
    assert_eq!(world.join_error(tokens[2]), ErrorCode::GroupMaxSizeReached);
    world.pass(60_000);
    assert_eq!(world.join_reply(tokens[0]).unwrap().generation, Generation(2));
}

#[test]
fn a_group_without_members_costs_nothing() {
    let mut world = World::new();
    world.commit("", -1, &["t"]);
    world.reload();
    assert_eq!(world.soft.next_deadline(), None);
    assert_eq!(world.soft.count_by_state(), BTreeMap::new());
}

#[test]
fn a_record_that_contradicts_itself_is_made_the_best_of() {
    let mut world = World::new();
    let ids = world.stable(1);
    let mut stored = world.stored();
    stored.leader = Some(member_id("nobody"));
    stored.protocol = None;
    let twin = stored.members[0].clone();
    stored.members.push(twin);
    let event = Event::GroupStored { group: group(), stored };
    world.durable.replay(&event, &mut Changes::default());
    world.reload();
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::None);
    let events = world.pass(10_000);
    assert_eq!(events.len(), 1);
    assert_eq!(world.state(), GroupState::Empty);
}
