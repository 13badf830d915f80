//! ListGroups: all groups in brief, page by page.
//!
//! Invariant: a page has at most [`MAX_GROUPS_PER_PAGE`] groups, and looks at no more than ten times as many.

use super::desk::Desk;
use crate::command::List;
use crate::durable::{Group, GroupType};
use crate::names::{GroupId, Text};
use crate::reply::{GroupState, ListedGroup, ListedGroups, Reply};
use crate::soft::Soft;

/// Most groups of one page.
pub const MAX_GROUPS_PER_PAGE: usize = 10_000;
/// Most groups that are looked at for one page.
const MAX_GROUPS_SEEN_PER_PAGE: usize = 10 * MAX_GROUPS_PER_PAGE;

pub(super) fn decide(desk: &mut Desk<'_>, soft: &Soft, list: &List) {
    let states = lower_case(&list.states);
    let types = lower_case(&list.types);
    let mut page = ListedGroups { groups: Vec::new(), next: None };
    for (seen, (id, group)) in desk.durable.groups_after(list.after.as_ref()).enumerate() {
        let listed = listed(soft, id, group);
        let state = listed.state.name().to_lowercase();
        if (states.is_empty() || states.contains(&state))
            && (types.is_empty() || types.iter().any(|name| name == listed.group_type.name()))
        {
            page.groups.push(listed);
        }
        if page.groups.len() == MAX_GROUPS_PER_PAGE || seen + 1 == MAX_GROUPS_SEEN_PER_PAGE {
            page.next = Some(id.clone());
            break;
        }
    }
    desk.reply(list.token, Reply::List(page));
}

fn lower_case(names: &[Text]) -> Vec<String> {
    names.iter().map(|name| name.as_str().trim().to_lowercase()).collect()
}

fn listed(soft: &Soft, id: &GroupId, group: &Group) -> ListedGroup {
    let Group::Classic(stored) = group;
    let live = soft.get(id);
    let protocol_type = live.map_or(&stored.protocol_type, |live| &live.protocol_type);
    ListedGroup {
        group: id.clone(),
        protocol_type: protocol_type.clone().unwrap_or_else(Text::empty),
        state: live.map_or(GroupState::Empty, |live| live.state()),
        group_type: GroupType::Classic,
    }
}
