//! Committed events on their way to the state store.
//!
//! Invariant: the driver never waits for the store. Where the store is too slow, events give way to one rebuild from the image:
//! the history has a gap then, and says so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use ottla_metadata::Image;
use tokio::sync::Notify;

use crate::quorum::driver::Applied;

/// Events that wait for the store.
const MAX_WAITING_EVENTS: usize = 50_000;

/// The queue; clones are the same queue.
#[derive(Clone, Default)]
pub struct StoreQueue {
    state: Arc<Mutex<State>>,
    is_filled: Arc<Notify>,
}

#[derive(Default)]
struct State {
    start: Option<Image>,
    rebuild: Option<Image>,
    events: VecDeque<Applied>,
    is_closed: bool,
}

/// What the writer does next.
pub(super) enum Work {
    /// The member begins with this image: whatever is not its past is rebuilt.
    Start(Image),
    /// Take this image over.
    Rebuild(Image),
    /// Take these events over.
    Events(Vec<Applied>),
    /// No more will come.
    Closed,
}

impl StoreQueue {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    pub(in crate::quorum) fn start_from(&self, image: &Image) {
        self.change(|state| state.start = Some(image.clone()));
    }

    pub(in crate::quorum) fn rebuild(&self, image: &Image) {
        self.change(|state| {
            state.events.clear();
            state.rebuild = Some(image.clone());
        });
    }

    pub(in crate::quorum) fn push(&self, applied: Vec<Applied>, committed: &Image) {
        self.change(|state| {
            if state.events.len() + applied.len() > MAX_WAITING_EVENTS {
                tracing::warn!("the metadata state store is too slow: its history will have a gap");
                state.events.clear();
                state.rebuild = Some(committed.clone());
            } else {
                state.events.extend(applied);
            }
        });
    }

    /// Lets the writer finish what waits, and end.
    pub fn close(&self) {
        self.change(|state| state.is_closed = true);
    }

    /// What is to be done next: everything that waits, as one piece of work.
    pub(super) async fn next(&self) -> Work {
        loop {
            let filled = self.is_filled.notified();
            if let Some(work) = self.take() {
                return work;
            }
            filled.await;
        }
    }

    fn take(&self) -> Option<Work> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = state.start.take() {
            return Some(Work::Start(image));
        }
        if let Some(image) = state.rebuild.take() {
            return Some(Work::Rebuild(image));
        }
        if !state.events.is_empty() {
            return Some(Work::Events(std::mem::take(&mut state.events).into()));
        }
        state.is_closed.then_some(Work::Closed)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.is_filled.notify_one();
    }
}
