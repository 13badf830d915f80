//! The events of a decision in the making.
//!
//! Invariant: the n-th event of a draft gets the n-th offset after the image's. A draft without any event but a state hash
//! has no events at all.

use std::borrow::Cow;

use ottla_types::{BrokerEpoch, ErrorCode, NodeId};

use crate::codec::{self, MAX_BATCH_BYTES, MAX_EVENTS_PER_BATCH};
use crate::command::Refusal;
use crate::event::Event;
use crate::image::{Broker, Changes, Image};

/// How many events may pass until the next decision begins with a [`Event::StateHash`].
pub const STATE_HASH_EVERY: u64 = 1_000;

/// The events of a decision in the making.
pub(super) struct Draft<'a> {
    /// The image, with the events pushed by [`Draft::push_and_see`].
    image: Cow<'a, Image>,
    events: Vec<Event>,
    bytes: usize,
}

impl<'a> Draft<'a> {
    /// An empty draft; a state hash, if due, goes before everything else, where the hash is the image's as it is.
    pub(super) fn new(image: &'a Image, state_hash_is_due: bool) -> Self {
        let state_hash = || Event::StateHash { hash: image.hash() };
        let events = if state_hash_is_due { vec![state_hash()] } else { Vec::new() };
        Self { image: Cow::Borrowed(image), events, bytes: 0 }
    }

    /// The image that the next event is decided against.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// Adds an event that the rest of the decision need not see in the image. Only for events whose number and size are
    /// bounded by the numbers of storage nodes and gateways.
    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Adds an event that the rest of the decision sees in the image; refuses it if the decision grew too large for one
    /// entry of the log.
    pub(super) fn push_and_see(&mut self, event: Event) -> Result<(), Refusal> {
        let bytes = self.bytes.saturating_add(codec::event_len(&event));
        if bytes > MAX_BATCH_BYTES / 2 || self.events.len() >= MAX_EVENTS_PER_BATCH / 2 {
            return Err(Refusal::new(
                ErrorCode::PolicyViolation,
                "The request changes too much at once. Split it into smaller requests.",
            ));
        }
        self.bytes = bytes;
        self.image.to_mut().replay(&event, &mut Changes::default());
        self.events.push(event);
        Ok(())
    }

    /// The broker epoch of a registration that is pushed next.
    pub(super) fn next_broker_epoch(&self, base: &Image) -> BrokerEpoch {
        let offset = base.offset.0.saturating_add(self.events.len() as u64).saturating_add(1);
        BrokerEpoch(i64::try_from(offset).unwrap_or(i64::MAX))
    }

    /// The registration of a storage node, if this is its current epoch.
    pub(super) fn current_broker(
        &self,
        node: NodeId,
        epoch: BrokerEpoch,
    ) -> Result<&Broker, Refusal> {
        let broker = self.image.brokers.get(&node).ok_or_else(|| {
            Refusal::new(
                ErrorCode::BrokerIdNotRegistered,
                format!("Broker ID {node} is not currently registered. It must register first."),
            )
        })?;
        if broker.epoch == epoch {
            return Ok(broker);
        }
        Err(Refusal::new(
            ErrorCode::StaleBrokerEpoch,
            format!(
                "Expected broker epoch {}, but got broker epoch {epoch}. A newer process registered \
                 as node {node}.",
                broker.epoch
            ),
        ))
    }

    /// Drops all events: the command was only to be checked.
    pub(super) fn forget(&mut self) {
        self.events.clear();
    }

    /// The events of the decision.
    pub(super) fn into_events(self) -> Vec<Event> {
        match self.events.as_slice() {
            [Event::StateHash { .. }] => Vec::new(),
            _ => self.events,
        }
    }
}
