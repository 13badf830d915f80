//! Commands become events: decided against the image that runs ahead, proposed as one entry, replayed at once.
//!
//! Invariant: events are replayed onto the speculative image in the order in which they are proposed, and only events that raft
//! took are kept.

use ottla_api::CallError;
use ottla_api::controller::Submitted;
use ottla_metadata::{Command, Context, Event, Image, Now, Soft, codec, decide};
use ottla_types::{ClusterId, Uuid};

use super::applied::Applied;
use super::leadership::{Answer, Decider};
use super::settings::MAX_UNCOMMITTED_BYTES;
use super::stages::Stages;
use super::{Driver, Stop, Submission};

/// Events that are proposed as one entry, unless one decision has more (P16).
const MAX_EVENTS_PER_PROPOSAL: usize = 1_000;
/// The same, in bytes.
const MAX_BYTES_PER_PROPOSAL: usize = 1 << 20;
/// Commands wait while this much is proposed and not committed; half of what raft would take.
const MAX_PENDING_BYTES: u64 = MAX_UNCOMMITTED_BYTES / 2;

/// What becomes one entry.
#[derive(Default)]
struct Proposal {
    events: Vec<Event>,
    bytes: usize,
    applied: Vec<Applied>,
    answers: Vec<Answer>,
}

impl Proposal {
    /// Adds the events of one decision, which are never split.
    fn add(&mut self, image: &mut Image, events: Vec<Event>) {
        for event in events {
            self.bytes += codec::event_len(&event);
            self.applied.push(Applied::replay(image, event.clone()));
            self.events.push(event);
        }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= MAX_EVENTS_PER_PROPOSAL || self.bytes >= MAX_BYTES_PER_PROPOSAL
    }
}

impl Driver {
    /// Whether commands can be decided now.
    pub(super) fn can_decide(&self) -> bool {
        let Some(leadership) = &self.leadership else { return false };
        let hands_over = self.raft.raft.lead_transferee.is_some();
        leadership.decider.is_some()
            && !hands_over
            && leadership.pending_bytes() < MAX_PENDING_BYTES
    }

    /// P16: decides all commands that wait, in as few entries as possible.
    pub(super) fn p16_decide_waiting(&mut self) -> Result<(), Stop> {
        if self.leadership.is_none() {
            self.refuse_waiting();
            return Ok(());
        }
        let mut proposal = Proposal::default();
        self.decide_tick(&mut proposal);
        while self.can_decide() {
            let Some(submission) = self.waiting.pop_front() else { break };
            self.decide_one(submission, &mut proposal);
            if proposal.is_full() {
                self.propose(std::mem::take(&mut proposal))?;
            }
        }
        self.propose(proposal)
    }

    fn decide_one(&mut self, submission: Submission, proposal: &mut Proposal) {
        let Submission { context, command, answer } = submission;
        let stages = Stages::propose(context.span);
        let Some((events, reply)) = self.ask_core(command) else { return };
        let decider = self.decider().expect("a command was just decided");
        proposal.add(&mut decider.image, events);
        let submitted = Submitted { reply, offset: decider.image.offset };
        let answer = Answer { to: answer, submitted, stages };
        if !proposal.events.is_empty() {
            proposal.answers.push(answer);
        } else if let Some(leadership) = &mut self.leadership {
            leadership.answer_after_pending(answer);
        }
    }

    /// Time passed: sessions and leases are checked when the first of them can end.
    fn decide_tick(&mut self, proposal: &mut Proposal) {
        let now = self.seams.clock.monotonic();
        let is_due =
            self.decider().and_then(|decider| decider.tick_due).is_some_and(|due| due <= now);
        if is_due
            && self.can_decide()
            && let Some((events, _)) = self.ask_core(Command::Tick)
            && let Some(decider) = self.decider()
        {
            proposal.add(&mut decider.image, events);
        }
    }

    fn ask_core(&mut self, command: Command) -> Option<(Vec<Event>, ottla_metadata::Reply)> {
        let (now, seed) = (self.now(), self.seams.rng.next_u64());
        let context = Context { settings: &self.config.domain, now, seed };
        let decider = self.leadership.as_mut()?.decider.as_mut()?;
        let decision = decide(&decider.image, &mut decider.soft, command, &context);
        decider.tick_due = decision.deadline;
        Some((decision.events, decision.reply))
    }

    /// Proposes events; where raft does not take them, everything that was decided and not proposed is forgotten.
    fn propose(&mut self, proposal: Proposal) -> Result<(), Stop> {
        let Proposal { events, applied, answers, .. } = proposal;
        if events.is_empty() {
            debug_assert!(answers.is_empty(), "answers without events wait elsewhere");
            return Ok(());
        }
        let data = codec::encode_events(&events);
        let bytes = data.len();
        let leadership = self.leadership.as_mut().expect("only a leader decides");
        let id = leadership.next_id();
        match self.raft.propose(id.to_bytes(), data) {
            Ok(()) => {
                let index = self.raft.raft.raft_log.last_index();
                leadership.proposed(id, (index, bytes), applied, answers);
                Ok(())
            }
            Err(raft::Error::ProposalDropped) => {
                tracing::warn!(bytes, "raft took no proposal; commands are refused until it does");
                leadership.decider = None;
                leadership.ready_at = self.raft.raft.raft_log.last_index();
                for answer in answers {
                    // Whoever gave up waiting needs no answer.
                    _ = answer.to.send(Err(CallError::Overloaded("the controller".into())));
                }
                Ok(())
            }
            Err(error) => Err(Stop::Raft(error.to_string())),
        }
    }

    /// A new leader decides once it has applied all that its predecessors may have committed.
    pub(super) fn become_ready_to_decide(&mut self) -> Result<(), Stop> {
        let now = self.now();
        let Some(leadership) = &mut self.leadership else { return Ok(()) };
        let is_ready = self.applied_index >= leadership.ready_at && !leadership.has_pending();
        if leadership.decider.is_some() || !is_ready {
            return Ok(());
        }
        let image = self.committed.clone();
        let soft = Soft::new_leader(&image, now);
        let tick_due = soft.next_deadline(&self.config.domain);
        let is_formatted = image.cluster_id.is_some();
        leadership.decider = Some(Decider { image, soft, tick_due });
        if !is_formatted {
            self.format_cluster()?;
        }
        self.note_role();
        Ok(())
    }

    /// The first leader of a new cluster gives it its id.
    fn format_cluster(&mut self) -> Result<(), Stop> {
        let drawn = || ClusterId::new(Uuid::from_random(self.seams.rng.next_u128()).to_string());
        let cluster_id = self.config.cluster_id.clone().unwrap_or_else(drawn);
        tracing::info!(%cluster_id, "formats the cluster");
        let decider = self.decider().expect("the caller made it");
        let mut proposal = Proposal::default();
        proposal.add(&mut decider.image, vec![Event::ClusterFormatted { cluster_id }]);
        self.propose(proposal)
    }

    /// P9: only the leader decides, and raft never forwards. What waits was not begun.
    pub(super) fn refuse_waiting(&mut self) {
        let active = self.peers.node(self.raft.raft.leader_id);
        for submission in self.waiting.drain(..) {
            // Whoever gave up waiting needs no answer.
            _ = submission.answer.send(Err(CallError::NotActive { active }));
        }
    }

    fn decider(&mut self) -> Option<&mut Decider> {
        self.leadership.as_mut()?.decider.as_mut()
    }

    fn now(&self) -> Now {
        Now { wall: self.seams.clock.wall(), monotonic: self.seams.clock.monotonic() }
    }
}
