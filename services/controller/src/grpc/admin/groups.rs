//! `GroupService`: consumer groups, as the coordinators of storage nodes tell them.
//!
//! Invariant: what is told of a group comes from its coordinator at the time of the call; nothing of it is kept here.

mod coordinators;
mod log_offsets;
mod offsets;
mod plan;
mod reset;
#[cfg(test)]
mod tests;
mod values;
mod watching;

use futures::stream::{self, StreamExt as _};
use ottla_coordinator::command::List;
use ottla_coordinator::reply::{DescribedGroup, ListedGroup};
use ottla_coordinator::{Command, GroupId, Reply};
use ottla_proto::admin::v1 as wire;
use ottla_proto::admin::v1::group_service_server::GroupService;
use ottla_types::ErrorCode;
use tonic::{Request, Response, Status};
use tracing::Span;

use super::errors::AdminError;
use super::watches::Watched;
use super::{AdminServices, pages, respond, span};
use coordinators::{ANY_TOKEN, Coordinators, Place};
use watching::{GroupWatch, OffsetWatch};

/// Coordinators that are asked at a time for one list.
const COORDINATORS_AT_ONCE: usize = 16;

#[tonic::async_trait]
impl GroupService for AdminServices {
    type WatchGroupsStream = Watched<wire::WatchGroupsResponse>;
    type WatchGroupOffsetsStream = Watched<wire::WatchGroupOffsetsResponse>;

    async fn list_groups(
        &self,
        request: Request<wire::ListGroupsRequest>,
    ) -> Result<Response<wire::ListGroupsResponse>, Status> {
        let span = span("ListGroups", &request);
        respond(self.list_groups_page(span, request.into_inner()).await)
    }

    async fn get_group(
        &self,
        request: Request<wire::GetGroupRequest>,
    ) -> Result<Response<wire::GetGroupResponse>, Status> {
        let span = span("GetGroup", &request);
        respond(self.group(span, request.into_inner()).await)
    }

    async fn list_group_offsets(
        &self,
        request: Request<wire::ListGroupOffsetsRequest>,
    ) -> Result<Response<wire::ListGroupOffsetsResponse>, Status> {
        let span = span("ListGroupOffsets", &request);
        respond(self.group_offsets(span, request.into_inner()).await)
    }

    async fn reset_group_offsets(
        &self,
        request: Request<wire::ResetGroupOffsetsRequest>,
    ) -> Result<Response<wire::ResetGroupOffsetsResponse>, Status> {
        let span = span("ResetGroupOffsets", &request);
        respond(self.reset_group(span, request.into_inner()).await)
    }

    async fn watch_groups(
        &self,
        request: Request<wire::WatchGroupsRequest>,
    ) -> Result<Response<Self::WatchGroupsStream>, Status> {
        let watch = GroupWatch::new(self, request.into_inner());
        respond(watch.and_then(|watch| self.watches.watch(watch)))
    }

    async fn watch_group_offsets(
        &self,
        request: Request<wire::WatchGroupOffsetsRequest>,
    ) -> Result<Response<Self::WatchGroupOffsetsStream>, Status> {
        let watch = OffsetWatch::new(self, request.into_inner());
        respond(watch.and_then(|watch| self.watches.watch(watch)))
    }

    async fn delete_group(
        &self,
        request: Request<wire::DeleteGroupRequest>,
    ) -> Result<Response<wire::DeleteGroupResponse>, Status> {
        let span = span("DeleteGroup", &request);
        respond(self.remove_group(span, request.into_inner()).await)
    }
}

impl AdminServices {
    /// A page of groups: coordinator after coordinator, until the page is full.
    pub(super) async fn list_groups_page(
        &self,
        span: Span,
        request: wire::ListGroupsRequest,
    ) -> Result<wire::ListGroupsResponse, AdminError> {
        let size = pages::size(request.page_size)?;
        let after = values::group_token(&request.page_token)?;
        let states = values::state_names(&request.states)?;
        let coordinators = Coordinators::of(self, span);
        let mut response =
            wire::ListGroupsResponse { request_id: request.request_id, ..Default::default() };
        let begun = after.as_ref().map(|(partition, _)| *partition);
        let places = coordinators.places().into_iter().filter(|at| Some(at.partition) >= begun);
        let questions = places.map(|place| {
            let behind = after.clone().filter(|(partition, _)| *partition == place.partition);
            let (states, coordinators) = (states.clone(), &coordinators);
            let wanted = (request.id_prefix.as_str(), size);
            let list =
                List { token: ANY_TOKEN, states, types: vec![], after: behind.map(|(_, id)| id) };
            async move { (place, groups_at(coordinators, place, list, wanted).await) }
        });
        let mut answers = stream::iter(questions).buffered(COORDINATORS_AT_ONCE);
        let mut found = Vec::new();
        while let Some((place, listed)) = answers.next().await {
            match listed {
                Ok(groups) => {
                    found.extend(groups.iter().map(|listed| values::group(listed, place)));
                }
                Err(()) => response.unavailable_partitions.push(place.partition.0),
            }
            if found.len() > size {
                break;
            }
        }
        response.next_page_token = pages::cut(&mut found, size, |last| {
            format!("{}:{}", last.coordinator_partition, last.id)
        });
        response.groups = found;
        Ok(response)
    }

    async fn group(
        &self,
        span: Span,
        request: wire::GetGroupRequest,
    ) -> Result<wire::GetGroupResponse, AdminError> {
        let group = values::group_id(&request.id)?;
        let coordinators = Coordinators::of(self, span);
        let described = describe(&coordinators, &group).await?;
        let missing = || AdminError::of_group(group.as_str(), ErrorCode::GroupIdNotFound);
        let described = described.ok_or_else(missing)?;
        let place = coordinators.place(&group).ok_or_else(missing)?;
        Ok(wire::GetGroupResponse {
            request_id: request.request_id,
            group: Some(values::described(&described, place)),
            protocol: described.protocol.as_str().to_owned(),
            members: described.members.iter().map(values::member).collect(),
        })
    }

    async fn remove_group(
        &self,
        span: Span,
        request: wire::DeleteGroupRequest,
    ) -> Result<wire::DeleteGroupResponse, AdminError> {
        let group = values::group_id(&request.id)?;
        let refused = |code| AdminError::of_group(group.as_str(), code);
        let coordinators = Coordinators::of(self, span);
        if coordinators.place(&group).is_none() {
            return Err(refused(ErrorCode::GroupIdNotFound));
        }
        let command = Command::DeleteGroups { token: ANY_TOKEN, groups: vec![group.clone()] };
        let code = match coordinators.ask_about(&group, command).await? {
            Reply::DeleteGroups(Ok(codes)) => codes.first().map_or(ErrorCode::None, |one| one.1),
            Reply::DeleteGroups(Err(code)) => code,
            _ => ErrorCode::UnknownServerError,
        };
        match code {
            ErrorCode::None => Ok(wire::DeleteGroupResponse { request_id: request.request_id }),
            code => Err(refused(code)),
        }
    }
}

/// The groups of a coordinator that begin with a prefix: all, or more than so many. An error where it does not answer.
async fn groups_at(
    coordinators: &Coordinators<'_>,
    place: Place,
    mut list: List,
    (prefix, enough): (&str, usize),
) -> Result<Vec<ListedGroup>, ()> {
    let mut groups = Vec::new();
    loop {
        let reply = coordinators.ask(place, Command::List(list.clone())).await;
        let Ok(Reply::List(page)) = reply else { return Err(()) };
        let wanted = page.groups.into_iter().filter(|one| one.group.as_str().starts_with(prefix));
        groups.extend(wanted);
        if page.next.is_none() || groups.len() > enough {
            return Ok(groups);
        }
        list.after = page.next;
    }
}

/// A group in full; `None` where there is no such group.
async fn describe(
    coordinators: &Coordinators<'_>,
    group: &GroupId,
) -> Result<Option<DescribedGroup>, AdminError> {
    if coordinators.place(group).is_none() {
        return Ok(None);
    }
    let refused = |code| AdminError::of_group(group.as_str(), code);
    let command = Command::Describe { token: ANY_TOKEN, groups: vec![group.clone()] };
    let described = match coordinators.ask_about(group, command).await? {
        Reply::Describe(outcome) => outcome.map_err(refused)?.into_iter().next(),
        _ => return Err(refused(ErrorCode::UnknownServerError)),
    };
    match described.map(|described| (described.error, described)) {
        Some((ErrorCode::None, described)) => Ok(Some(described)),
        Some((ErrorCode::GroupIdNotFound, _)) | None => Ok(None),
        Some((code, _)) => Err(refused(code)),
    }
}
