//! SyncGroup.

use super::*;

#[test]
fn everybody_gets_what_the_leader_gave_it_once_that_is_stored() {
    let mut world = World::new();
    let (a, first) = world.enter(range());
    let (b, _) = world.enter(range());
    world.pass(6_000);
    let joined = world.join_reply(first).unwrap();
    let follower = if joined.leader == a { &b } else { &a };
    let waiting = world.sync(follower, 1, &[]);
    assert!(world.waits(waiting));
    let before = world.stored();
    let token = world.token();
    let decision = world.submit(Command::Sync(Sync {
        token,
        caller: world.caller(joined.leader.as_str()),
        generation: Generation(1),
        protocol_type: Some(text("consumer")),
        protocol: Some(text("range")),
        assignments: vec![(follower.clone(), bytes("theirs"))],
    }));
    assert_eq!(decision.replies.len(), 2);
    assert_eq!(&*world.sync_reply(waiting).unwrap().assignment, b"theirs");
    assert_eq!(&*world.sync_reply(token).unwrap().assignment, b"", "the leader left itself out");
    let stored = world.stored();
    assert_eq!((before.generation, stored.generation), (Generation(0), Generation(1)));
    assert_eq!((stored.leader, stored.members.len()), (Some(joined.leader), 2));
    assert_eq!(decision.events.len(), 1);
    assert_eq!(world.state(), GroupState::Stable);
}

#[test]
fn a_late_sync_gets_the_present_assignment() {
    let mut world = World::new();
    let ids = world.stable(2);
    let token = world.sync(&ids[1], 1, &[]);
    let synced = world.sync_reply(token).unwrap();
    assert_eq!(&*synced.assignment, b"mine");
    assert_eq!(synced.protocol, Some(text("range")));
}

#[test]
fn a_stranger_an_old_generation_and_another_protocol_are_refused() {
    let mut world = World::new();
    let ids = world.stable(1);
    let token = world.sync(&member_id("x"), 1, &[]);
    assert_eq!(world.sync_reply(token), Err(ErrorCode::UnknownMemberId));
    for generation in [0, 2, -1] {
        let token = world.sync(&ids[0], generation, &[]);
        assert_eq!(world.sync_reply(token), Err(ErrorCode::IllegalGeneration));
    }
    let sync = |world: &mut World| Sync {
        token: world.token(),
        caller: world.caller(ids[0].as_str()),
        generation: Generation(1),
        protocol_type: None,
        protocol: None,
        assignments: vec![],
    };
    let mut cases = vec![];
    for protocol in ["sticky", "range"] {
        let sync = Sync { protocol: Some(text(protocol)), ..sync(&mut world) };
        cases.push(sync.token);
        world.submit(Command::Sync(sync));
    }
    assert_eq!(world.sync_reply(cases[0]), Err(ErrorCode::InconsistentGroupProtocol));
    assert!(world.sync_reply(cases[1]).is_ok());
    let other = Sync { protocol_type: Some(text("connect")), ..sync(&mut world) };
    let token = other.token;
    world.submit(Command::Sync(other));
    assert_eq!(world.sync_reply(token), Err(ErrorCode::InconsistentGroupProtocol));
    let mut nameless = sync(&mut world);
    nameless.caller.group = GroupId::empty();
    let token = nameless.token;
    world.submit(Command::Sync(nameless));
    assert_eq!(world.sync_reply(token), Err(ErrorCode::InvalidGroupId));
}

#[test]
fn a_rebalance_sends_those_who_wait_back_to_join() {
    let mut world = World::new();
    let (a, first) = world.enter(range());
    let (b, _) = world.enter(range());
    world.pass(6_000);
    let leader = world.join_reply(first).unwrap().leader;
    let follower = if leader == a { &b } else { &a };
    let waiting = world.sync(follower, 1, &[]);
    world.enter(range());
    assert_eq!(world.sync_reply(waiting), Err(ErrorCode::RebalanceInProgress));
    let late = world.sync(&leader, 1, &[]);
    assert_eq!(world.sync_reply(late), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(world.stored().generation, Generation(0));
}

#[test]
fn an_assignment_that_is_too_large_to_store_is_refused_and_the_group_rebalances() {
    let mut world = World::new();
    world.settings.max_batch_bytes = 2_000;
    let (id, _) = world.enter(range());
    world.pass(3_000);
    let large = "x".repeat(2_000);
    let token = world.sync(&id, 1, &[(&id, &large)]);
    assert_eq!(world.sync_reply(token), Err(ErrorCode::UnknownServerError));
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    assert_eq!(world.stored().generation, Generation(0));
}
