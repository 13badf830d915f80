//! One follower of the committed metadata.
//!
//! Invariant: each update follows the one before; a follower that is too slow for the kept events gets the newest image instead.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use ottla_api::CallError;
use ottla_api::controller::MetadataUpdate;
use ottla_runtime::seams::Clock;
use ottla_types::MetadataOffset;

use crate::quorum::member::Member;

/// A sign of life comes at least this often.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A member without a leader for this long sends its followers away.
const LEADERLESS_LIMIT: Duration = Duration::from_secs(5);

struct Watch {
    member: Member,
    clock: Arc<dyn Clock>,
    from: MetadataOffset,
    leader_seen: Duration,
    /// The first update is sent at once, be it a heartbeat.
    is_first: bool,
    has_ended: bool,
}

/// The updates after `from`.
pub(super) fn stream(
    member: Member,
    clock: Arc<dyn Clock>,
    from: MetadataOffset,
) -> BoxStream<'static, Result<MetadataUpdate, CallError>> {
    let leader_seen = clock.monotonic();
    let watch = Watch { member, clock, from, leader_seen, is_first: true, has_ended: false };
    stream::unfold(watch, |mut watch| async move {
        let update = watch.next().await?;
        Some((update, watch))
    })
    .boxed()
}

impl Watch {
    async fn next(&mut self) -> Option<Result<MetadataUpdate, CallError>> {
        while !self.has_ended {
            if let Some(update) = self.newer() {
                self.is_first = false;
                return Some(Ok(update));
            }
            if std::mem::take(&mut self.is_first) {
                return Some(Ok(self.heartbeat()));
            }
            let mut committed = self.member.published.committed.clone();
            tokio::select! {
                biased;
                _ = self.member.ended() => self.has_ended = true,
                changed = committed.changed() => self.has_ended = changed.is_err(),
                () = self.clock.sleep(HEARTBEAT_INTERVAL) => return Some(self.alive()),
            }
            self.member.published.committed = committed;
        }
        None
    }

    fn newer(&mut self) -> Option<MetadataUpdate> {
        let image = self.member.published.committed.borrow_and_update().image.clone();
        if image.offset <= self.from {
            return None;
        }
        match self.member.published.events_after(self.from) {
            Some(events) if !events.is_empty() => {
                let first = self.from.next();
                self.from = MetadataOffset(self.from.0 + events.len() as u64);
                let events = events.into_iter().map(Arc::unwrap_or_clone).collect();
                Some(MetadataUpdate::Events { first, events })
            }
            _ => {
                self.from = image.offset;
                Some(MetadataUpdate::Snapshot(image))
            }
        }
    }

    fn heartbeat(&self) -> MetadataUpdate {
        MetadataUpdate::Heartbeat(self.member.published.committed.borrow().image.offset)
    }

    /// A heartbeat, while this member belongs to a quorum.
    fn alive(&mut self) -> Result<MetadataUpdate, CallError> {
        let now = self.clock.monotonic();
        if self.member.published.leader.borrow().node.is_some() {
            self.leader_seen = now;
        }
        if now >= self.leader_seen + LEADERLESS_LIMIT {
            self.has_ended = true;
            return Err(CallError::NotActive { active: None });
        }
        Ok(self.heartbeat())
    }
}
