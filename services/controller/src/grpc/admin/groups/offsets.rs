//! What a group has committed, beside the ends of the logs.
//!
//! Invariant: a partition is shown that the group has an offset of, or that a member reads; the ends are asked for those of the
//! page only.

use std::collections::BTreeMap;

use ottla_coordinator::command::FetchOffsets;
use ottla_coordinator::reply::DescribedGroup;
use ottla_coordinator::{Command, GroupId, Reply, Text, assigned_partitions};
use ottla_metadata::Image;
use ottla_proto::admin::v1 as wire;
use ottla_types::{ErrorCode, PartitionIndex, TopicPartition};
use tracing::Span;

use super::super::errors::AdminError;
use super::super::{AdminServices, pages};
use super::coordinators::{ANY_TOKEN, Coordinators};
use super::{describe, log_offsets, values};

/// A partition by the name of its topic.
pub(super) type Named = (String, i32);

/// An offset and the note beside it.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) metadata: Text,
}

impl AdminServices {
    pub(super) async fn group_offsets(
        &self,
        span: Span,
        request: wire::ListGroupOffsetsRequest,
    ) -> Result<wire::ListGroupOffsetsResponse, AdminError> {
        let size = pages::size(request.page_size)?;
        let after = token(&request.page_token)?;
        let mut offsets = self.offsets_of(&span, &request.id, (after, size)).await?;
        let next_page_token =
            pages::cut(&mut offsets, size, |last| format!("{}:{}", last.topic, last.partition));
        let request_id = request.request_id;
        Ok(wire::ListGroupOffsetsResponse { request_id, offsets, next_page_token })
    }

    /// So many of a group's partitions behind one, and one more where there are more.
    pub(super) async fn offsets_of(
        &self,
        span: &Span,
        id: &str,
        (after, most): (Option<Named>, usize),
    ) -> Result<Vec<wire::GroupOffset>, AdminError> {
        let group = values::group_id(id)?;
        let coordinators = Coordinators::of(self, span.clone());
        let described = describe(&coordinators, &group).await?;
        let missing = || AdminError::of_group(group.as_str(), ErrorCode::GroupIdNotFound);
        let described = described.ok_or_else(missing)?;
        let committed = committed(&coordinators, &group).await?;
        let mut offsets: Vec<_> = all(&described, &committed)
            .into_iter()
            .filter(|(at, _)| after.as_ref().is_none_or(|after| at > after))
            .map(|(_, offset)| offset)
            .take(most + 1)
            .collect();
        self.measure(span, &mut offsets).await;
        Ok(offsets)
    }

    /// Adds the ends of the logs, and the lags.
    async fn measure(&self, span: &Span, offsets: &mut [wire::GroupOffset]) {
        let image = self.image();
        let ids: Vec<_> =
            offsets.iter().map(|at| partition_id(&image, &at.topic, at.partition)).collect();
        let known: Vec<_> = ids.iter().flatten().copied().collect();
        let ends = log_offsets::at(self, span, &known, log_offsets::LATEST).await;
        for (offset, id) in offsets.iter_mut().zip(ids) {
            let end = id.and_then(|id| ends.get(&id)).and_then(|found| found.ok().flatten());
            offset.log_end_offset = end;
            offset.lag = end.zip(offset.committed_offset).map(|(end, committed)| end - committed);
        }
    }
}

/// All partitions of a group, without the ends of their logs.
fn all(
    described: &DescribedGroup,
    committed: &BTreeMap<Named, Committed>,
) -> BTreeMap<Named, wire::GroupOffset> {
    let mut all = BTreeMap::new();
    let new = |(topic, partition): &Named| wire::GroupOffset {
        topic: topic.clone(),
        partition: *partition,
        ..Default::default()
    };
    for (at, committed) in committed {
        let offset = wire::GroupOffset {
            committed_offset: Some(committed.offset),
            metadata: committed.metadata.as_str().to_owned(),
            ..new(at)
        };
        all.insert(at.clone(), offset);
    }
    for member in &described.members {
        let assigned = assigned_partitions(&member.assignment).unwrap_or_default();
        for (topic, partitions) in assigned {
            for partition in partitions {
                let at = (topic.as_str().to_owned(), partition.0);
                let offset = all.entry(at.clone()).or_insert_with(|| new(&at));
                offset.member_id = member.member.as_str().to_owned();
                offset.client_id = member.client_id.as_str().to_owned();
                offset.client_host = member.client_host.as_str().to_owned();
            }
        }
    }
    all
}

/// All that a group has committed; nothing where there is no such group.
pub(super) async fn committed(
    coordinators: &Coordinators<'_>,
    group: &GroupId,
) -> Result<BTreeMap<Named, Committed>, AdminError> {
    let fetch = FetchOffsets {
        token: ANY_TOKEN,
        group: group.clone(),
        topics: None,
        require_stable: false,
    };
    let refused = |code| AdminError::of_group(group.as_str(), code);
    let topics = match coordinators.ask_about(group, Command::FetchOffsets(fetch)).await? {
        Reply::FetchOffsets(outcome) => outcome.map_err(refused)?,
        _ => return Err(refused(ErrorCode::UnknownServerError)),
    };
    let mut committed = BTreeMap::new();
    for topic in topics {
        for found in topic.partitions.into_iter().filter(|found| found.offset.0 >= 0) {
            let at = (topic.name.as_str().to_owned(), found.partition.0);
            let (offset, metadata) = (found.offset.0, found.metadata);
            committed.insert(at, Committed { offset, metadata });
        }
    }
    Ok(committed)
}

/// The partition of a name, if it exists.
pub(super) fn partition_id(image: &Image, topic: &str, partition: i32) -> Option<TopicPartition> {
    let topic = image.topic_by_name(topic)?.id;
    let partition = PartitionIndex(partition);
    image.partition(topic, partition).map(|_| TopicPartition { topic, partition })
}

fn token(token: &str) -> Result<Option<Named>, AdminError> {
    if token.is_empty() {
        return Ok(None);
    }
    let parsed = token
        .rsplit_once(':')
        .and_then(|(topic, partition)| Some((topic.to_owned(), partition.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| {
        AdminError::invalid(
            "page_token is none of this list; take next_page_token of the page before",
        )
    })
}
