//! What all connections of a gateway share.
//!
//! Invariant: nothing here is changed by a request, but counters. Deliberately has no behaviour of its own: see the handlers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ottla_api::metadata_follower::MetadataFollower;
use ottla_api::{CallError, Controller};
use ottla_metadata::Image;
use ottla_runtime::Seams;
use ottla_types::{IncarnationId, Uuid};
use tokio::sync::watch;

use crate::backend::Backends;
use crate::config::GatewayConfig;
use crate::connection::{AnswerMemory, MemoryBudget, Slots};
use crate::fetch_sessions::FetchSessions;
use crate::handlers::{AddressBook, RefusedCreations};
use crate::layers::{AllowAll, Stacks};
use crate::metrics::GatewayMetrics;

/// What all connections of a gateway share.
pub(crate) struct Gateway {
    /// What it was told at its start.
    pub(crate) config: GatewayConfig,
    /// This life of the process.
    pub(crate) incarnation: IncarnationId,
    /// The machine.
    pub(crate) seams: Seams,
    /// The quorum.
    pub(crate) controller: Arc<dyn Controller>,
    /// The storage nodes.
    pub(crate) backends: Backends,
    /// Memory for requests.
    pub(crate) memory: MemoryBudget,
    /// Memory for answers.
    pub(crate) answers: AnswerMemory,
    /// Connections.
    pub(crate) slots: Arc<Slots>,
    /// Where the gateway is in its life.
    pub(crate) phases: Phases,
    /// What it counts.
    pub(crate) metrics: GatewayMetrics,
    /// Where clients find the storage nodes.
    pub(crate) addresses: AddressBook,
    /// Topics that could not be created automatically.
    pub(crate) refused_creations: RefusedCreations,
    /// Fetch sessions of its clients.
    pub(crate) fetch_sessions: FetchSessions,
    /// What is known of the cluster.
    pub(crate) metadata: MetadataFollower,
    stacks: Mutex<Stacks>,
}

/// What a gateway is made of.
pub(crate) struct Parts {
    pub(crate) config: GatewayConfig,
    pub(crate) seams: Seams,
    pub(crate) controller: Arc<dyn Controller>,
    pub(crate) backends: Backends,
    pub(crate) metadata: MetadataFollower,
    pub(crate) metrics: GatewayMetrics,
}

impl Gateway {
    /// A gateway that serves nobody yet.
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { config, seams, controller, backends, metadata, metrics } = parts;
        let limits = config.limits;
        let held = metrics.answer_bytes.clone();
        let answers = AnswerMemory::new(limits.answer_bytes, limits.max_request_bytes, held);
        let stacks = Stacks::new(&seams.clock, &(Arc::new(AllowAll) as _));
        Arc::new(Self {
            incarnation: IncarnationId(Uuid::from_random(seams.rng.next_u128())),
            memory: MemoryBudget::new(limits.queued_request_bytes, limits.max_request_bytes),
            answers,
            slots: Slots::new(limits),
            addresses: AddressBook::default(),
            refused_creations: RefusedCreations::default(),
            fetch_sessions: FetchSessions::new(config.fetch_session_slots, seams.rng.clone()),
            stacks: Mutex::new(stacks),
            config,
            seams,
            controller,
            backends,
            phases: Phases::new(),
            metadata,
            metrics,
        })
    }

    /// The layers, for a new connection.
    pub(crate) fn stacks(&self) -> Stacks {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The cluster as this gateway knows it.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.metadata.image()
    }

    /// Waits until this gateway's image is so.
    ///
    /// # Errors
    /// It was not within `limit`, or the metadata are followed no more.
    pub(crate) async fn wait_until(
        &self,
        limit: Duration,
        holds: impl Fn(&Image) -> bool + Send,
    ) -> Result<Arc<Image>, CallError> {
        tokio::select! {
            biased;
            found = self.metadata.wait_until(holds) => found.map_err(|_| CallError::Stopping),
            () = self.seams.clock.sleep(limit) => Err(CallError::TimedOut(limit)),
        }
    }
}

/// Where a gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Takes connections and requests.
    Serving,
    /// Takes none, and finishes the requests that it has.
    Closing,
    /// Everything ends.
    Closed,
}

/// The phases of a gateway: written by the service, watched by connections.
#[derive(Clone, Debug)]
pub(crate) struct Phases {
    sender: Arc<watch::Sender<Phase>>,
    receiver: watch::Receiver<Phase>,
}

impl Phases {
    /// Serving.
    pub(crate) fn new() -> Self {
        let (sender, receiver) = watch::channel(Phase::Serving);
        Self { sender: Arc::new(sender), receiver }
    }

    /// From now on no request is read.
    pub(crate) fn close(&self) {
        self.sender.send_replace(Phase::Closing);
    }

    /// Whatever still runs ends.
    pub(crate) fn end(&self) {
        self.sender.send_replace(Phase::Closed);
    }

    /// Whether no request is to be read.
    pub(crate) fn is_closing(&self) -> bool {
        *self.receiver.borrow() >= Phase::Closing
    }

    /// Whether everything ends.
    pub(crate) fn is_closed(&self) -> bool {
        *self.receiver.borrow() == Phase::Closed
    }

    /// Completes when no request is to be read any more.
    pub(crate) async fn closing(&mut self) {
        // The sender lives as long as `self`.
        _ = self.receiver.wait_for(|phase| *phase >= Phase::Closing).await;
    }

    /// Completes with the next phase.
    pub(crate) async fn next(&mut self) {
        // The sender lives as long as `self`.
        _ = self.receiver.changed().await;
    }
}
