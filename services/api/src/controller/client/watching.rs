//! One stream of committed metadata: pieces of snapshots become images, batches become events.
//!
//! Invariant: ends at the first thing that is wrong, at a silence, or when the watcher's identity changes; the follower then asks
//! for the next stream from its own offset. A snapshot is bounded by the codec's largest image.
//! Deliberately keeps nothing from one stream to the next.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use ottla_metadata::Image;
use ottla_metadata::codec::{MAX_IMAGE_BYTES, decode_events, decode_image};
use ottla_proto::controller::v1::watch_metadata_response::Update;
use ottla_proto::controller::v1::{SnapshotChunk, WatchMetadataResponse, Watcher};
use ottla_runtime::Seams;
use ottla_types::MetadataOffset;
use tokio::sync::{oneshot, watch};
use tonic::Streaming;

use super::members::{Member, Members};
use crate::context::CallError;
use crate::context::wire::{required, unreachable};
use crate::controller::MetadataUpdate;
use crate::controller::convert::undecodable;

/// The longest silence of a member before its stream is given up; a member gives a sign of life far more often.
pub const WATCH_SILENCE_MOST: Duration = Duration::from_secs(10);

/// The updates of one stream.
pub(super) fn updates(
    seams: &Seams,
    (member, members): (Arc<Member>, Arc<Members>),
    responses: Streaming<WatchMetadataResponse>,
    identity: watch::Receiver<Option<Watcher>>,
) -> BoxStream<'static, Result<MetadataUpdate, CallError>> {
    let stream = Stream {
        seams: seams.clone(),
        member,
        members,
        responses,
        identity,
        snapshot: Vec::new(),
        expected_bytes: None,
    };
    futures::stream::unfold(Some(stream), |stream| async {
        let mut stream = stream?;
        match stream.next().await {
            Ok(Some(update)) => Some((Ok(update), Some(stream))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Stream {
    seams: Seams,
    member: Arc<Member>,
    members: Arc<Members>,
    responses: Streaming<WatchMetadataResponse>,
    identity: watch::Receiver<Option<Watcher>>,
    /// What has come of a snapshot.
    snapshot: Vec<u8>,
    /// Length of the snapshot that is coming.
    expected_bytes: Option<u64>,
}

impl Stream {
    async fn next(&mut self) -> Result<Option<MetadataUpdate>, CallError> {
        loop {
            let Some(update) = self.receive().await? else { return Ok(None) };
            if let Some(update) = self.take(update).await? {
                return Ok(Some(update));
            }
        }
    }

    /// The next message; whoever ends the stream is not the first to be asked for another.
    async fn receive(&mut self) -> Result<Option<Update>, CallError> {
        let response = tokio::select! {
            biased;
            Ok(()) = self.identity.changed() => return Ok(None),
            response = self.responses.message() => {
                response.map_err(|status| unreachable(&self.member.peer, &status))
            }
            () = self.seams.clock.sleep(WATCH_SILENCE_MOST) => Err(self.silent()),
        };
        if !matches!(response, Ok(Some(_))) {
            self.members.pass_over(&self.member);
        }
        let Some(response) = response? else { return Ok(None) };
        Ok(Some(required(response.update, "the update is of a kind that is not known")?))
    }

    async fn take(&mut self, update: Update) -> Result<Option<MetadataUpdate>, CallError> {
        if self.expected_bytes.is_some() && !matches!(update, Update::Snapshot(_)) {
            return Err(CallError::Malformed("a snapshot was interrupted".to_owned()));
        }
        match update {
            Update::Snapshot(chunk) => self.take_chunk(chunk).await,
            Update::Events(batch) => Ok(Some(MetadataUpdate::Events {
                first: MetadataOffset(batch.first_offset),
                events: decode_events(&batch.events).map_err(undecodable)?,
            })),
            Update::Heartbeat(beat) => {
                Ok(Some(MetadataUpdate::Heartbeat(MetadataOffset(beat.committed_offset))))
            }
        }
    }

    async fn take_chunk(
        &mut self,
        chunk: SnapshotChunk,
    ) -> Result<Option<MetadataUpdate>, CallError> {
        let expected = *self.expected_bytes.get_or_insert(chunk.total_bytes);
        let have = (self.snapshot.len() + chunk.data.len()) as u64;
        let is_short = chunk.is_last && have < expected;
        if expected > MAX_IMAGE_BYTES as u64 || have > expected || is_short {
            return Err(CallError::Malformed(format!("a snapshot of {expected} bytes has {have}")));
        }
        self.snapshot.extend_from_slice(&chunk.data);
        if !chunk.is_last {
            return Ok(None);
        }
        self.expected_bytes = None;
        let image = decode(&self.seams, std::mem::take(&mut self.snapshot)).await?;
        Ok(Some(MetadataUpdate::Snapshot(Arc::new(image))))
    }

    fn silent(&self) -> CallError {
        CallError::Unreachable {
            peer: self.member.peer.clone(),
            cause: format!("it said nothing for {} s", WATCH_SILENCE_MOST.as_secs()),
        }
    }
}

/// Off the workers: a large image takes a while.
async fn decode(seams: &Seams, bytes: Vec<u8>) -> Result<Image, CallError> {
    let (done, image) = oneshot::channel();
    let work = Box::new(move || _ = done.send(decode_image(&bytes)));
    seams.tasks.run_blocking(work).await;
    image.await.map_err(|_| CallError::Stopping)?.map_err(undecodable)
}
