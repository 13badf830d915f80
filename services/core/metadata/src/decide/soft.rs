//! What the active controller knows and no event holds: when it last heard from whom.
//!
//! Invariant: dies with leadership. A new active controller gives everybody a fresh, full session, so that an election
//! alone fences nobody. Only live storage nodes and registered gateways have an entry that can expire.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_types::{BrokerEpoch, MetadataOffset, NodeId};

use super::draft::STATE_HASH_EVERY;
use super::{Now, Settings};
use crate::image::Image;

/// Sessions and leases as the active controller sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soft {
    pub(super) brokers: BTreeMap<NodeId, BrokerSession>,
    /// Last heartbeat of each gateway.
    pub(super) gateways: BTreeMap<NodeId, Duration>,
    last_state_hash: MetadataOffset,
}

/// The session of one registration of a storage node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BrokerSession {
    pub(super) epoch: BrokerEpoch,
    /// Whether it can expire.
    pub(super) fenced: bool,
    /// Its last sign of life.
    pub(super) last_heard: Duration,
    /// Whether that was a sign of life to this controller, not only the benefit of the doubt.
    pub(super) was_heard: bool,
    /// Since when its control stream is broken.
    pub(super) broken_since: Option<Duration>,
    /// It asked for a controlled shutdown: it is not unfenced again in this life.
    pub(super) shutting_down: bool,
    /// It has replayed all events up to here, as far as it said.
    pub(super) caught_up_to: MetadataOffset,
    /// When it had last replayed all that there was.
    pub(super) caught_up_at: Option<Duration>,
}

/// What the active controller heard of a storage node or gateway that follows the metadata. Times are of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// The node.
    pub node: NodeId,
    /// It has replayed all events up to here; `None`: it did not say.
    pub caught_up_to: Option<MetadataOffset>,
    /// When it was last heard; `None`: never since this controller became active.
    pub last_heard: Option<Duration>,
    /// When it had last replayed all that there was; `None`: not since this controller became active.
    pub caught_up_at: Option<Duration>,
}

impl BrokerSession {
    pub(super) fn new(epoch: BrokerEpoch, fenced: bool, now: Now) -> Self {
        Self {
            epoch,
            fenced,
            last_heard: now.monotonic,
            was_heard: false,
            broken_since: None,
            shutting_down: false,
            caught_up_to: MetadataOffset(0),
            caught_up_at: None,
        }
    }

    /// When it ends, if nothing is heard.
    pub(super) fn ends_at(&self, settings: &Settings) -> Duration {
        let silent = self.last_heard + Duration::from_millis(settings.broker_session_timeout_ms);
        match self.broken_since {
            Some(since) => {
                silent.min(since + Duration::from_millis(settings.control_stream_grace_ms))
            }
            None => silent,
        }
    }
}

impl Soft {
    /// The sessions of a controller that just became active.
    pub fn new_leader(image: &Image, now: Now) -> Self {
        let session = |(node, broker): (&NodeId, &std::sync::Arc<crate::image::Broker>)| {
            (*node, BrokerSession::new(broker.epoch, broker.fenced, now))
        };
        Self {
            brokers: image.brokers.iter().map(session).collect(),
            gateways: image.gateways.keys().map(|node| (*node, now.monotonic)).collect(),
            last_state_hash: image.offset,
        }
    }

    /// Who follows the metadata: storage nodes, and gateways that are not in the process of one.
    pub fn followers(&self) -> impl Iterator<Item = Follower> {
        let brokers = self.brokers.iter().map(|(node, session)| Follower {
            node: *node,
            caught_up_to: session.was_heard.then_some(session.caught_up_to),
            last_heard: session.was_heard.then_some(session.last_heard),
            caught_up_at: session.caught_up_at,
        });
        let apart = self.gateways.iter().filter(|(node, _)| !self.brokers.contains_key(node));
        brokers.chain(apart.map(|(node, last_heard)| Follower {
            node: *node,
            caught_up_to: None,
            last_heard: Some(*last_heard),
            caught_up_at: None,
        }))
    }

    /// The earliest time at which a session or lease ends.
    pub fn next_deadline(&self, settings: &Settings) -> Option<Duration> {
        let sessions = self.brokers.values().filter(|session| !session.fenced);
        let lease = Duration::from_millis(settings.gateway_lease_ms);
        let leases = self.gateways.values().map(|last_heard| *last_heard + lease);
        sessions.map(|session| session.ends_at(settings)).chain(leases).min()
    }

    /// The session of a registration; a fresh one if there is none.
    pub(super) fn session(
        &mut self,
        node: NodeId,
        broker: &crate::image::Broker,
        now: Now,
    ) -> &mut BrokerSession {
        let fresh = || BrokerSession::new(broker.epoch, broker.fenced, now);
        let session = self.brokers.entry(node).or_insert_with(fresh);
        if session.epoch != broker.epoch {
            *session = fresh();
        }
        session.fenced = broker.fenced;
        session
    }

    pub(super) fn state_hash_is_due(&self, image: &Image) -> bool {
        image.offset.0 >= self.last_state_hash.0.saturating_add(STATE_HASH_EVERY)
    }

    pub(super) fn state_hash_was_put(&mut self, image: &Image) {
        self.last_state_hash = image.offset;
    }
}
