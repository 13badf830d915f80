//! Topics, watched.
//!
//! Invariant: what was told is the difference between nothing and the image that is kept here, as soon as a message is complete.

use std::collections::VecDeque;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_proto::admin::v1 as wire;
use tokio::sync::watch;

use super::super::errors::AdminError;
use super::super::topic_values;
use super::Watch;
use crate::quorum::member::Member;
use crate::quorum::published::Committed;

/// Most topics of one message.
const MAX_TOPICS_PER_MESSAGE: usize = 500;

/// One watcher of topics.
pub(in super::super) struct TopicWatch {
    request: wire::WatchTopicsRequest,
    committed: watch::Receiver<Committed>,
    /// What the watcher knows, or is being told.
    told: Arc<Image>,
    /// What it is still to be told of that.
    queue: VecDeque<Arc<Topic>>,
    deleted: Vec<String>,
    is_first: bool,
}

impl TopicWatch {
    pub(in super::super) fn new(member: &Member, request: wire::WatchTopicsRequest) -> Self {
        Self {
            request,
            committed: member.published.committed.clone(),
            told: Arc::new(Image::default()),
            queue: VecDeque::new(),
            deleted: Vec::new(),
            is_first: true,
        }
    }

    /// Takes the newest image, and queues what it has that the watcher does not know.
    fn look(&mut self) {
        let newest = self.committed.borrow_and_update().image.clone();
        let is_meant = |topic: &Topic| topic.name.starts_with(&self.request.name_prefix);
        for change in self.told.topics.diff(&newest.topics) {
            match change {
                DiffItem::Add(_, topic) | DiffItem::Update { new: (_, topic), .. } => {
                    if is_meant(topic) {
                        self.queue.push_back(topic.clone());
                    }
                }
                DiffItem::Remove(_, topic) => {
                    // One of the same name is told as a change, with its new id.
                    if is_meant(topic) && newest.topic_by_name(&topic.name).is_none() {
                        self.deleted.push(topic.name.clone());
                    }
                }
            }
        }
        self.told = newest;
    }

    fn message(&mut self) -> wire::WatchTopicsResponse {
        let count = self.queue.len().min(MAX_TOPICS_PER_MESSAGE);
        let topics = self.queue.drain(..count).map(|topic| topic_values::topic(&topic)).collect();
        let is_complete = self.queue.is_empty();
        self.is_first = false;
        wire::WatchTopicsResponse {
            request_id: self.request.request_id.clone(),
            metadata_offset: self.told.offset.0,
            topics,
            deleted_names: if is_complete { std::mem::take(&mut self.deleted) } else { Vec::new() },
            is_complete,
        }
    }
}

impl Watch for TopicWatch {
    type Message = wire::WatchTopicsResponse;

    async fn next(&mut self) -> Result<Option<Self::Message>, AdminError> {
        loop {
            if !self.queue.is_empty() {
                return Ok(Some(self.message()));
            }
            if !self.is_first && self.committed.changed().await.is_err() {
                return Ok(None);
            }
            self.look();
            if self.is_first || !self.deleted.is_empty() {
                return Ok(Some(self.message()));
            }
        }
    }
}
