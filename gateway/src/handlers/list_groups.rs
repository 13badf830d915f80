//! ListGroups: the groups of the storage node that the client addressed, or on a bootstrap port of all.

use futures::{TryStreamExt, stream};
use ottla_coordinator::command::List;
use ottla_coordinator::reply::ListedGroup as Found;
use ottla_coordinator::{Command, Reply, Text};
use ottla_kafka_wire::messages::list_groups_request::ListGroupsRequest;
use ottla_kafka_wire::messages::list_groups_response::{ListGroupsResponse, ListedGroup};
use ottla_types::{ErrorCode, PartitionIndex};

use super::coordinators::{ANY_TOKEN, COMMANDS_AT_ONCE, Coordinators, not_the_answer};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct ListGroups;

impl Handle for ListGroups {
    type Request = ListGroupsRequest;

    async fn handle(call: Call, request: ListGroupsRequest) -> Answer {
        let coordinators = Coordinators::of(&call);
        let wanted = List {
            token: ANY_TOKEN,
            states: filter(&request.states_filter),
            types: filter(&request.types_filter),
            after: None,
        };
        let partitions = coordinators.all_meant();
        let questions: Vec<_> = partitions
            .into_iter()
            .map(|partition| Ok(groups_in(&call, &coordinators, partition, wanted.clone())))
            .collect();
        let listed = stream::iter(questions).try_buffered(COMMANDS_AT_ONCE).try_concat().await;
        let response = match listed {
            Ok(groups) => ListGroupsResponse {
                groups: groups.into_iter().map(group).collect(),
                ..Default::default()
            },
            Err(error) => ListGroupsResponse { error_code: error.code(), ..Default::default() },
        };
        call.answer(&response)
    }
}

/// The names of a filter. No state and no type has an empty name, nor one that is too long.
fn filter(names: &[String]) -> Vec<Text> {
    names.iter().map(|name| Text::new(name).unwrap_or_else(|_| Text::empty())).collect()
}

/// The groups in one partition, page after page.
async fn groups_in(
    call: &Call,
    coordinators: &Coordinators<'_>,
    partition: PartitionIndex,
    mut wanted: List,
) -> Result<Vec<Found>, ErrorCode> {
    let mut groups = Vec::new();
    loop {
        let page = match coordinators.ask(partition, Command::List(wanted.clone())).await {
            Ok(Reply::List(page)) => page,
            Ok(other) => return not_the_answer(other),
            // The node leads it no more: then its groups are told by another node.
            Err(ErrorCode::NotCoordinator) if call.peer.addressed.is_some() => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        groups.extend(page.groups);
        match page.next {
            Some(next) => wanted.after = Some(next),
            None => return Ok(groups),
        }
    }
}

fn group(found: Found) -> ListedGroup {
    ListedGroup {
        group_id: found.group.as_str().to_owned(),
        protocol_type: found.protocol_type.as_str().to_owned(),
        group_state: found.state.name().to_owned(),
        group_type: found.group_type.name().to_owned(),
    }
}
