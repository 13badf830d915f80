//! The actor that writes the state store.
//!
//! Invariant: events reach the store in order and without a gap: whatever does not follow what it holds leads to a rebuild. A
//! store that fails is logged once and left alone; the member goes on without its lists being new.

use std::sync::Arc;

use ottla_metadata::Image;
use ottla_types::MetadataOffset;
use tokio::sync::watch;

use super::queue::Work;
use super::{StateStore, StoreError, StoreQueue};
use crate::quorum::driver::Applied;

/// Writes what comes through the queue.
pub struct StoreWriter {
    store: Arc<dyn StateStore>,
    queue: StoreQueue,
    /// Offset of what the store holds.
    at: MetadataOffset,
    /// A store that failed is not written any more in this life.
    has_failed: bool,
    progress: watch::Sender<MetadataOffset>,
}

impl StoreWriter {
    /// A writer.
    pub fn new(store: Arc<dyn StateStore>, queue: StoreQueue) -> Self {
        let progress = watch::Sender::new(MetadataOffset(0));
        Self { store, queue, at: MetadataOffset(0), has_failed: false, progress }
    }

    /// The offset of what the store holds.
    pub fn progress(&self) -> watch::Receiver<MetadataOffset> {
        self.progress.subscribe()
    }

    /// Runs until the queue is closed.
    pub async fn run(mut self) {
        loop {
            let outcome = match self.queue.next().await {
                Work::Closed => return,
                _ if self.has_failed => Ok(()),
                Work::Start(image) => self.start(&image),
                Work::Rebuild(image) => self.rebuild(&image),
                Work::Events(applied) => self.apply(&applied),
            };
            if let Err(error) = outcome {
                tracing::error!("lists and history of the metadata stay as they are: {error}");
                self.has_failed = true;
            }
            self.progress.send_replace(self.at);
        }
    }

    /// A store that holds this image, or a later one of the same cluster whose way there is replayed anyway, is kept.
    fn start(&mut self, image: &Image) -> Result<(), StoreError> {
        let mark = match self.store.mark() {
            Ok(mark) => mark,
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        };
        match mark {
            Some(mark) if mark.offset == image.offset && mark.hash == image.hash() => {
                self.at = mark.offset;
                Ok(())
            }
            Some(mark) if mark.offset > image.offset && mark.cluster_id == image.cluster_id => {
                // The log goes on from the snapshot's image; what it replays up to the mark is in the store already.
                self.at = mark.offset;
                Ok(())
            }
            _ => self.rebuild(image),
        }
    }

    fn rebuild(&mut self, image: &Image) -> Result<(), StoreError> {
        self.store.rebuild(image)?;
        self.at = image.offset;
        Ok(())
    }

    fn apply(&mut self, applied: &[Applied]) -> Result<(), StoreError> {
        let known = applied.partition_point(|applied| applied.offset < self.at);
        let new = match applied.get(known) {
            // The store came here on another way: a log that was lost, or a store of another disk.
            Some(same) if same.offset == self.at && !self.agrees(same)? => {
                self.rebuild(&same.after)?;
                &applied[known + 1..]
            }
            Some(same) if same.offset == self.at => &applied[known + 1..],
            _ => &applied[known..],
        };
        let (Some(first), Some(last)) = (new.first(), new.last()) else { return Ok(()) };
        if first.offset != self.at.next() {
            return self.rebuild(&last.after);
        }
        self.store.apply(new)?;
        self.at = last.offset;
        Ok(())
    }

    fn agrees(&self, same: &Applied) -> Result<bool, StoreError> {
        let mark = self.store.mark()?;
        Ok(mark.is_some_and(|mark| mark.hash == same.after.hash()))
    }
}
