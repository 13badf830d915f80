//! JoinGroup of static members (KIP-345, KIP-814).

use super::*;

/// A stable group of static members `i0`, `i1`, …; the first leads. Their ids.
fn stable(world: &mut World, count: usize) -> Vec<MemberId> {
    let tokens: Vec<Token> = (0..count)
        .map(|at| {
            let join = world.static_consumer(&format!("i{at}"));
            world.join(join).0
        })
        .collect();
    world.pass(6_000);
    let ids: Vec<_> = tokens.iter().map(|token| world.join_reply(*token).unwrap().member).collect();
    let assigned: Vec<_> = ids.iter().map(|id| (id, "mine")).collect();
    assert_eq!(world.join_reply(tokens[0]).unwrap().leader, ids[0]);
    world.sync(&ids[0], 1, &assigned);
    for id in &ids[1..] {
        world.sync(id, 1, &[]);
    }
    assert_eq!(world.state(), GroupState::Stable);
    ids
}

fn as_instance(world: &World, id: &MemberId, instance: &str) -> Caller {
    let mut caller = world.caller(id.as_str());
    caller.instance = Some(InstanceId::new(instance).unwrap());
    caller
}

#[test]
fn a_static_member_joins_at_once_under_its_instance_id() {
    let mut world = World::new();
    let ids = stable(&mut world, 1);
    assert!(ids[0].as_str().starts_with("i0-"));
    let stored = world.stored();
    assert_eq!(stored.members[0].instance, Some(InstanceId::new("i0").unwrap()));
}

#[test]
fn a_static_follower_that_comes_back_gets_a_new_id_without_a_rebalance() {
    let mut world = World::new();
    let ids = stable(&mut world, 2);
    let back = world.static_consumer("i1");
    let (token, decision) = world.join(back);
    let joined = world.join_reply(token).unwrap();
    assert_ne!(joined.member, ids[1]);
    assert_eq!((joined.generation, &joined.leader), (Generation(1), &ids[0]));
    assert!(!joined.skip_assignment);
    assert_eq!(decision.events.len(), 1, "the new id is stored");
    assert!(world.stored().members.iter().any(|member| member.id == joined.member));
    assert_eq!(world.state(), GroupState::Stable);
    let old = as_instance(&world, &ids[1], "i1");
    assert_eq!(world.heartbeat_of(old, 1), ErrorCode::FencedInstanceId);
    let new = as_instance(&world, &joined.member, "i1");
    assert_eq!(world.heartbeat_of(new, 1), ErrorCode::None);
    let sync = world.sync(&joined.member, 1, &[]);
    assert_eq!(&*world.sync_reply(sync).unwrap().assignment, b"mine");
}

#[test]
fn a_static_leader_that_comes_back_is_told_not_to_assign() {
    let mut world = World::new();
    stable(&mut world, 2);
    let back = world.static_consumer("i0");
    let (token, _) = world.join(back);
    let joined = world.join_reply(token).unwrap();
    assert_eq!(joined.leader, joined.member);
    assert!(joined.skip_assignment);
    assert_eq!(joined.members.len(), 2);
    assert_eq!(world.stored().leader, Some(joined.member));
}

#[test]
fn an_old_static_leader_is_told_that_its_former_self_leads() {
    let mut world = World::new();
    let ids = stable(&mut world, 2);
    let back = world.static_consumer("i0");
    let (token, _) = world.join(Join { may_skip_assignment: false, ..back });
    let joined = world.join_reply(token).unwrap();
    assert_eq!((&joined.leader, joined.members.len()), (&ids[0], 0));
    assert!(!joined.skip_assignment);
}

#[test]
fn a_static_member_that_changes_the_protocol_rebalances() {
    let mut world = World::new();
    let both = protocols(&["range", "sticky"]);
    let join = world.static_consumer("i0");
    let (token, _) = world.join(Join { protocols: both, ..join });
    world.pass(3_000);
    let id = world.join_reply(token).unwrap().member;
    world.sync(&id, 1, &[]);
    let back = world.static_consumer("i0");
    let (token, _) = world.join(Join { protocols: protocols(&["sticky"]), ..back });
    let joined = world.join_reply(token).unwrap();
    assert_eq!((joined.generation, joined.protocol), (Generation(2), Some(text("sticky"))));
    assert_eq!(world.state(), GroupState::CompletingRebalance);
}

#[test]
fn what_the_former_self_waits_for_is_fenced() {
    let mut world = World::new();
    let first = world.static_consumer("i0");
    let (first, _) = world.join(first);
    let second = world.static_consumer("i0");
    let (second, _) = world.join(second);
    assert_eq!(world.join_error(first), ErrorCode::FencedInstanceId);
    world.pass(3_000);
    let leader = world.join_reply(second).unwrap().member;
    let other = world.static_consumer("i1");
    world.join(other);
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    let again = world.consumer(leader.as_str());
    let (again, _) = world.join(again);
    let waiting = world.sync(&world.join_reply(again).unwrap().member, 2, &[]);
    assert!(world.sync_reply(waiting).is_ok());
}

#[test]
fn a_static_member_that_comes_back_while_the_leader_assigns_rebalances() {
    let mut world = World::new();
    let leader = world.static_consumer("i0");
    let (leader, _) = world.join(leader);
    let follower = world.static_consumer("i1");
    let (follower, _) = world.join(follower);
    world.pass(6_000);
    let follower = world.join_reply(follower).unwrap().member;
    let waiting = world.sync(&follower, 1, &[]);
    let back = world.static_consumer("i1");
    let (back, _) = world.join(back);
    assert_eq!(world.sync_reply(waiting), Err(ErrorCode::FencedInstanceId));
    assert!(world.waits(back));
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    let leader = world.join_reply(leader).unwrap().member;
    let again = world.consumer(leader.as_str());
    world.join(again);
    assert_eq!(world.join_reply(back).unwrap().generation, Generation(2));
}

#[test]
fn a_static_member_that_is_away_stays_in_the_next_generation_until_it_does_not_sync() {
    let mut world = World::new();
    let ids = stable(&mut world, 2);
    let again = world.consumer(ids[0].as_str());
    let long = Join { session_timeout_ms: 1_000_000, ..again };
    let (token, _) = world.join(long);
    for _ in 0..7 {
        world.pass(8_700);
        let caller = as_instance(&world, &ids[1], "i1");
        world.heartbeat_of(caller, 1);
    }
    let joined = world.join_reply(token).unwrap();
    assert_eq!((joined.generation, joined.members.len()), (Generation(2), 2));
}

#[test]
fn one_that_joined_leads_where_the_static_leader_is_away() {
    let mut world = World::new();
    let ids = stable(&mut world, 2);
    let mut changed = world.static_consumer("i1");
    changed.caller.member = ids[1].clone();
    changed.protocols[0].metadata = subscription(&["u"]);
    let (token, _) = world.join(changed);
    assert!(world.waits(token));
    for _ in 0..7 {
        world.pass(8_700);
        let caller = as_instance(&world, &ids[0], "i0");
        world.heartbeat_of(caller, 1);
    }
    let joined = world.join_reply(token).unwrap();
    assert_eq!((&joined.leader, joined.members.len()), (&ids[1], 2));
}

#[test]
fn static_members_that_are_all_away_hold_the_generation() {
    let mut world = World::new();
    let ids = stable(&mut world, 1);
    let (dynamic, _) = world.enter(range());
    world.leave(&[&dynamic]);
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    for _ in 0..20 {
        world.pass(8_000);
        let caller = as_instance(&world, &ids[0], "i0");
        assert_eq!(world.heartbeat_of(caller, 1), ErrorCode::RebalanceInProgress);
    }
    world.pass(10_000);
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn an_unknown_instance_and_a_fenced_one_are_told_apart() {
    let mut world = World::new();
    let ids = stable(&mut world, 1);
    let unknown = as_instance(&world, &ids[0], "x");
    assert_eq!(world.heartbeat_of(unknown, 1), ErrorCode::UnknownMemberId);
    let mut join = world.static_consumer("i0");
    join.caller.member = member_id("stranger");
    let (token, _) = world.join(join);
    assert_eq!(world.join_error(token), ErrorCode::FencedInstanceId);
}
