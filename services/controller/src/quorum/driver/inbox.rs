//! What reaches the driver from outside: two bounded queues, so that commands never keep the consensus waiting.
//!
//! Invariant: a turn takes in a bounded number of inputs and of bytes.

use std::collections::{BTreeMap, VecDeque};

use futures::future::BoxFuture;
use ottla_api::controller::{QuorumStatus, Submitted};
use ottla_api::{CallError, RequestContext};
use ottla_metadata::Command;
use ottla_types::NodeId;
use tokio::sync::{mpsc, oneshot};

use super::install::Received;
use crate::quorum::snapshots::{SnapshotError, SnapshotHead};
use ottla_api::raft::RaftEnvelope;

/// Messages of peers that wait; more are dropped, which the consensus tolerates.
pub(super) const MAX_WAITING_PEER_INPUTS: usize = 1_024;
/// Commands that wait; more are refused as overload.
pub(super) const MAX_WAITING_COMMANDS: usize = 4_096;
/// Peer inputs that one turn takes in.
const MAX_INPUTS_PER_TURN: usize = 128;

/// What the consensus itself hears.
pub enum PeerInput {
    /// A message of another member.
    Message(RaftEnvelope),
    /// A snapshot of another member, checked already (P17). `Err` tells the sender why it is not taken.
    Snapshot {
        /// The message that announces it.
        envelope: RaftEnvelope,
        /// Its content.
        received: Box<Received>,
        /// Told once raft has it.
        taken: oneshot::Sender<Result<(), String>>,
    },
    /// Whether a snapshot reached a peer (P6).
    SnapshotSent {
        /// The peer.
        raft_id: u64,
        /// Whether it took it.
        taken: bool,
    },
    /// A peer cannot be reached (P6).
    Unreachable(NodeId),
    /// Whether a snapshot of our own was written.
    SnapshotWritten(Result<SnapshotHead, SnapshotError>),
    /// Asks for the health of the quorum.
    Status(oneshot::Sender<QuorumStatus>),
    /// Asks how long each other voter was not heard, in milliseconds.
    Silences(oneshot::Sender<BTreeMap<NodeId, i64>>),
    /// The member is to stop.
    Stop,
    /// The member cannot go on, for a reason outside of the quorum.
    Fail(String),
}

/// A command and who waits for its answer.
pub struct Submission {
    /// Who asks.
    pub context: RequestContext,
    /// What.
    pub command: Command,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Submitted, CallError>>,
}

/// The driver's end of the queues.
pub struct Inbox {
    peers: mpsc::Receiver<PeerInput>,
    commands: mpsc::Receiver<Submission>,
    taken: Vec<PeerInput>,
}

impl Inbox {
    /// The two queues: for peers, for commands, and the driver's end of both.
    pub fn new() -> (mpsc::Sender<PeerInput>, mpsc::Sender<Submission>, Self) {
        let (to_peers, peers) = mpsc::channel(MAX_WAITING_PEER_INPUTS);
        let (to_commands, commands) = mpsc::channel(MAX_WAITING_COMMANDS);
        (to_peers, to_commands, Self { peers, commands, taken: Vec::new() })
    }

    /// Waits for an input or for the end of `tick`, then takes in all that came. Never ends for want of senders: the driver's
    /// owner tells it to stop.
    pub(super) async fn wait(
        &mut self,
        tick: BoxFuture<'static, ()>,
        waiting: &mut VecDeque<Submission>,
    ) {
        let room = MAX_WAITING_COMMANDS.saturating_sub(waiting.len());
        tokio::select! {
            biased;
            Some(input) = self.peers.recv() => self.taken.push(input),
            Some(submission) = self.commands.recv(), if room > 0 => waiting.push_back(submission),
            () = tick => {}
        }
        while self.taken.len() < MAX_INPUTS_PER_TURN
            && let Ok(input) = self.peers.try_recv()
        {
            self.taken.push(input);
        }
        while waiting.len() < MAX_WAITING_COMMANDS
            && let Ok(submission) = self.commands.try_recv()
        {
            waiting.push_back(submission);
        }
    }

    /// Takes no more commands; returns those that came and were not taken.
    pub(super) fn close(&mut self) -> Vec<Submission> {
        self.commands.close();
        std::iter::from_fn(|| self.commands.try_recv().ok()).collect()
    }

    pub(super) fn take(&mut self) -> Vec<PeerInput> {
        std::mem::take(&mut self.taken)
    }
}
