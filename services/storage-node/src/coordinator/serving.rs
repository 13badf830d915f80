//! A coordinator that is loaded: takes what is queued, decides, appends, replays, replies.
//!
//! Invariant: the steps of `ottla_coordinator`'s first page, in that order. Each append lands right behind the one before: if one
//! does not, the log holds what this state does not know, and the state is dropped.

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use ottla_coordinator::{
    Changes, Command, Context, Decision, Durable, Event, Note, Now, Settings, Soft, decide, records,
};
use ottla_log_format::BatchBuilder;
use ottla_runtime::Seams;
use ottla_types::{ErrorCode, Offset, TimestampMs};
use tracing::{Span, info, warn};

use super::actor::Actor;
use super::inbox::{Question, Shared, Taker};
use super::load::Loaded;
use super::offsets_log::OffsetsLog;
use super::parked::{Ended, Parked};
use super::picture::Picture;
use super::waiting::Waiting;
use crate::mutant::{Mutant, Mutation};

/// Questions that one turn takes from the inbox.
const TURN_QUESTIONS: usize = 256;

/// Why a coordinator starts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The partition did not take a batch.
    #[error("an append was answered {0}")]
    Append(ErrorCode),
    /// The log had grown by something else.
    #[error(
        "a batch landed at {found} and not at {expected}: the log holds what this coordinator did not know of"
    )]
    Elsewhere {
        /// Where it should have landed.
        expected: Offset,
        /// Where it did.
        found: Offset,
    },
}

/// A loaded coordinator.
pub(super) struct Serving<'a> {
    log: OffsetsLog,
    seams: Seams,
    settings: Settings,
    expire_interval: Duration,
    durable: Durable,
    soft: Soft,
    /// Where the next append that is not answered yet must land.
    end: Offset,
    waiting: &'a mut Waiting,
    queue: VecDeque<Question>,
    parked: Parked,
    /// What is to be decided before anything else.
    next: Option<Command>,
    /// When [`Command::Tick`] is due, in monotonic time.
    deadline: Option<Duration>,
    /// When [`Command::Expire`] is due, in monotonic time.
    next_expire: Duration,
    has_appended: bool,
    mutation: Mutation,
}

impl<'a> Serving<'a> {
    pub(super) fn new(actor: &Actor, loaded: Loaded, waiting: &'a mut Waiting) -> Self {
        let seams = actor.seams.clone();
        let settings = Settings {
            max_batch_bytes: actor.inbox.shared.max_batch_bytes(),
            ..actor.config.settings.clone()
        };
        let now = Now { wall: seams.clock.wall(), monotonic: seams.clock.monotonic() };
        let context = Context { settings: &settings, now, seed: seams.rng.next_u128() };
        let soft = Soft::load(&loaded.durable, &context);
        Self {
            log: actor.log.clone(),
            settings,
            expire_interval: actor.config.expire_interval,
            durable: loaded.durable,
            deadline: soft.next_deadline(),
            soft,
            end: loaded.end,
            waiting,
            queue: VecDeque::new(),
            parked: Parked::default(),
            next: None,
            next_expire: now.monotonic + actor.config.expire_interval,
            has_appended: false,
            mutation: actor.mutation,
            seams,
        }
    }

    /// Whether anything was appended.
    pub(super) fn has_appended(&self) -> bool {
        self.has_appended
    }

    /// What is on its way. Who asked and was not heard learns that nobody coordinates.
    pub(super) fn into_parked(self) -> Parked {
        self.parked
    }

    /// Serves until an append fails.
    pub(super) async fn serve(&mut self, inbox: &mut Taker) -> Failure {
        let mut taken = Vec::with_capacity(TURN_QUESTIONS);
        loop {
            self.work(&inbox.shared);
            let has_room = self.parked.has_room();
            let wake = self.wake();
            tokio::select! {
                biased;
                ended = self.parked.next() => {
                    if let Err(failure) = self.appended(ended) {
                        return failure;
                    }
                }
                Some(asked) = inbox.scrapes.recv() => {
                    // Whoever asked may be gone.
                    _ = asked.send(Picture::take(&self.durable, &self.soft));
                }
                () = inbox.shared.news.notified(), if has_room => {}
                count = inbox.questions.recv_many(&mut taken, TURN_QUESTIONS), if has_room => {
                    if count == 0 {
                        // Whoever held the other end is gone: what stops this actor comes next.
                        pending::<()>().await;
                    }
                    self.queue.extend(taken.drain(..));
                }
                () = self.seams.clock.sleep(wake), if has_room => {}
            }
        }
    }

    /// Decides all there is to decide, as far as there is room.
    fn work(&mut self, shared: &Shared) {
        self.settings.max_batch_bytes = shared.max_batch_bytes();
        while self.parked.has_room() {
            let Some((command, span)) = self.next_command(shared) else { return };
            self.decide(command, span);
        }
    }

    fn next_command(&mut self, shared: &Shared) -> Option<(Command, Span)> {
        if let Some(next) = self.next.take() {
            return Some((next, Span::none()));
        }
        let now = self.seams.clock.monotonic();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            return Some((Command::Tick, Span::none()));
        }
        if self.next_expire <= now {
            self.next_expire = now + self.expire_interval;
            return Some((Command::Expire { after: None }, Span::none()));
        }
        let topics = shared.take_deleted();
        if !topics.is_empty() {
            return Some((Command::TopicsDeleted { topics, after: None }, Span::none()));
        }
        let Question { mut command, span, answer } = self.queue.pop_front()?;
        self.waiting.enter(&mut command, answer);
        Some((command, span))
    }

    fn decide(&mut self, command: Command, span: Span) {
        let clock = &self.seams.clock;
        let now = Now { wall: clock.wall(), monotonic: clock.monotonic() };
        let context = Context { settings: &self.settings, now, seed: self.seams.rng.next_u128() };
        let decision = decide(&self.durable, &mut self.soft, command, &context);
        let Decision { events, mut replies, deadline, next, notes } = decision;
        self.deadline = deadline;
        self.next = next;
        notes.iter().for_each(tell);
        if self.mutation.is(Mutant::ReplyBeforeAppend) {
            self.waiting.reply(std::mem::take(&mut replies));
        }
        if events.is_empty() {
            if let Some(replies) = self.parked.park(replies) {
                self.waiting.reply(replies);
            }
            return;
        }
        let batch = batch(&events, now.wall);
        let size = (events.len(), batch.len());
        self.parked.push(self.log.append(batch, span), size, replies);
        let mut changes = Changes::default();
        for event in &events {
            self.durable.replay(event, &mut changes);
        }
    }

    fn appended(&mut self, ended: Ended) -> Result<(), Failure> {
        let found = ended.appended.map_err(Failure::Append)?;
        if found != self.end {
            return Err(Failure::Elsewhere { expected: self.end, found });
        }
        self.end = found.plus(i64::try_from(ended.records).unwrap_or(i64::MAX));
        self.has_appended = true;
        self.waiting.reply(ended.replies);
        Ok(())
    }

    /// How long until something is due.
    fn wake(&self) -> Duration {
        let at = self.deadline.map_or(self.next_expire, |deadline| deadline.min(self.next_expire));
        at.saturating_sub(self.seams.clock.monotonic())
    }
}

/// Events as one batch, in Kafka's records.
fn batch(events: &[Event], at: TimestampMs) -> bytes::Bytes {
    let mut batch = BatchBuilder::new(Offset::ZERO);
    for event in events {
        let record = records::encode(event);
        batch.push(at, Some(&record.key), record.value.as_deref(), &[]);
    }
    batch.build()
}

fn tell(note: &Note) {
    match note {
        Note::RebalanceBegan { group, generation, reason } => {
            info!(%group, %generation, reason, "the group rebalances");
        }
        Note::GenerationBegan { group, generation, members } => {
            info!(%group, %generation, members, "the group has a new generation");
        }
        Note::MemberGone { group, member, reason } => {
            info!(%group, %member, reason, "a member is gone");
        }
        Note::TooLarge { group, bytes } => {
            warn!(
                %group,
                bytes,
                "what is to be stored of this group does not fit into one batch of __consumer_offsets; raise its max.message.bytes"
            );
        }
    }
}
