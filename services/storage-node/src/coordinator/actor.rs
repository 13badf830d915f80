//! The life of a coordinator: load, serve, and after a failed append load again, until the node does not lead any more.
//!
//! Invariant: there is no undo: after a failure both states are dropped and everybody is told NOT_COORDINATOR. Nothing is loaded
//! before the appends of the life before have ended.

use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Seams;
use ottla_types::ErrorCode;
use tokio::sync::Semaphore;
use tracing::{debug, error, warn};

use super::inbox::{Standing, Taker};
use super::load::{LoadError, Loaded, load};
use super::offsets_log::OffsetsLog;
use super::serving::Serving;
use super::waiting::Waiting;
use crate::config::GroupConfig;
use crate::mutant::Mutation;

/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A coordinator.
pub(super) struct Actor {
    pub(super) seams: Seams,
    pub(super) config: GroupConfig,
    pub(super) log: OffsetsLog,
    pub(super) inbox: Taker,
    /// Who may load: shared by all coordinators of the node.
    pub(super) loads: Arc<Semaphore>,
    pub(super) mutation: Mutation,
}

impl Actor {
    /// Lives until it is stopped.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.inbox.shared);
        let mut waiting = Waiting::default();
        tokio::select! {
            biased;
            () = shared.stopped() => {}
            () = self.live(&mut waiting) => {}
        }
        waiting.refuse_all(ErrorCode::NotCoordinator);
        // Who is in the inbox learns it by the inbox's end.
    }

    async fn live(&mut self, waiting: &mut Waiting) {
        let mut pause = FIRST_PAUSE;
        loop {
            let loaded = self.load_at_last().await;
            let mut serving = Serving::new(self, loaded, waiting);
            self.inbox.shared.set_standing(Standing::Serving);
            let failure = serving.serve(&mut self.inbox).await;
            self.inbox.shared.set_standing(Standing::Loading);
            warn!(partition = %self.log.partition, "the group coordinator starts over: {failure}");
            let has_appended = serving.has_appended();
            let mut parked = serving.into_parked();
            waiting.refuse_all(ErrorCode::NotCoordinator);
            parked.drain().await;
            pause = if has_appended { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            self.pause(pause).await;
        }
    }

    async fn load_at_last(&mut self) -> Loaded {
        let mut pause = FIRST_PAUSE;
        let mut is_told = false;
        loop {
            match self.try_load().await {
                Ok(loaded) => return loaded,
                Err(cause) if cause.is_passing() => {
                    debug!(partition = %self.log.partition, %cause, "the group coordinator cannot load yet");
                }
                Err(cause) => {
                    self.inbox.shared.set_standing(Standing::Unreadable);
                    if !std::mem::replace(&mut is_told, true) {
                        error!(
                            partition = %self.log.partition,
                            "the groups of this partition are not served: {cause}; it is tried again"
                        );
                    }
                }
            }
            self.pause(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn try_load(&mut self) -> Result<Loaded, LoadError> {
        let _turn = self.loads.acquire().await;
        self.inbox.refuse_queued(ErrorCode::CoordinatorLoadInProgress);
        load(&self.log, &self.seams).await
    }

    async fn pause(&mut self, pause: Duration) {
        self.inbox.refuse_queued(ErrorCode::CoordinatorLoadInProgress);
        self.seams.clock.sleep(pause).await;
    }
}
