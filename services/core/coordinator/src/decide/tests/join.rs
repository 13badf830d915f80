//! JoinGroup of dynamic members.

use super::*;

#[test]
fn a_new_member_gets_an_id_first_and_the_group_comes_to_be() {
    let mut world = World::new();
    let ask = world.consumer("");
    let (token, decision) = world.join(ask);
    let refused = world.join_reply(token).unwrap_err();
    assert_eq!(refused.error, ErrorCode::MemberIdRequired);
    let id = refused.member.as_str();
    let uuid = id.strip_prefix("client-").unwrap();
    let parts: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    let stored = StoredGroup::memberless(world.now.wall);
    assert_eq!(decision.events, [Event::GroupStored { group: group(), stored }]);
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn an_old_client_joins_at_once() {
    let mut world = World::new();
    let join = world.consumer("");
    let (token, decision) = world.join(Join { requires_member_id: false, ..join });
    assert!(world.waits(token));
    assert_eq!(world.state(), GroupState::PreparingRebalance);
    assert_eq!(decision.events.len(), 1, "the group comes to be");
    world.pass(3_000);
    let joined = world.join_reply(token).unwrap();
    assert_eq!((joined.generation, &joined.leader), (Generation(1), &joined.member));
}

#[test]
fn the_first_rebalance_waits_for_others_and_longer_while_they_come() {
    let mut world = World::new();
    let (_, first) = world.enter(range());
    world.pass(2_900);
    let (_, second) = world.enter(range());
    world.pass(200);
    assert!(world.waits(first) && world.waits(second), "the second one made it go on");
    world.pass(2_900);
    let joined = world.join_reply(first).unwrap();
    let other = world.join_reply(second).unwrap();
    assert_eq!((joined.generation, other.generation), (Generation(1), Generation(1)));
    assert_eq!(joined.leader, joined.member);
    assert_eq!(joined.members.len(), 2);
    assert_eq!(other.members, []);
    assert_eq!(world.state(), GroupState::CompletingRebalance);
}

#[test]
fn the_first_rebalance_ends_with_the_longest_rebalance_timeout() {
    let mut world = World::new();
    let ask = world.consumer("");
    let short =
        |join: Join| Join { rebalance_timeout_ms: 7_000, requires_member_id: false, ..join };
    let (first, _) = world.join(short(ask));
    for _ in 0..4 {
        world.pass(1_900);
        let ask = world.consumer("");
        world.join(short(ask));
    }
    assert!(world.waits(first).then_some(()).is_none(), "3 + 3 + 1 s have passed");
}

#[test]
fn a_request_that_can_never_fit_is_refused_without_a_trace() {
    let mut world = World::new();
    let check = |world: &mut World, join: Join, error| {
        let (token, decision) = world.join(join);
        assert_eq!((world.join_error(token), decision.events.len()), (error, 0));
        assert_eq!(world.state(), GroupState::Dead);
    };
    let mut join = world.consumer("");
    join.caller.group = GroupId::empty();
    check(&mut world, join, ErrorCode::InvalidGroupId);
    for session_timeout_ms in [5_999, 1_800_001] {
        let join = world.consumer("");
        let join = Join { session_timeout_ms, ..join };
        check(&mut world, join, ErrorCode::InvalidSessionTimeout);
    }
    let join = world.consumer("");
    check(&mut world, Join { protocols: vec![], ..join }, ErrorCode::InconsistentGroupProtocol);
    let join = world.consumer("");
    let join = Join { protocol_type: Text::empty(), ..join };
    check(&mut world, join, ErrorCode::InconsistentGroupProtocol);
    let join = world.consumer("");
    let metadata = vec![0; MAX_MEMBER_METADATA_BYTES].into();
    let large = vec![Protocol { name: text("range"), metadata }];
    check(&mut world, Join { protocols: large, ..join }, ErrorCode::InvalidRequest);
    let join = world.consumer("unheard-of");
    check(&mut world, join, ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_without_a_protocol_in_common_is_refused() {
    let mut world = World::new();
    world.stable(2);
    let other = world.consumer("");
    let (token, _) = world.join(Join { protocols: protocols(&["sticky"]), ..other });
    assert_eq!(world.join_error(token), ErrorCode::InconsistentGroupProtocol);
    let other = world.consumer("");
    let (token, _) = world.join(Join { protocol_type: text("connect"), ..other });
    assert_eq!(world.join_error(token), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(world.state(), GroupState::Stable);
}

#[test]
fn the_protocol_with_the_most_votes_is_taken() {
    let mut world = World::new();
    let (_, first) = world.enter(protocols(&["range", "sticky", "mine"]));
    world.enter(protocols(&["sticky", "range"]));
    world.enter(protocols(&["yours", "sticky", "range"]));
    world.pass(60_000);
    assert_eq!(world.join_reply(first).unwrap().protocol, Some(text("sticky")));
}

#[test]
fn a_new_member_makes_all_others_join_again() {
    let mut world = World::new();
    let ids = world.stable(2);
    let (new, token) = world.enter(range());
    assert!(world.waits(token));
    assert_eq!(world.heartbeat(&ids[0], 1), ErrorCode::RebalanceInProgress);
    let mut tokens = vec![token];
    for id in &ids {
        let join = world.consumer(id.as_str());
        tokens.push(world.join(join).0);
    }
    for token in tokens {
        let joined = world.join_reply(token).unwrap();
        assert_eq!((joined.generation, &joined.leader), (Generation(2), &ids[0]));
    }
    assert_eq!(world.heartbeat(&new, 2), ErrorCode::None);
    assert_eq!(world.stored().generation, Generation(1), "stored when the leader has assigned");
}

#[test]
fn a_dynamic_member_that_does_not_join_again_is_out() {
    let mut world = World::new();
    let ids = world.stable(2);
    let (_, token) = world.enter(range());
    for _ in 0..15 {
        world.pass(4_000);
        world.heartbeat(&ids[0], 1);
        world.heartbeat(&ids[1], 1);
    }
    let joined = world.join_reply(token).unwrap();
    assert_eq!(joined.leader, joined.member, "the leader was among those who did not come");
    assert_eq!(joined.members.len(), 1);
    assert_eq!(world.heartbeat(&ids[1], 1), ErrorCode::UnknownMemberId);
}

#[test]
fn a_follower_that_joins_unchanged_hears_of_the_present_generation() {
    let mut world = World::new();
    let ids = world.stable(2);
    let again = world.consumer(ids[1].as_str());
    let (token, _) = world.join(again);
    let joined = world.join_reply(token).unwrap();
    assert_eq!((joined.generation, joined.members), (Generation(1), vec![]));
    assert_eq!(world.state(), GroupState::Stable);
}

#[test]
fn a_leader_that_joins_again_rebalances_and_so_does_changed_metadata() {
    for changed in [false, true] {
        let mut world = World::new();
        let ids = world.stable(2);
        let again = world.consumer(ids[usize::from(changed)].as_str());
        let metadata = if changed { subscription(&["other"]) } else { subscription(&["t"]) };
        let protocols = vec![Protocol { name: text("range"), metadata }];
        let (token, _) = world.join(Join { protocols, ..again });
        assert!(world.waits(token));
        assert_eq!(world.state(), GroupState::PreparingRebalance);
    }
}

#[test]
fn a_member_that_missed_its_answer_gets_it_again_while_the_leader_assigns() {
    let mut world = World::new();
    let (id, first) = world.enter(range());
    world.pass(3_000);
    let again = world.consumer(id.as_str());
    let (token, _) = world.join(again);
    assert_eq!(world.join_reply(token), world.join_reply(first));
    assert_eq!(world.state(), GroupState::CompletingRebalance);
}

#[test]
fn the_newer_of_two_joins_of_a_member_waits() {
    let mut world = World::new();
    let ids = world.stable(2);
    let first = world.consumer(ids[0].as_str());
    let (first, _) = world.join(first);
    let second = world.consumer(ids[0].as_str());
    let (second, _) = world.join(second);
    assert_eq!(world.join_error(first), ErrorCode::RebalanceInProgress);
    assert!(world.waits(second));
    assert_eq!(world.soft.waiting(), 1);
}

#[test]
fn a_full_group_refuses_others_but_not_its_members() {
    let mut world = World::new();
    let ids = world.stable(2);
    world.settings.group_max_size = 2;
    let other = world.consumer("");
    let (token, _) = world.join(other);
    let refused = world.join_reply(token).unwrap_err();
    let full = JoinRefused { error: ErrorCode::GroupMaxSizeReached, member: MemberId::empty() };
    assert_eq!(refused, full);
    let again = world.consumer(ids[1].as_str());
    let (token, _) = world.join(again);
    assert!(world.join_reply(token).is_ok());
}

#[test]
fn ids_that_nobody_uses_are_bounded() {
    let mut world = World::new();
    world.settings.group_max_size = 3;
    for _ in 0..3 {
        let ask = world.consumer("");
        let (token, _) = world.join(ask);
        assert_eq!(world.join_error(token), ErrorCode::MemberIdRequired);
    }
    let ask = world.consumer("");
    let (token, _) = world.join(ask);
    assert_eq!(world.join_error(token), ErrorCode::GroupMaxSizeReached);
}

#[test]
fn a_pending_member_holds_the_generation_up_until_it_joins() {
    let mut world = World::new();
    let ids = world.stable(1);
    let ask = world.consumer("");
    let (ask, _) = world.join(ask);
    let pending = world.join_reply(ask).unwrap_err().member;
    let again = world.consumer(ids[0].as_str());
    let (token, _) = world.join(again);
    assert!(world.waits(token));
    let late = world.consumer(pending.as_str());
    let (late, _) = world.join(late);
    assert_eq!(world.join_reply(token).unwrap().members.len(), 2);
    assert!(world.join_reply(late).is_ok());
}
