//! Retention of offsets (KIP-211).

use super::*;

const RETENTION_MS: i64 = 10_080 * 60_000;

fn expire(world: &mut World) -> Vec<Event> {
    let mut events = Vec::new();
    let mut next = Some(Command::Expire { after: None });
    while let Some(command) = next {
        let decision = world.submit(command);
        events.extend(decision.events);
        next = decision.next;
    }
    events
}

/// Lets the clock on the wall run, while sessions stand still.
fn wait(world: &mut World, ms: i64) {
    world.now.wall = world.now.wall.plus_ms(ms);
}

#[test]
fn offsets_of_a_simple_group_expire_after_their_commit_and_the_group_with_the_last() {
    let mut world = World::new();
    world.commit("", -1, &["a"]);
    wait(&mut world, 1_000);
    world.commit("", -1, &["b"]);
    wait(&mut world, RETENTION_MS - 1_001);
    assert_eq!(expire(&mut world), []);
    wait(&mut world, 1);
    expire(&mut world);
    assert!(!world.has_offset("a") && world.has_offset("b"));
    assert_eq!(world.state(), GroupState::Empty);
    wait(&mut world, 1_000);
    let events = expire(&mut world);
    assert_eq!(events.last(), Some(&Event::GroupRemoved { group: group() }));
    assert_eq!(world.durable, Durable::default());
}

#[test]
fn offsets_of_a_group_that_became_empty_expire_after_that() {
    let mut world = World::new();
    let ids = world.stable(1);
    world.commit(ids[0].as_str(), 1, &["t"]);
    wait(&mut world, RETENTION_MS * 2);
    world.leave(&[&ids[0]]);
    wait(&mut world, RETENTION_MS - 1);
    assert_eq!(expire(&mut world), []);
    wait(&mut world, 1);
    assert_eq!(expire(&mut world).len(), 2);
    assert_eq!(world.durable, Durable::default());
}

#[test]
fn in_a_stable_group_only_offsets_that_nobody_reads_on_from_expire() {
    let mut world = World::new();
    world.commit("", -1, &["t", "u"]);
    world.stable(1);
    wait(&mut world, RETENTION_MS);
    expire(&mut world);
    assert!(world.has_offset("t") && !world.has_offset("u"));
    assert_eq!(world.state(), GroupState::Stable);
}

#[test]
fn nothing_expires_in_a_rebalance_nor_where_subscriptions_are_not_known() {
    let mut world = World::new();
    world.commit("", -1, &["u"]);
    world.stable(1);
    world.enter(range());
    wait(&mut world, RETENTION_MS);
    assert_eq!(expire(&mut world), []);

    let mut world = World::new();
    world.commit("", -1, &["u"]);
    let join = world.consumer("");
    let connect = Join { protocol_type: text("connect"), requires_member_id: false, ..join };
    let (token, _) = world.join(connect);
    world.pass(3_000);
    let id = world.join_reply(token).unwrap().member;
    let sync = Sync {
        token: world.token(),
        caller: world.caller(id.as_str()),
        generation: Generation(1),
        protocol_type: None,
        protocol: None,
        assignments: vec![],
    };
    world.submit(Command::Sync(sync));
    assert_eq!(world.state(), GroupState::Stable);
    wait(&mut world, RETENTION_MS);
    assert_eq!(expire(&mut world), []);
}

#[test]
fn a_retention_of_its_own_counts_before_all_others() {
    let mut world = World::new();
    let commit = world.commit_of("", -1, &["short"]);
    world.submit(Command::CommitOffsets(CommitOffsets { retention_ms: 1_000, ..commit }));
    let commit = world.commit_of("", -1, &["long"]);
    let retention_ms = RETENTION_MS * 3;
    world.submit(Command::CommitOffsets(CommitOffsets { retention_ms, ..commit }));
    wait(&mut world, 1_000);
    expire(&mut world);
    assert!(!world.has_offset("short"));
    wait(&mut world, RETENTION_MS);
    assert_eq!(expire(&mut world), []);
}

#[test]
fn a_group_without_members_and_offsets_goes_at_once() {
    let mut world = World::new();
    let ids = world.stable(1);
    assert_eq!(expire(&mut world), []);
    world.leave(&[&ids[0]]);
    assert_eq!(expire(&mut world), [Event::GroupRemoved { group: group() }]);
}

#[test]
fn what_does_not_fit_into_one_batch_expires_in_several() {
    let mut world = World::new();
    for number in 0..40 {
        let mut commit = world.commit_of("", -1, &["a", "b", "c", "d", "e", "f"]);
        commit.caller.group = GroupId::new(format!("g{number}")).unwrap();
        world.submit(Command::CommitOffsets(commit));
    }
    world.settings.max_batch_bytes = 1_500;
    wait(&mut world, RETENTION_MS);
    assert_eq!(expire(&mut world).len(), 40 * 7);
    assert_eq!(world.durable, Durable::default());
}
