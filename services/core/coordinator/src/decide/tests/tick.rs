//! Tick: sessions, phases, ids that nobody used.

use super::*;

#[test]
fn the_others_rebalance_when_the_session_of_one_ends() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.pass(6_000);
    world.heartbeat(&ids[0], 1);
    world.pass(6_000);
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_group_whose_sessions_all_end_is_empty() {
    let mut world = World::new();
    world.stable(3);
    let events = world.pass(10_000);
    let [Event::GroupStored { stored, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((stored.generation, stored.members.len()), (Generation(2), 0));
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn who_waits_for_a_rebalance_does_not_expire_but_a_new_member_does_in_the_end() {
    let mut world = World::new();
    let first = world.consumer("");
    let long = |join: Join| Join {
        rebalance_timeout_ms: 1_000_000,
        session_timeout_ms: 1_000_000,
        requires_member_id: false,
        ..join
    };
    let (first, _) = world.join(long(first));
    world.pass(3_000);
    let old = world.join_reply(first).unwrap().member;
    world.sync(&old, 1, &[]);
    let second = world.consumer("");
    let (second, _) = world.join(long(second));
    world.heartbeat(&old, 1);
    world.pass(u64::try_from(NEW_MEMBER_JOIN_TIMEOUT_MS).unwrap() - 1);
    assert!(world.waits(second));
    world.pass(1);
    assert_eq!(world.join_error(second), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_that_waits_for_the_leader_gets_a_new_session_with_its_answer() {
    let mut world = World::new();
    let (a, first) = world.enter(range());
    let (b, _) = world.enter(range());
    world.pass(6_000);
    let leader = world.join_reply(first).unwrap().leader;
    let follower = if leader == a { b } else { a };
    let waiting = world.sync(&follower, 1, &[]);
    for _ in 0..3 {
        world.pass(9_000);
        world.heartbeat(&leader, 1);
    }
    assert!(world.waits(waiting));
    world.sync(&leader, 1, &[]);
    world.pass(9_000);
    world.heartbeat(&leader, 1);
    assert_eq!(world.state(), GroupState::Stable);
    world.pass(1_000);
    assert_eq!(world.state(), GroupState::PreparingRebalance, "its session has ended by now");
}

#[test]
fn members_that_do_not_sync_in_time_are_out() {
    let mut world = World::new();
    let (a, first) = world.enter(range());
    let (b, _) = world.enter(range());
    world.pass(6_000);
    let leader = world.join_reply(first).unwrap().leader;
    let follower = if leader == a { b } else { a };
    world.sync(&leader, 1, &[]);
    for _ in 0..8 {
        world.pass(7_600);
        world.heartbeat(&leader, 1);
        world.heartbeat(&follower, 1);
    }
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    assert_eq!(world.heartbeat(&follower, 1), ErrorCode::UnknownMemberId);
    assert_eq!(world.heartbeat(&leader, 1), ErrorCode::RebalanceInProgress);
}

#[test]
fn an_id_that_nobody_uses_is_forgotten_with_its_session() {
    let mut world = World::new();
    let ids = world.stable(1);
    let ask = world.consumer("");
    let (ask, _) = world.join(ask);
    let pending = world.join_reply(ask).unwrap_err().member;
    let again = world.consumer(ids[0].as_str());
    let (token, _) = world.join(again);
    assert!(world.waits(token));
    world.pass(10_000);
    assert_eq!(world.join_reply(token).unwrap().members.len(), 1);
    let late = world.consumer(pending.as_str());
    let (late, _) = world.join(late);
    assert_eq!(world.join_error(late), ErrorCode::UnknownMemberId);
}

#[test]
fn one_tick_does_no_more_than_fits_into_a_batch_and_is_due_again() {
    let mut world = World::new();
    let groups: Vec<GroupId> = (0..8).map(|n| GroupId::new(format!("g{n}")).unwrap()).collect();
    for group in &groups {
        let mut join = world.consumer("");
        join.caller.group = group.clone();
        world.join(Join { requires_member_id: false, ..join });
    }
    world.settings.max_batch_bytes = 1_000;
    world.set_time(world.now.monotonic + Duration::from_secs(3_600));
    let mut ticks = 0;
    while world.soft.next_deadline().is_some_and(|at| at <= world.now.monotonic) {
        world.submit(Command::Tick);
        ticks += 1;
    }
    assert!(ticks > 1, "{ticks}");
}
