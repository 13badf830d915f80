//! ListGroups.

use super::*;
use crate::command::List;
use crate::reply::ListedGroups;

fn list(world: &mut World, states: &[&str], types: &[&str]) -> ListedGroups {
    page(world, states, types, None)
}

fn page(
    world: &mut World,
    states: &[&str],
    types: &[&str],
    after: Option<GroupId>,
) -> ListedGroups {
    let token = world.token();
    let texts = |names: &[&str]| names.iter().map(|name| text(name)).collect();
    let list = List { token, states: texts(states), types: texts(types), after };
    match &world.submit(Command::List(list)).replies[..] {
        [(_, Reply::List(groups))] => groups.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn groups_are_listed_by_state_and_type_in_any_case_of_letters() {
    let mut world = World::new();
    let mut simple = world.commit_of("", -1, &["t"]);
    simple.caller.group = GroupId::new("simple").unwrap();
    world.submit(Command::CommitOffsets(simple));
    world.stable(1);
    let names = |listed: ListedGroups| -> Vec<String> {
        listed.groups.iter().map(|listed| listed.group.to_string()).collect()
    };
    assert_eq!(names(list(&mut world, &[], &[])), ["g", "simple"]);
    assert_eq!(names(list(&mut world, &["sTABLE "], &[])), ["g"]);
    assert_eq!(names(list(&mut world, &["Empty"], &["CLASSIC"])), ["simple"]);
    assert_eq!(names(list(&mut world, &["stable", "empty"], &[])), ["g", "simple"]);
    assert_eq!(names(list(&mut world, &["nonsense"], &[])), [""; 0]);
    assert_eq!(names(list(&mut world, &[], &["consumer"])), [""; 0]);
    assert_eq!(names(list(&mut world, &[], &["nonsense"])), [""; 0]);
    let listed = list(&mut world, &[], &[]).groups;
    assert_eq!(listed[0].protocol_type.as_str(), "consumer");
    assert_eq!(listed[1].protocol_type.as_str(), "");
}

#[test]
fn pages_follow_each_other_until_all_groups_were_seen() {
    let mut world = World::new();
    for number in 0..=MAX_GROUPS_PER_PAGE {
        let event = Event::GroupStored {
            group: GroupId::new(format!("g{number:06}")).unwrap(),
            stored: StoredGroup::memberless(TimestampMs(0)),
        };
        world.durable.replay(&event, &mut Changes::default());
    }
    let first = page(&mut world, &[], &[], None);
    assert_eq!(first.groups.len(), MAX_GROUPS_PER_PAGE);
    assert_eq!(first.next.as_ref(), Some(&first.groups.last().unwrap().group));
    let second = page(&mut world, &[], &[], first.next);
    assert_eq!((second.groups.len(), second.next), (1, None));
}
