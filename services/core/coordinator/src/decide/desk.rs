//! Where a decision grows: what it looks at, and what it has decided so far.
//!
//! Invariant: events are only ever appended, and their size is known.

use ottla_types::ErrorCode;

use super::{Context, Decision, Note, Now};
use crate::command::{Command, Token};
use crate::durable::Durable;
use crate::event::Event;
use crate::names::GroupId;
use crate::reply::Reply;
use crate::settings::Settings;

/// A decision that grows.
pub(super) struct Desk<'a> {
    pub(super) durable: &'a Durable,
    context: &'a Context<'a>,
    decision: Decision,
    bytes: usize,
}

impl<'a> Desk<'a> {
    pub(super) fn new(durable: &'a Durable, context: &'a Context<'a>) -> Self {
        Self { durable, context, decision: Decision::default(), bytes: 0 }
    }

    pub(super) fn into_decision(self) -> Decision {
        self.decision
    }

    pub(super) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    pub(super) fn settings(&self) -> &'a Settings {
        self.context.settings
    }

    pub(super) fn now(&self) -> Now {
        self.context.now
    }

    pub(super) fn reply(&mut self, token: Token, reply: Reply) {
        self.decision.replies.push((token, reply));
    }

    pub(super) fn note(&mut self, note: Note) {
        self.decision.notes.push(note);
    }

    pub(super) fn next(&mut self, command: Command) {
        self.decision.next = Some(command);
    }

    /// Adds an event that is small whatever a client does.
    pub(super) fn push(&mut self, event: Event) {
        self.bytes += event.bytes_at_most();
        self.decision.events.push(event);
    }

    /// Adds events of a group, all or none. Errors: together with what is there they do not fit into one batch.
    pub(super) fn push_all(
        &mut self,
        group: &GroupId,
        events: Vec<Event>,
    ) -> Result<(), ErrorCode> {
        let bytes = self.bytes + events.iter().map(Event::bytes_at_most).sum::<usize>();
        if bytes > self.settings().max_batch_bytes {
            self.note(Note::TooLarge { group: group.clone(), bytes });
            return Err(ErrorCode::UnknownServerError);
        }
        self.bytes = bytes;
        self.decision.events.extend(events);
        Ok(())
    }

    /// Whether a further small event surely fits: half of a batch is kept free.
    pub(super) fn has_room(&self) -> bool {
        self.decision.events.is_empty() || self.bytes <= self.settings().max_batch_bytes / 2
    }

    /// Whether nothing was decided that has to be stored.
    pub(super) fn is_clean(&self) -> bool {
        self.decision.events.is_empty()
    }
}
