//! One watcher's stream: updates become messages of bounded size; a broken stream is reported.
//!
//! Invariant: a message carries at most [`CHUNK_BYTES`] of an image, and a batch more than that only where one event is larger.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use ottla_metadata::codec::{MAX_EVENTS_PER_BATCH, encode_events, encode_image, event_len};
use ottla_metadata::{Command, Event, Image};
use ottla_proto::controller::v1 as wire;
use ottla_proto::controller::v1::watch_metadata_response::Update;
use ottla_runtime::Seams;
use ottla_runtime::seams::Tasks;
use ottla_types::{BrokerEpoch, MetadataOffset, NodeId};
use tokio::sync::{oneshot, watch};
use tonic::Status;

use crate::context::wire::failure_to_status;
use crate::context::{CallError, RequestContext};
use crate::controller::{CHUNK_BYTES, Controller, MetadataUpdate};

/// How long the report of a broken stream may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Reports an identified watcher's stream as broken when it is dropped, unless it was disarmed.
pub(super) struct Broken {
    seams: Seams,
    quorum: Arc<dyn Controller>,
    watcher: Option<wire::Watcher>,
}

impl Broken {
    pub(super) fn armed(
        seams: &Seams,
        quorum: Arc<dyn Controller>,
        watcher: wire::Watcher,
    ) -> Self {
        Self { seams: seams.clone(), quorum, watcher: Some(watcher) }
    }

    fn disarm(&mut self) {
        self.watcher = None;
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        let Some(watcher) = self.watcher.take() else { return };
        let quorum = Arc::clone(&self.quorum);
        let node = NodeId(watcher.node_id);
        let command =
            Command::ControlStreamBroken { node, broker_epoch: BrokerEpoch(watcher.broker_epoch) };
        let report = async move {
            let context = RequestContext::internal(REPORT_TIMEOUT);
            if let Err(error) = quorum.submit(context, command).await {
                // The session's own time-out finds out as well, later.
                tracing::debug!(%node, %error, "cannot report a broken control stream");
            }
        };
        drop(self.seams.tasks.spawn("broken control stream", Box::pin(report)));
    }
}

type Updates = BoxStream<'static, Result<MetadataUpdate, CallError>>;

/// The messages of one stream.
pub(super) fn responses(
    tasks: Arc<dyn Tasks>,
    mut updates: Updates,
    mut draining: watch::Receiver<bool>,
    mut broken: Option<Broken>,
) -> BoxStream<'static, Result<wire::WatchMetadataResponse, Status>> {
    let stream = async_stream::stream! {
        loop {
            let update = tokio::select! {
                biased;
                _ = draining.wait_for(|draining| *draining) => None,
                update = updates.next() => update,
            };
            let Some(Ok(update)) = update else {
                // The member ends it.
                broken.as_mut().map(Broken::disarm);
                if let Some(Err(error)) = update {
                    yield Err(failure_to_status(&error));
                }
                break;
            };
            for message in messages(&tasks, update).await {
                yield Ok(wire::WatchMetadataResponse { update: Some(message) });
            }
        }
    };
    stream.boxed()
}

async fn messages(tasks: &Arc<dyn Tasks>, update: MetadataUpdate) -> Vec<Update> {
    match update {
        MetadataUpdate::Snapshot(image) => chunks(encode(tasks, image).await),
        MetadataUpdate::Events { first, events } => batches(first, &events),
        MetadataUpdate::Heartbeat(MetadataOffset(committed_offset)) => {
            vec![Update::Heartbeat(wire::WatchHeartbeat { committed_offset })]
        }
    }
}

/// Off the workers: a large image takes a while.
async fn encode(tasks: &Arc<dyn Tasks>, image: Arc<Image>) -> Bytes {
    let (done, bytes) = oneshot::channel();
    tasks.run_blocking(Box::new(move || _ = done.send(encode_image(&image)))).await;
    bytes.await.unwrap_or_default().into()
}

fn chunks(mut image: Bytes) -> Vec<Update> {
    let all = image.len();
    let mut chunks = Vec::with_capacity(all / CHUNK_BYTES + 1);
    loop {
        let data = image.split_to(image.len().min(CHUNK_BYTES));
        let is_last = image.is_empty();
        let total_bytes = if chunks.is_empty() { all as u64 } else { 0 };
        chunks.push(Update::Snapshot(wire::SnapshotChunk { data, total_bytes, is_last }));
        if is_last {
            return chunks;
        }
    }
}

fn batches(MetadataOffset(mut first_offset): MetadataOffset, mut events: &[Event]) -> Vec<Update> {
    let mut batches = Vec::new();
    while !events.is_empty() {
        let (batch, rest) = events.split_at(fitting(events));
        let encoded = encode_events(batch).into();
        batches.push(Update::Events(wire::EventBatch { first_offset, events: encoded }));
        first_offset += batch.len() as u64;
        events = rest;
    }
    batches
}

/// How many of the events fit into one batch: at least one.
fn fitting(events: &[Event]) -> usize {
    let mut bytes = 0_usize;
    let fits = |event: &&Event| {
        bytes = bytes.saturating_add(event_len(event));
        bytes <= CHUNK_BYTES
    };
    events.iter().take(MAX_EVENTS_PER_BATCH).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_types::ClusterId;

    #[test]
    fn an_image_is_cut_into_chunks_that_say_when_they_end() {
        for len in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1] {
            let image = Bytes::from(vec![7; len]);
            let chunks = chunks(image.clone());
            assert_eq!(chunks.len(), len.div_ceil(CHUNK_BYTES).max(1));
            let mut joined = Vec::new();
            for (index, chunk) in chunks.iter().enumerate() {
                let Update::Snapshot(chunk) = chunk else { panic!("a chunk") };
                joined.extend_from_slice(&chunk.data);
                assert_eq!(chunk.is_last, index + 1 == chunks.len());
            }
            assert_eq!(joined, image);
        }
    }

    #[test]
    fn events_are_cut_into_batches_that_follow_one_another() {
        let large = "x".repeat(CHUNK_BYTES / 2);
        let event = Event::ClusterFormatted { cluster_id: ClusterId::new(large) };
        let mut next = 11;
        for batch in batches(MetadataOffset(11), &vec![event; 5]) {
            let Update::Events(batch) = batch else { panic!("a batch") };
            assert_eq!(batch.first_offset, next);
            next += ottla_metadata::codec::decode_events(&batch.events).unwrap().len() as u64;
        }
        assert_eq!(next, 16);
    }
}
