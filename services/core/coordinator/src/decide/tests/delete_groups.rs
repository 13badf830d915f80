//! DeleteGroups.

use super::*;

fn delete(world: &mut World, groups: Vec<GroupId>) -> (Vec<ErrorCode>, Vec<Event>) {
    let token = world.token();
    let decision = world.submit(Command::DeleteGroups { token, groups });
    match &decision.replies[..] {
        [(_, Reply::DeleteGroups(Ok(codes)))] => {
            (codes.iter().map(|(_, code)| *code).collect(), decision.events)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_group_without_members_goes_with_its_offsets() {
    let mut world = World::new();
    world.commit("", -1, &["a", "b"]);
    let (codes, events) = delete(&mut world, vec![group(), group()]);
    assert_eq!(codes, [ErrorCode::None, ErrorCode::None]);
    assert_eq!(events.len(), 3);
    assert_eq!(events[2], Event::GroupRemoved { group: group() });
    assert_eq!(world.durable, Durable::default());
}

#[test]
fn a_group_with_members_stays_and_one_that_does_not_exist_is_not_found() {
    let mut world = World::new();
    world.stable(1);
    let dead = GroupId::new("dead").unwrap();
    let (codes, events) = delete(&mut world, vec![group(), dead]);
    assert_eq!(codes, [ErrorCode::NonEmptyGroup, ErrorCode::GroupIdNotFound]);
    assert_eq!(events, []);
}

#[test]
fn ids_that_nobody_used_go_with_their_group() {
    let mut world = World::new();
    let ask = world.consumer("");
    let (ask, _) = world.join(ask);
    let pending = world.join_reply(ask).unwrap_err().member;
    assert_eq!(delete(&mut world, vec![group()]).0, [ErrorCode::None]);
    let late = world.consumer(pending.as_str());
    let (late, _) = world.join(late);
    assert_eq!(world.join_error(late), ErrorCode::UnknownMemberId);
    assert_eq!(world.soft.next_deadline(), None);
}

#[test]
fn a_group_that_does_not_fit_into_the_batch_stays_as_a_whole() {
    let mut world = World::new();
    world.commit("", -1, &["a", "b"]);
    world.settings.max_batch_bytes = 400;
    let (codes, events) = delete(&mut world, vec![group()]);
    assert_eq!((codes, events), (vec![ErrorCode::UnknownServerError], vec![]));
    assert_eq!(world.durable.offset_count(), 2);
}
