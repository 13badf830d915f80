//! One member of a classic group, as the coordinator sees it.
//!
//! Invariant: at most one join and one sync of a member wait.

use std::sync::Arc;
use std::time::Duration;

use crate::command::{Protocol, Token};
use crate::event::StoredMember;
use crate::names::{InstanceId, Text};

/// A member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) instance: Option<InstanceId>,
    pub(crate) client_id: Text,
    pub(crate) client_host: Text,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    /// What it offers, the best first; after a load only what was chosen.
    pub(super) protocols: Vec<Protocol>,
    pub(crate) assignment: Arc<[u8]>,
    /// Whether it has not been in a generation yet: it cannot send heartbeats, and expires while its join waits.
    pub(crate) is_new: bool,
    pub(super) join: Option<Token>,
    pub(super) sync: Option<Token>,
    /// When its session ends; `None` if it ended while a request of it waited, which counts as a sign of life.
    pub(crate) session_ends: Option<Duration>,
}

impl Member {
    /// A member that joins.
    pub(crate) fn new(join: &crate::command::Join) -> Self {
        Self {
            instance: join.caller.instance.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: rebalance_timeout_ms(join),
            protocols: join.protocols.clone(),
            assignment: Arc::default(),
            is_new: true,
            join: None,
            sync: None,
            session_ends: None,
        }
    }

    /// A member as a record holds it.
    pub(super) fn stored(stored: &StoredMember, protocol: Option<&Text>) -> Self {
        let rebalance_timeout_ms = match stored.rebalance_timeout_ms {
            -1 => stored.session_timeout_ms,
            given => given,
        };
        let name = protocol.cloned().unwrap_or_else(Text::empty);
        Self {
            instance: stored.instance.clone(),
            client_id: stored.client_id.clone(),
            client_host: stored.client_host.clone(),
            session_timeout_ms: stored.session_timeout_ms,
            rebalance_timeout_ms,
            protocols: vec![Protocol { name, metadata: stored.subscription.clone() }],
            assignment: stored.assignment.clone(),
            is_new: false,
            join: None,
            sync: None,
            session_ends: None,
        }
    }

    pub(crate) fn awaits_join(&self) -> bool {
        self.join.is_some()
    }

    pub(crate) fn awaits_sync(&self) -> bool {
        self.sync.is_some()
    }

    /// Whether the end of its session does not count: it waits for us.
    pub(crate) fn is_excused(&self) -> bool {
        !self.is_new && (self.awaits_join() || self.awaits_sync())
    }

    /// Its metadata for a protocol; empty for one that it does not offer.
    pub(crate) fn metadata(&self, protocol: Option<&Text>) -> Arc<[u8]> {
        let offered = self.protocols.iter().find(|offered| Some(&offered.name) == protocol);
        offered.map(|offered| offered.metadata.clone()).unwrap_or_default()
    }

    /// Whether it already offers exactly this.
    pub(crate) fn offers(&self, protocols: &[Protocol]) -> bool {
        self.protocols == protocols
    }
}

/// How long a joining member may take to join again.
pub(crate) fn rebalance_timeout_ms(join: &crate::command::Join) -> i32 {
    match join.rebalance_timeout_ms {
        -1 => join.session_timeout_ms,
        given => given,
    }
}
