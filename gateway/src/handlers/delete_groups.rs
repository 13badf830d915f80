//! DeleteGroups: groups without members go, with their offsets.

use std::collections::HashSet;

use ottla_coordinator::{Command, GroupId, Reply};
use ottla_kafka_wire::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_kafka_wire::messages::delete_groups_response::{
    DeletableGroupResult, DeleteGroupsResponse,
};
use ottla_types::ErrorCode;

use super::coordinators::{ANY_TOKEN, Coordinators, not_the_answer};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct DeleteGroups;

impl Handle for DeleteGroups {
    type Request = DeleteGroupsRequest;

    async fn handle(call: Call, request: DeleteGroupsRequest) -> Answer {
        // As in Kafka, a group that is named again is told once.
        let mut named = HashSet::with_capacity(request.groups_names.len());
        let ids = request.groups_names.iter().filter(|name| named.insert(name.as_str()));
        // The wire allows no name that is too long.
        let ids: Vec<GroupId> = ids.filter_map(|name| GroupId::new(name).ok()).collect();
        let deleted = Coordinators::of(&call).ask_about_each(&ids, question, answers).await;
        let results = ids.iter().zip(deleted).map(|(id, outcome)| DeletableGroupResult {
            group_id: id.as_str().to_owned(),
            error_code: outcome.unwrap_or_else(|error| error).code(),
        });
        call.answer(&DeleteGroupsResponse { results: results.collect(), ..Default::default() })
    }
}

fn question(groups: Vec<GroupId>) -> Command {
    Command::DeleteGroups { token: ANY_TOKEN, groups }
}

fn answers(reply: Reply) -> Result<Vec<ErrorCode>, ErrorCode> {
    match reply {
        Reply::DeleteGroups(outcome) => {
            outcome.map(|deleted| deleted.into_iter().map(|(_, code)| code).collect())
        }
        other => not_the_answer(other),
    }
}
