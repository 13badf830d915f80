//! Follows the committed metadata and publishes each state as an immutable snapshot. One per process; storage node and
//! gateway read from it.
//!
//! Invariant: the published image only moves forward, and a subscriber that is slow sees changes merged, never lost (R15): it gets
//! the newest image with everything that was touched since it last asked. Bounded: what waits for a subscriber is a set of ids.
//! An image of another cluster never takes the place of the one that is here (R17).
//! Deliberately decides nothing, and does not know who registered or why.

mod changes;
mod cluster;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt;
use ottla_metadata::{Changes, Image};
use ottla_runtime::Seams;
use ottla_types::MetadataOffset;
use tokio::sync::{Notify, watch};
use tracing::{debug, error, info, warn};

use crate::context::CallError;
use crate::controller::{Controller, MetadataUpdate};
use changes::{absorb, difference};
use cluster::{OtherCluster, check_cluster};

/// Pause before the stream is asked for again, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause before the stream is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The follower was stopped, or its image cannot be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata are not followed any more")]
pub struct FollowerStopped;

/// Publishes the committed metadata. Clones are the same follower.
#[derive(Clone)]
pub struct MetadataFollower {
    shared: Arc<Shared>,
}

struct Shared {
    image: watch::Sender<Arc<Image>>,
    stopped: watch::Sender<bool>,
    subscribers: Mutex<Vec<Weak<Mailbox>>>,
}

/// What became of an update.
enum Taken {
    /// It is published, or was no news.
    Followed,
    /// It does not fit this image: another stream must be asked for.
    Misfit,
    /// It is not about this cluster: others must be asked.
    Refused(OtherCluster),
}

/// How a stream ended that did not break.
enum Ended {
    AfterNews,
    WithoutNews,
    Refused(OtherCluster),
}

/// What one subscriber has not seen yet.
struct Mailbox {
    waiting: Mutex<Option<(Arc<Image>, Changes)>>,
    filled: Notify,
}

/// One reader of changes.
pub struct MetadataSubscription {
    mailbox: Arc<Mailbox>,
    stopped: watch::Receiver<bool>,
}

impl MetadataFollower {
    /// Begins to follow, from an empty image. Goes on for ever: when a stream ends, another is asked for.
    pub fn start(controller: Arc<dyn Controller>, seams: &Seams) -> Self {
        let shared = Arc::new(Shared {
            image: watch::Sender::new(Arc::default()),
            stopped: watch::Sender::new(false),
            subscribers: Mutex::default(),
        });
        let following = follow(Arc::clone(&shared), controller, seams.clone());
        let mut stopped = shared.stopped.subscribe();
        let until_stopped = async move {
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => {}
                () = following => {}
            }
        };
        drop(seams.tasks.spawn("metadata-follower", Box::pin(until_stopped)));
        Self { shared }
    }

    /// The newest image.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.shared.image.borrow())
    }

    /// The offset of the newest image.
    pub fn offset(&self) -> MetadataOffset {
        self.shared.image.borrow().offset
    }

    /// The first image seen here that has replayed `offset`.
    ///
    /// # Errors
    /// When following ended before.
    pub async fn wait_for(&self, offset: MetadataOffset) -> Result<Arc<Image>, FollowerStopped> {
        self.wait_until(|image| image.offset >= offset).await
    }

    /// The first image seen here for which `holds` is true.
    ///
    /// # Errors
    /// When following ended before.
    pub async fn wait_until(
        &self,
        holds: impl Fn(&Image) -> bool + Send,
    ) -> Result<Arc<Image>, FollowerStopped> {
        let (mut images, mut stopped) =
            (self.shared.image.subscribe(), self.shared.stopped.subscribe());
        tokio::select! {
            biased;
            found = images.wait_for(|image| holds(image)) => {
                found.map(|image| Arc::clone(&image)).map_err(|_| FollowerStopped)
            }
            _ = stopped.wait_for(|stopped| *stopped) => Err(FollowerStopped),
        }
    }

    /// A reader of changes. Its first answer holds everything that exists by then.
    pub fn subscribe(&self) -> MetadataSubscription {
        let mailbox = Arc::new(Mailbox { waiting: Mutex::default(), filled: Notify::new() });
        let mut subscribers = lock(&self.shared.subscribers);
        // Under the lock, so that no image falls between this one and the ones that are delivered.
        let image = self.image();
        if image.offset > MetadataOffset(0) {
            let all = difference(&Image::default(), &image);
            mailbox.deliver(&image, &all);
        }
        subscribers.push(Arc::downgrade(&mailbox));
        MetadataSubscription { mailbox, stopped: self.shared.stopped.subscribe() }
    }

    /// Ends following; whoever waits is told.
    pub fn stop(&self) {
        self.shared.stopped.send_replace(true);
    }

    /// Completes when following ended: after `stop`, or because the image differs from the active controller's.
    pub async fn stopped(&self) {
        // The sender lives as long as `self`.
        _ = self.shared.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }
}

impl MetadataSubscription {
    /// The newest image and all that was touched since the last call; waits for news. `None`: following ended.
    pub async fn next(&mut self) -> Option<(Arc<Image>, Changes)> {
        loop {
            if let Some(news) = lock(&self.mailbox.waiting).take() {
                return Some(news);
            }
            tokio::select! {
                biased;
                () = self.mailbox.filled.notified() => {}
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
            }
        }
    }
}

impl Mailbox {
    fn deliver(&self, image: &Arc<Image>, changes: &Changes) {
        let mut waiting = lock(&self.waiting);
        let (newest, merged) =
            waiting.get_or_insert_with(|| (Arc::clone(image), Changes::default()));
        *newest = Arc::clone(image);
        absorb(merged, changes);
        drop(waiting);
        self.filled.notify_one();
    }
}

impl Shared {
    fn publish(&self, image: Arc<Image>, changes: &Changes) {
        let mut subscribers = lock(&self.subscribers);
        self.image.send_replace(Arc::clone(&image));
        subscribers.retain(|subscriber| match subscriber.upgrade() {
            Some(mailbox) => {
                if !changes.is_empty() {
                    mailbox.deliver(&image, changes);
                }
                true
            }
            None => false,
        });
    }

    /// Takes one step.
    fn take(&self, update: MetadataUpdate) -> Taken {
        let current = Arc::clone(&self.image.borrow());
        if let Err(other) = check_cluster(&current, &update) {
            return Taken::Refused(other);
        }
        let (image, changes) = match update {
            MetadataUpdate::Heartbeat(_) => return Taken::Followed,
            MetadataUpdate::Snapshot(image) if image.offset < current.offset => {
                return Taken::Misfit;
            }
            MetadataUpdate::Snapshot(image) => {
                let changes = difference(&current, &image);
                (image, changes)
            }
            MetadataUpdate::Events { first, events } => {
                if first > current.offset.next() || first == MetadataOffset(0) {
                    return Taken::Misfit;
                }
                let known = current.offset.0 - (first.0 - 1);
                let mut image = Image::clone(&current);
                let mut changes = Changes::default();
                for event in events.iter().skip(usize::try_from(known).unwrap_or(usize::MAX)) {
                    image.replay(event, &mut changes);
                }
                (Arc::new(image), changes)
            }
        };
        if let Some(mismatch) = &changes.mismatch {
            error!(
                "{mismatch}; this process stops following: restart it, and report this as a bug"
            );
            self.stopped.send_replace(true);
            return Taken::Misfit;
        }
        if image.offset > current.offset {
            self.publish(image, &changes);
        }
        Taken::Followed
    }
}

async fn follow(shared: Arc<Shared>, controller: Arc<dyn Controller>, seams: Seams) {
    let mut pause = FIRST_PAUSE;
    loop {
        match follow_one_stream(&shared, &*controller).await {
            Ok(Ended::AfterNews) => pause = FIRST_PAUSE,
            Ok(Ended::WithoutNews) => debug!("a metadata stream ended before it said anything"),
            // Once per stream. Goes on trying: whoever answers may be replaced while this process runs.
            Ok(Ended::Refused(other)) => error!("{other}"),
            // The first attempts of a cluster that starts together fail: that is no news.
            Err(error) if pause < LONGEST_PAUSE => debug!(%error, "no metadata yet"),
            Err(error) => warn!(%error, "the metadata cannot be followed; trying again"),
        }
        seams.clock.sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Follows until the stream ends, or cannot be followed.
async fn follow_one_stream(
    shared: &Shared,
    controller: &dyn Controller,
) -> Result<Ended, CallError> {
    let from = shared.image.borrow().offset;
    let mut updates = controller.watch_metadata(from).await?;
    let mut ended = Ended::WithoutNews;
    while let Some(update) = updates.next().await {
        match shared.take(update?) {
            Taken::Followed => ended = Ended::AfterNews,
            Taken::Misfit => {
                info!(%from, "the metadata stream does not follow what is here; asking again");
                return Ok(ended);
            }
            Taken::Refused(other) => return Ok(Ended::Refused(other)),
        }
    }
    Ok(ended)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
