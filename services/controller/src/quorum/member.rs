//! A member of the quorum as the rest of the process sees it: its actors are started here, and asked through [`Member`].
//!
//! Invariant: asking never waits for longer than the asker allows, and a member that has ended says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ottla_api::controller::{QuorumStatus, Submitted};
use ottla_api::{CallError, RequestContext};
use ottla_metadata::Command;
use ottla_runtime::Seams;
use ottla_runtime::metrics::LatencyHistogram;
use ottla_runtime::seams::{Actor, TaskHandle};
use ottla_types::{MetadataOffset, NodeId};
use tokio::sync::{mpsc, oneshot, watch};

use super::driver::{Driver, Inbox, Links, PeerInput, QuorumConfig, Received, Stop, Submission};
use super::published::{Published, Publisher};
use super::snapshots::Snapshots;
use super::state_store::{StateStore, StoreQueue, StoreWriter};
use crate::transport::PeerSender;
use ottla_api::raft::RaftEnvelope;

/// How long the health of the quorum may take to be told.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// What a member asks of the others, and what they ask of it. Clones are the same member.
#[derive(Clone)]
pub struct Member {
    node: NodeId,
    seams: Seams,
    peers: mpsc::Sender<PeerInput>,
    commands: mpsc::Sender<Submission>,
    snapshots: Arc<Snapshots>,
    store: Arc<dyn StateStore>,
    store_progress: watch::Receiver<MetadataOffset>,
    log_syncs: LatencyHistogram,
    /// What is committed, and who leads.
    pub published: Published,
    ended: watch::Receiver<Option<Result<(), String>>>,
}

/// The running actors of a member.
pub struct MemberTask {
    driver: TaskHandle,
    writer: TaskHandle,
    queue: StoreQueue,
    outcome: Arc<Mutex<Option<Stop>>>,
    ended: watch::Sender<Option<Result<(), String>>>,
}

/// Starts a member: reads its disk, then runs its actors.
pub fn start(
    config: QuorumConfig,
    seams: Seams,
    sender: Arc<dyn PeerSender>,
    store: Arc<dyn StateStore>,
) -> Result<(Member, MemberTask), Stop> {
    let (peers, commands, inbox) = Inbox::new();
    let (publisher, published) = Publisher::new(peers.clone());
    let (node, queue) = (config.node, StoreQueue::new());
    let links = Links { sender, inbox, publisher, store: queue.clone() };
    let driver = Driver::open(config, seams.clone(), links)?;
    let (ended, ended_here) = watch::channel(None);
    let writer = StoreWriter::new(store.clone(), queue.clone());
    let member = Member {
        node,
        seams: seams.clone(),
        peers,
        commands,
        snapshots: driver.snapshots(),
        log_syncs: driver.log_syncs(),
        store,
        store_progress: writer.progress(),
        published,
        ended: ended_here,
    };
    let writer: Actor = Box::new(move || Box::pin(writer.run()));
    let writer = seams.tasks.spawn_actor(format!("metadata-store-{node}"), writer);
    let outcome = Arc::new(Mutex::new(None));
    let result = outcome.clone();
    let run: Actor = Box::new(move || {
        Box::pin(async move {
            if let Err(stop) = driver.run().await {
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop);
            }
        })
    });
    let driver = seams.tasks.spawn_actor(format!("quorum-{node}"), run);
    Ok((member, MemberTask { driver, writer, queue, outcome, ended }))
}

impl MemberTask {
    /// Waits until the member ended; the error is why it could not go on. A panic in raft is one of them (P14): the process must
    /// end with it.
    pub async fn join(self) -> Result<(), String> {
        let panicked = self.driver.join().await;
        let stop = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        let outcome = match (panicked, stop) {
            (Err(panic), _) => Err(panic),
            (Ok(()), Some(stop)) => Err(stop.to_string()),
            (Ok(()), None) => Ok(()),
        };
        if let Err(cause) = &outcome {
            tracing::error!("the controller cannot go on: {cause}");
        }
        self.ended.send_replace(Some(outcome.clone()));
        self.queue.close();
        self.writer.join().await?;
        outcome
    }
}

impl Member {
    /// Its `node.id`.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// How long its log takes to be durable.
    pub fn log_syncs(&self) -> &LatencyHistogram {
        &self.log_syncs
    }

    /// Lists and history.
    pub fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    /// Waits until lists and history hold everything up to an offset, or `limit` has passed.
    pub async fn store_reached(&self, offset: MetadataOffset, limit: Duration) {
        let mut progress = self.store_progress.clone();
        tokio::select! {
            biased;
            // A writer that ended makes no more progress.
            _ = progress.wait_for(|at| *at >= offset) => {}
            () = self.seams.clock.sleep(limit) => {}
        }
    }

    /// Waits until this member has applied everything up to an offset, or `limit` has passed; says whether it has.
    pub async fn applied(&self, offset: MetadataOffset, limit: Duration) -> bool {
        let mut committed = self.published.committed.clone();
        tokio::select! {
            biased;
            reached = committed.wait_for(|committed| committed.image.offset >= offset) => reached.is_ok(),
            () = self.seams.clock.sleep(limit) => false,
        }
    }

    /// Has a command decided, if this member is the active controller.
    pub async fn submit(
        &self,
        context: RequestContext,
        command: Command,
    ) -> Result<Submitted, CallError> {
        let timeout = context.timeout;
        let (answer, answered) = oneshot::channel();
        let submission = Submission { context, command, answer };
        self.commands.try_send(submission).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CallError::Overloaded("the controller".into()),
            // Not begun: another member may be asked.
            mpsc::error::TrySendError::Closed(_) => CallError::NotActive { active: None },
        })?;
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or(Err(CallError::Stopping)),
            () = self.seams.clock.sleep(timeout) => Err(CallError::TimedOut(timeout)),
        }
    }

    /// The health of the quorum.
    pub async fn status(&self) -> Result<QuorumStatus, CallError> {
        self.ask(PeerInput::Status).await
    }

    /// How long the active controller has not heard each other voter, in milliseconds; empty where this member is not active.
    pub async fn silences(&self) -> Result<BTreeMap<NodeId, i64>, CallError> {
        self.ask(PeerInput::Silences).await
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> PeerInput,
    ) -> Result<T, CallError> {
        let (answer, answered) = oneshot::channel();
        let asked = self.peers.send(question(answer));
        let ask = async {
            asked.await.map_err(|_| CallError::Stopping)?;
            answered.await.map_err(|_| CallError::Stopping)
        };
        tokio::select! {
            biased;
            status = ask => status,
            () = self.seams.clock.sleep(STATUS_TIMEOUT) => Err(CallError::TimedOut(STATUS_TIMEOUT)),
        }
    }

    /// A message of another member came. Dropped when there are too many: the consensus tolerates it.
    pub fn receive(&self, envelope: RaftEnvelope) {
        // A full inbox is overload, a closed one the end: both lose the message, as a network would.
        _ = self.peers.try_send(PeerInput::Message(envelope));
    }

    /// A snapshot of another member came, whole (P17). The error is for its sender.
    pub async fn receive_snapshot(
        &self,
        envelope: RaftEnvelope,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        let snapshots = self.snapshots.clone();
        let (tell, told) = oneshot::channel();
        let check = move || {
            let snapshot = snapshots.decode_received(&bytes).map_err(|error| error.to_string());
            // The stream may have ended meanwhile.
            _ = tell.send(snapshot.and_then(Received::new));
        };
        self.seams.tasks.run_blocking(Box::new(check)).await;
        let ended = |_| "the member is stopping".to_owned();
        let received = Box::new(told.await.map_err(|_| ended(()))??);
        let (taken, outcome) = oneshot::channel();
        let input = PeerInput::Snapshot { envelope, received, taken };
        self.peers.send(input).await.map_err(|_| ended(()))?;
        outcome.await.map_err(|_| ended(()))?
    }

    /// A peer cannot be reached (P6).
    pub fn report_unreachable(&self, node: NodeId) {
        // In a full inbox the report waits for its next time.
        _ = self.peers.try_send(PeerInput::Unreachable(node));
    }

    /// Asks the member to hand over leadership and to end.
    pub async fn stop(&self) {
        // A member that has ended already is stopped.
        _ = self.peers.send(PeerInput::Stop).await;
    }

    /// Ends the member for a reason outside of the quorum.
    pub fn fail(&self, cause: String) {
        // A full inbox is that of a member that hangs: its process is ended by whoever watches it.
        _ = self.peers.try_send(PeerInput::Fail(cause));
    }

    /// Waits until the member has ended; with the cause where it was not asked to.
    pub async fn ended(&self) -> Result<(), String> {
        let mut ended = self.ended.clone();
        let outcome = ended.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Ok(()))
    }
}
