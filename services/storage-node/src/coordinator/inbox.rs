//! The way to a coordinator, from both ends.
//!
//! Invariant: bounded: who comes while it is full is told to come again, nobody waits for room. A question that was taken is
//! answered once; if its coordinator ends before, with NOT_COORDINATOR.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ottla_coordinator::{Command, Reply, TopicName};
use ottla_types::{ErrorCode, TopicId};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::{Span, warn};

use super::picture::Picture;

/// Scrapes that may wait at one coordinator; a further one goes without.
const WAITING_SCRAPES: usize = 4;
/// Questions that may wait at one coordinator; who comes then is told COORDINATOR_NOT_AVAILABLE.
const INBOX_QUESTIONS: usize = 4096;
/// Deleted topics that a coordinator has not looked at yet, at most. Offsets of further ones stay until they expire.
const MAX_DELETED_TOPICS: usize = 100_000;

/// What came of a question.
pub(super) type Outcome = Result<Reply, ErrorCode>;

/// A question.
pub(super) struct Question {
    pub(super) command: Command,
    pub(super) span: Span,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// What a coordinator does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Standing {
    /// It reads its partition.
    ///
    /// Entered at its start, and after a failed append. Answers COORDINATOR_LOAD_IN_PROGRESS. Leaves to [`Self::Serving`] when
    /// all is read, to [`Self::Unreadable`] when that cannot be.
    Loading = 0,
    /// It decides.
    ///
    /// Entered when it is loaded. Answers all. Leaves to [`Self::Loading`] when an append fails.
    Serving = 1,
    /// Its partition cannot be read; it tries again and again.
    ///
    /// Entered from [`Self::Loading`]. Answers COORDINATOR_NOT_AVAILABLE. Leaves to [`Self::Serving`] when it could be read.
    Unreadable = 2,
}

/// The callers' end. Clones are the same.
#[derive(Clone)]
pub(super) struct Inbox {
    questions: mpsc::Sender<Question>,
    scrapes: mpsc::Sender<oneshot::Sender<Picture>>,
    shared: Arc<Shared>,
}

/// The coordinator's end.
pub(super) struct Taker {
    pub(super) questions: mpsc::Receiver<Question>,
    /// Whoever wants a picture of the groups.
    pub(super) scrapes: mpsc::Receiver<oneshot::Sender<Picture>>,
    pub(super) shared: Arc<Shared>,
}

/// What both ends see.
pub(super) struct Shared {
    standing: AtomicU8,
    max_batch_bytes: AtomicUsize,
    deleted: Mutex<Vec<(TopicName, TopicId)>>,
    /// Topics were deleted.
    pub(super) news: Notify,
    stopped: watch::Sender<bool>,
}

/// An inbox, and who takes from it.
pub(super) fn inbox(max_batch_bytes: usize) -> (Inbox, Taker) {
    let (questions, taken) = mpsc::channel(INBOX_QUESTIONS);
    let (scrapes, taken_scrapes) = mpsc::channel(WAITING_SCRAPES);
    let shared = Arc::new(Shared {
        standing: AtomicU8::new(Standing::Loading as u8),
        max_batch_bytes: AtomicUsize::new(max_batch_bytes),
        deleted: Mutex::default(),
        news: Notify::new(),
        stopped: watch::Sender::new(false),
    });
    let inbox = Inbox { questions, scrapes, shared: Arc::clone(&shared) };
    (inbox, Taker { questions: taken, scrapes: taken_scrapes, shared })
}

impl Inbox {
    /// Puts a question in at the first poll, and waits for its answer.
    pub(super) async fn ask(&self, command: Command, span: Span) -> Outcome {
        if command.token().is_none() {
            // What a coordinator does on its own account is nobody's to ask for.
            return Err(ErrorCode::InvalidRequest);
        }
        match self.shared.standing() {
            Standing::Loading => return Err(ErrorCode::CoordinatorLoadInProgress),
            Standing::Unreadable => return Err(ErrorCode::CoordinatorNotAvailable),
            Standing::Serving => {}
        }
        let (answer, answered) = oneshot::channel();
        match self.questions.try_send(Question { command, span, answer }) {
            Ok(()) => answered.await.unwrap_or(Err(ErrorCode::NotCoordinator)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(ErrorCode::CoordinatorNotAvailable),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ErrorCode::NotCoordinator),
        }
    }

    /// The groups at the moment; `None` unless the coordinator serves.
    pub(super) async fn picture(&self) -> Option<Picture> {
        if self.shared.standing() != Standing::Serving {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.scrapes.try_send(answer).ok()?;
        answered.await.ok()
    }

    /// Topics are gone: the coordinator removes their offsets when it comes to it.
    pub(super) fn topics_deleted(&self, topics: impl Iterator<Item = (TopicName, TopicId)>) {
        let mut deleted = self.shared.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        deleted.extend(topics);
        if deleted.len() > MAX_DELETED_TOPICS {
            let left = deleted.len() - MAX_DELETED_TOPICS;
            warn!(
                left,
                "too many topics were deleted at a time: some offsets stay until they expire"
            );
            deleted.truncate(MAX_DELETED_TOPICS);
        }
        drop(deleted);
        self.shared.news.notify_one();
    }

    /// `max.message.bytes` of the topic, as it is now.
    pub(super) fn set_max_batch_bytes(&self, bytes: usize) {
        self.shared.max_batch_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Ends the coordinator.
    pub(super) fn stop(&self) {
        self.shared.stopped.send_replace(true);
    }
}

impl Shared {
    fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Acquire) {
            0 => Standing::Loading,
            1 => Standing::Serving,
            _ => Standing::Unreadable,
        }
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        self.standing.store(standing as u8, Ordering::Release);
    }

    pub(super) fn max_batch_bytes(&self) -> usize {
        self.max_batch_bytes.load(Ordering::Relaxed)
    }

    /// Topics that were deleted since the last call.
    pub(super) fn take_deleted(&self) -> Vec<(TopicName, TopicId)> {
        std::mem::take(&mut *self.deleted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Completes when the coordinator is to end.
    pub(super) async fn stopped(&self) {
        // The sender lives as long as `self`.
        _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }
}

impl Taker {
    /// Answers all that is in the inbox now.
    pub(super) fn refuse_queued(&mut self, error: ErrorCode) {
        while let Ok(question) = self.questions.try_recv() {
            // A caller that went away does not need it.
            _ = question.answer.send(Err(error));
        }
    }
}

#[cfg(test)]
mod tests;
