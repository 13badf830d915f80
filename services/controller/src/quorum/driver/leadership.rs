//! What a member holds while it leads: the image that runs ahead of the commit index, and the answers that wait for it.
//!
//! Invariant: an answer leaves only when everything that it was decided from is committed and applied. All of it goes when
//! leadership goes (P9).

use std::collections::VecDeque;
use std::time::Duration;

use ottla_api::CallError;
use ottla_api::controller::Submitted;
use ottla_metadata::{Image, Soft};
use raft::eraftpb::Entry;
use tokio::sync::oneshot;

use super::applied::Applied;
use super::stages::Stages;

/// Who waits for a command.
pub(super) type AnswerTo = oneshot::Sender<Result<Submitted, CallError>>;

/// The time as leader of one term.
pub(super) struct Leadership {
    pub(super) term: u64,
    /// Decisions begin once the entries up to here are applied: then the image knows all that earlier leaders may have committed.
    pub(super) ready_at: u64,
    /// Entries up to here were committed when it began.
    pub(super) old_news_to: u64,
    /// There from then on.
    pub(super) decider: Option<Decider>,
    pending: VecDeque<Pending>,
    pending_bytes: u64,
    next_proposal: u64,
}

/// What decisions are made from.
pub(super) struct Decider {
    /// The image with all that is decided.
    pub(super) image: Image,
    /// What dies with leadership.
    pub(super) soft: Soft,
    /// When the next `Tick` is due.
    pub(super) tick_due: Option<Duration>,
}

/// Identity of a proposal, in the entry's context (P9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProposalId {
    term: u64,
    number: u64,
}

/// A proposal that is not committed yet.
pub(super) struct Pending {
    id: ProposalId,
    index: u64,
    bytes: usize,
    pub(super) applied: Vec<Applied>,
    pub(super) answers: Vec<Answer>,
}

/// An answer that waits.
pub(super) struct Answer {
    pub(super) to: AnswerTo,
    pub(super) submitted: Submitted,
    pub(super) stages: Stages,
}

impl Leadership {
    pub(super) fn new(term: u64, ready_at: u64, old_news_to: u64) -> Self {
        Self {
            term,
            ready_at,
            old_news_to,
            decider: None,
            pending: VecDeque::new(),
            pending_bytes: 0,
            next_proposal: 0,
        }
    }

    pub(super) fn next_id(&mut self) -> ProposalId {
        self.next_proposal += 1;
        ProposalId { term: self.term, number: self.next_proposal }
    }

    pub(super) fn proposed(
        &mut self,
        id: ProposalId,
        at: (u64, usize),
        applied: Vec<Applied>,
        mut answers: Vec<Answer>,
    ) {
        let (index, bytes) = at;
        answers.iter_mut().for_each(|answer| answer.stages.append(bytes));
        self.pending_bytes += bytes as u64;
        self.pending.push_back(Pending { id, index, bytes, applied, answers });
    }

    /// The entries up to here are in this member's log.
    pub(super) fn appended_up_to(&mut self, index: u64) {
        for pending in self.pending.iter_mut().rev().take_while(|pending| pending.index <= index) {
            pending.answers.iter_mut().for_each(|answer| answer.stages.commit());
        }
    }

    /// The proposal of a committed entry, if it is one of this leadership: they are committed in order.
    pub(super) fn take_committed(&mut self, entry: &Entry) -> Option<Pending> {
        let id = ProposalId::from_bytes(&entry.context)?;
        if self.pending.front()?.id != id {
            return None;
        }
        let pending = self.pending.pop_front()?;
        self.pending_bytes -= pending.bytes as u64;
        Some(pending)
    }

    /// An answer without events: it waits for what it was decided from.
    pub(super) fn answer_after_pending(&mut self, answer: Answer) {
        match self.pending.back_mut() {
            Some(pending) => pending.answers.push(answer),
            None => answer.send(),
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// P9: nobody is told that it failed, nor that it was not begun, for it may yet be committed.
    pub(super) fn p9_answer_all_as_unknown(self) {
        for answer in self.pending.into_iter().flat_map(|pending| pending.answers) {
            let peer = "the quorum".to_owned();
            let cause = "the controller lost its role while this was being decided; it may be done all the same";
            // Whoever gave up waiting needs no answer.
            _ = answer.to.send(Err(CallError::Unreachable { peer, cause: cause.to_owned() }));
        }
    }
}

impl Answer {
    pub(super) fn send(mut self) {
        self.stages.apply(self.submitted.offset.0);
        // Whoever gave up waiting needs no answer.
        _ = self.to.send(Ok(self.submitted));
        self.stages.finish();
    }
}

impl ProposalId {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.term.to_le_bytes(), self.number.to_le_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (term, number) = bytes.split_first_chunk::<8>()?;
        let number = <[u8; 8]>::try_from(number).ok()?;
        Some(Self { term: u64::from_le_bytes(*term), number: u64::from_le_bytes(number) })
    }
}
