//! Groups and their offsets, watched: their coordinators are asked again and again.
//!
//! Invariant: a coordinator that does not answer takes none of its groups away. What one watcher makes this process keep and ask
//! is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_proto::admin::v1 as wire;
use tracing::Span;

use super::super::AdminServices;
use super::super::errors::AdminError;
use super::super::pages;
use super::super::watches::{Watch, changes};
use super::offsets::Named;
use super::values;

/// Between two looks where nothing is asked for, in milliseconds.
const DEFAULT_INTERVAL_MS: i32 = 1_000;
/// The shortest time between two looks, in milliseconds.
const MIN_INTERVAL_MS: i32 = 100;
/// The longest time between two looks, in milliseconds.
const MAX_INTERVAL_MS: i32 = 60_000;
/// Most groups, and most partitions of a group, of one watcher.
const MAX_WATCHED: usize = 10_000;

/// One watcher of groups.
pub(super) struct GroupWatch {
    services: AdminServices,
    request: wire::WatchGroupsRequest,
    interval: Duration,
    told: Option<(BTreeMap<String, wire::Group>, Vec<i32>)>,
}

/// One watcher of a group's offsets.
pub(super) struct OffsetWatch {
    services: AdminServices,
    request: wire::WatchGroupOffsetsRequest,
    interval: Duration,
    told: Option<BTreeMap<Named, wire::GroupOffset>>,
}

impl GroupWatch {
    pub(super) fn new(
        services: &AdminServices,
        request: wire::WatchGroupsRequest,
    ) -> Result<Self, AdminError> {
        let interval = interval(request.interval_ms)?;
        Ok(Self { services: services.clone(), request, interval, told: None })
    }

    /// All groups now, and the partitions of coordinators that do not answer.
    async fn look(&self) -> Result<(BTreeMap<String, wire::Group>, Vec<i32>), AdminError> {
        let (mut groups, mut silent, mut page_token) = (BTreeMap::new(), Vec::new(), String::new());
        loop {
            let request = wire::ListGroupsRequest {
                page_size: pages::MAX_PAGE as i32,
                page_token,
                id_prefix: self.request.id_prefix.clone(),
                ..Default::default()
            };
            let page = self.services.list_groups_page(Span::none(), request).await?;
            groups.extend(page.groups.into_iter().map(|group| (group.id.clone(), group)));
            silent.extend(page.unavailable_partitions);
            if groups.len() > MAX_WATCHED {
                return Err(AdminError::invalid(format!(
                    "there are more than {MAX_WATCHED} such groups, which is the most; watch fewer with id_prefix"
                )));
            }
            if page.next_page_token.is_empty() {
                return Ok((groups, silent));
            }
            page_token = page.next_page_token;
        }
    }
}

impl Watch for GroupWatch {
    type Message = wire::WatchGroupsResponse;

    async fn next(&mut self) -> Result<Option<Self::Message>, AdminError> {
        loop {
            if self.told.is_some() {
                self.services.seams.clock.sleep(self.interval).await;
            }
            let (mut now, silent) = self.look().await?;
            let is_first = self.told.is_none();
            let (mut told, told_silent) = self.told.take().unwrap_or_default();
            for (id, group) in &told {
                if silent.contains(&group.coordinator_partition) {
                    now.insert(id.clone(), group.clone());
                }
            }
            let (groups, deleted_ids) = changes(&mut told, now);
            let is_new = !groups.is_empty() || !deleted_ids.is_empty() || silent != told_silent;
            self.told = Some((told, silent.clone()));
            if is_new || is_first {
                return Ok(Some(wire::WatchGroupsResponse {
                    request_id: self.request.request_id.clone(),
                    groups,
                    deleted_ids,
                    unavailable_partitions: silent,
                }));
            }
        }
    }
}

impl OffsetWatch {
    pub(super) fn new(
        services: &AdminServices,
        request: wire::WatchGroupOffsetsRequest,
    ) -> Result<Self, AdminError> {
        values::group_id(&request.id)?;
        let interval = interval(request.interval_ms)?;
        Ok(Self { services: services.clone(), request, interval, told: None })
    }

    async fn look(&self) -> Result<BTreeMap<Named, wire::GroupOffset>, AdminError> {
        let offsets =
            self.services.offsets_of(&Span::none(), &self.request.id, (None, MAX_WATCHED)).await?;
        if offsets.len() > MAX_WATCHED {
            return Err(AdminError::invalid(format!(
                "the group reads more than {MAX_WATCHED} partitions, which is the most; ask for pages (ListGroupOffsets)"
            )));
        }
        let named = |offset: wire::GroupOffset| ((offset.topic.clone(), offset.partition), offset);
        Ok(offsets.into_iter().map(named).collect())
    }
}

impl Watch for OffsetWatch {
    type Message = wire::WatchGroupOffsetsResponse;

    async fn next(&mut self) -> Result<Option<Self::Message>, AdminError> {
        loop {
            if self.told.is_some() {
                self.services.seams.clock.sleep(self.interval).await;
            }
            let now = self.look().await?;
            let is_first = self.told.is_none();
            let told = self.told.get_or_insert_default();
            let (offsets, removed) = changes(told, now);
            if is_first || !offsets.is_empty() || !removed.is_empty() {
                let request_id = self.request.request_id.clone();
                let removed = by_topic(removed);
                return Ok(Some(wire::WatchGroupOffsetsResponse { request_id, offsets, removed }));
            }
        }
    }
}

fn by_topic(partitions: Vec<Named>) -> Vec<wire::TopicPartitions> {
    let mut topics: Vec<wire::TopicPartitions> = Vec::new();
    for (topic, partition) in partitions {
        match topics.last_mut().filter(|last| last.topic == topic) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(wire::TopicPartitions { topic, partitions: vec![partition] }),
        }
    }
    topics
}

fn interval(interval_ms: i32) -> Result<Duration, AdminError> {
    let wanted = if interval_ms == 0 { DEFAULT_INTERVAL_MS } else { interval_ms };
    match u64::try_from(wanted) {
        Ok(ms) if (MIN_INTERVAL_MS..=MAX_INTERVAL_MS).contains(&wanted) => {
            Ok(Duration::from_millis(ms))
        }
        _ => Err(AdminError::invalid(format!(
            "interval_ms {interval_ms} is out of range; take {MIN_INTERVAL_MS} to {MAX_INTERVAL_MS}, or leave it out"
        ))),
    }
}
