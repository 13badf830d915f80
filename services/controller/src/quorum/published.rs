//! What the driver shows to others: the committed image, the newest events, who leads.
//!
//! Invariant: only what is committed and applied is here. Readers never make the driver wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ottla_metadata::{Event, Image};
use ottla_types::{MetadataOffset, NodeId};
use tokio::sync::{mpsc, watch};

use super::driver::{Applied, PeerInput};

/// Events that are kept for followers; who is further behind begins with a snapshot.
const MAX_RECENT_EVENTS: usize = 10_000;
/// Rough bytes of these events.
const MAX_RECENT_BYTES: usize = 16 << 20;
/// Events of one message to a follower.
const MAX_EVENTS_PER_UPDATE: usize = 1_000;
/// The same, in rough bytes.
const MAX_BYTES_PER_UPDATE: usize = 4 << 20;

/// The committed state at some moment.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The image.
    pub image: Arc<Image>,
    /// Raft's index of the last applied entry.
    pub index: u64,
}

/// Who leads, as this member knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// The active controller.
    pub node: Option<NodeId>,
    /// Whether it is this member, and ready to decide.
    pub is_ready_here: bool,
}

/// The driver's end.
pub struct Publisher {
    committed: watch::Sender<Committed>,
    leader: watch::Sender<Leader>,
    recent: Arc<Mutex<Recent>>,
    back: mpsc::Sender<PeerInput>,
}

/// The readers' end.
#[derive(Clone)]
pub struct Published {
    /// The committed state.
    pub committed: watch::Receiver<Committed>,
    /// Who leads.
    pub leader: watch::Receiver<Leader>,
    recent: Arc<Mutex<Recent>>,
}

#[derive(Default)]
struct Recent {
    events: VecDeque<(Arc<Event>, usize)>,
    /// Offset of the last of them.
    last: MetadataOffset,
    bytes: usize,
}

impl Publisher {
    /// Both ends. `back` is the driver's own inbox.
    pub fn new(back: mpsc::Sender<PeerInput>) -> (Self, Published) {
        let (committed, committed_here) = watch::channel(Committed::default());
        let (leader, leader_here) = watch::channel(Leader::default());
        let recent = Arc::new(Mutex::new(Recent::default()));
        let published =
            Published { committed: committed_here, leader: leader_here, recent: recent.clone() };
        (Self { committed, leader, recent, back }, published)
    }

    pub(super) fn back_to_driver(&self) -> mpsc::Sender<PeerInput> {
        self.back.clone()
    }

    pub(super) fn publish_leader(&self, node: Option<NodeId>, is_ready_here: bool) {
        let leader = Leader { node, is_ready_here };
        self.leader.send_if_modified(|old| std::mem::replace(old, leader) != leader);
    }

    /// Keeps events for followers.
    pub(super) fn remember(&self, applied: &[Applied]) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for applied in applied {
            recent.push(applied.event.clone(), applied.offset);
        }
    }

    /// Shows an image, if it is another than before.
    pub(super) fn publish(&self, image: &Image, index: u64) {
        self.committed.send_if_modified(|old| {
            let is_new = old.image.offset != image.offset;
            if is_new {
                old.image = Arc::new(image.clone());
            }
            old.index = index;
            is_new
        });
    }

    /// Shows an image that does not follow from the events before.
    pub(super) fn restart_from(&self, image: &Image, index: u64) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Recent { last: image.offset, ..Recent::default() };
        drop(recent);
        self.committed.send_replace(Committed { image: Arc::new(image.clone()), index });
    }
}

impl Published {
    /// Events after `from`, as many as one message takes; `None` where they are not kept any more.
    pub fn events_after(&self, from: MetadataOffset) -> Option<Vec<Arc<Event>>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = usize::try_from(recent.last.0.checked_sub(from.0)?).ok()?;
        let skip = recent.events.len().checked_sub(behind)?;
        let mut bytes = 0;
        let fits = |(_, size): &&(Arc<Event>, usize)| {
            let is_first = bytes == 0;
            bytes += size;
            is_first || bytes <= MAX_BYTES_PER_UPDATE
        };
        let events = recent.events.iter().skip(skip).take(MAX_EVENTS_PER_UPDATE).take_while(fits);
        Some(events.map(|(event, _)| event.clone()).collect())
    }
}

impl Recent {
    fn push(&mut self, event: Arc<Event>, offset: MetadataOffset) {
        let bytes = rough_bytes(&event);
        self.bytes += bytes;
        self.last = offset;
        self.events.push_back((event, bytes));
        while self.events.len() > MAX_RECENT_EVENTS || self.bytes > MAX_RECENT_BYTES {
            let Some((_, bytes)) = self.events.pop_front() else { break };
            self.bytes -= bytes;
        }
    }
}

fn rough_bytes(event: &Event) -> usize {
    let assignments = match event {
        Event::TopicCreated { assignments, .. } | Event::PartitionsAdded { assignments, .. } => {
            assignments.len()
        }
        _ => 0,
    };
    256 + assignments * 80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(events: u64) -> (Publisher, Published) {
        let (back, _) = mpsc::channel(1);
        let (publisher, published) = Publisher::new(back);
        let mut image = Image::default();
        for hash in 0..events {
            let applied = Applied::replay(&mut image, Event::StateHash { hash });
            publisher.remember(&[applied]);
        }
        (publisher, published)
    }

    #[test]
    fn events_follow_the_offset_that_was_named() {
        let (_publisher, published) = published(5);
        let events = published.events_after(MetadataOffset(3)).unwrap();
        assert_eq!(*events[0], Event::StateHash { hash: 3 });
        assert_eq!(events.len(), 2);
        assert_eq!(published.events_after(MetadataOffset(5)).unwrap(), []);
        assert_eq!(published.events_after(MetadataOffset(6)), None);
    }

    #[test]
    fn who_is_too_far_behind_is_told_so_and_one_message_is_bounded() {
        let (_publisher, published) = published(MAX_RECENT_EVENTS as u64 + 3);
        assert_eq!(published.events_after(MetadataOffset(2)), None);
        let events = published.events_after(MetadataOffset(3)).unwrap();
        assert_eq!(events.len(), MAX_EVENTS_PER_UPDATE);
    }
}
