//! What peers send reaches raft, if it may (P8, P12).
//!
//! Invariant: a message that is refused costs one log line per sender and interval, never more.

use ottla_types::NodeId;
use raft::SnapshotStatus;
use raft::eraftpb::{Message, MessageType};

use super::super::peers::{EnvelopeFault, LogBounds, Opened, is_later, p12_check_message};
use super::install::Received;
use super::{Driver, PeerInput, Stop};
use ottla_api::raft::RaftEnvelope;

impl Driver {
    /// Takes in what came since the last turn.
    pub(super) fn take_peer_inputs(&mut self) -> Result<(), Stop> {
        for input in self.inbox.take() {
            match input {
                PeerInput::Message(envelope) => self.take_message(&envelope)?,
                PeerInput::Snapshot { envelope, received, taken } => {
                    let outcome = self.take_snapshot(&envelope, *received)?;
                    // The sender may be gone.
                    _ = taken.send(outcome);
                }
                PeerInput::SnapshotSent { raft_id, taken } => {
                    let status =
                        if taken { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
                    self.raft.report_snapshot(raft_id, status);
                }
                PeerInput::Unreachable(node) => self.p6_report_unreachable(node),
                PeerInput::SnapshotWritten(outcome) => self.snapshot_written(outcome)?,
                PeerInput::Status(answer) => {
                    // Whoever gave up waiting needs no answer.
                    _ = answer.send(self.status());
                }
                // Whoever gave up waiting needs no answer.
                PeerInput::Silences(answer) => _ = answer.send(self.silences()),
                PeerInput::Stop => self.begin_stopping(),
                PeerInput::Fail(cause) => return Err(Stop::Outside(cause)),
            }
            self.note_role();
        }
        Ok(())
    }

    fn take_message(&mut self, envelope: &RaftEnvelope) -> Result<(), Stop> {
        let Some(message) = self.open_envelope(envelope)? else { return Ok(()) };
        if message.get_msg_type() == MessageType::MsgSnapshot {
            // P17: snapshots have a stream of their own.
            return Ok(());
        }
        self.step(message)
    }

    fn take_snapshot(
        &mut self,
        envelope: &RaftEnvelope,
        received: Received,
    ) -> Result<Result<(), String>, Stop> {
        let Some(message) = self.open_envelope(envelope)? else {
            return Ok(Err("the receiver does not take messages from this member".into()));
        };
        let metadata = message.get_snapshot().get_metadata();
        if !received.is_of(metadata) {
            return Ok(Err("the announced snapshot is another than the one that came".into()));
        }
        self.received = Some(received);
        self.step(message)?;
        Ok(Ok(()))
    }

    /// P8, P12: the message of an envelope, if raft may see it.
    fn open_envelope(&mut self, envelope: &RaftEnvelope) -> Result<Option<Message>, Stop> {
        let cluster_id = self.committed.cluster_id.as_ref().or(self.config.cluster_id.as_ref());
        let opened = self.peers.open_envelope(envelope, cluster_id).and_then(|opened| {
            let raft = &self.raft.raft;
            let (leader, term) = (raft.leader_id, raft.term);
            if let Opened::Message(message) = &opened {
                // A later disk may be a member of which this one has not heard yet; a first disk that is none was replaced.
                if raft.prs().get(message.from).is_none() && !is_later(message.from) {
                    return Err(EnvelopeFault::Replaced(envelope.from));
                }
                let last_index = raft.raft_log.last_index();
                p12_check_message(message, LogBounds { last_index, leader, term })?;
            }
            Ok(opened)
        });
        match opened {
            Ok(Opened::Message(message)) => {
                self.note_heard(envelope.from_raft_id);
                Ok(Some(*message))
            }
            Ok(Opened::Hello { wants_answer }) => {
                if wants_answer {
                    self.greet(envelope.from);
                }
                Ok(None)
            }
            Ok(Opened::Newcomer(directory)) => {
                let now = self.seams.clock.monotonic();
                self.membership.newcomer(envelope.from, directory, now);
                Ok(None)
            }
            Err(EnvelopeFault::Directories(error)) => Err(error.into()),
            Err(fault) => self.refuse(envelope, &fault).map(|()| None),
        }
    }

    fn refuse(&mut self, envelope: &RaftEnvelope, fault: &EnvelopeFault) -> Result<(), Stop> {
        if let EnvelopeFault::OurDirectory { .. } = fault {
            self.p8_our_disk_is_new()?;
        }
        let now = self.seams.clock.monotonic();
        if self.health.may_complain(envelope.from, now) {
            tracing::warn!(from = %envelope.from, "refused a message of the quorum: {fault}");
            if let EnvelopeFault::OtherDirectory { .. } | EnvelopeFault::Replaced(_) = fault {
                // So that it learns that its disk is not the one that we know.
                self.greet(envelope.from);
            }
        }
        Ok(())
    }

    /// P6: none of a node's disks can be reached.
    pub(super) fn p6_report_unreachable(&mut self, node: NodeId) {
        self.peers.ids_of(node).into_iter().for_each(|id| self.raft.report_unreachable(id));
    }

    /// P8: makes this member's directory known to a peer.
    pub(super) fn greet(&self, node: NodeId) {
        let hello = self.peers.hello(node, self.committed.cluster_id.as_ref());
        // A greeting that is lost is sent again.
        _ = self.sender.send(node, vec![hello]);
    }

    fn step(&mut self, message: Message) -> Result<(), Stop> {
        match self.raft.step(message) {
            Ok(()) | Err(raft::Error::StepPeerNotFound | raft::Error::ProposalDropped) => Ok(()),
            Err(error) => Err(Stop::Raft(error.to_string())),
        }
    }
}
