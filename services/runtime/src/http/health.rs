//! Whether each role of a process is ready, and why not.
//!
//! Invariant: a role is not ready until it says so; its reason is never empty then.

use std::collections::BTreeMap;

use serde::Serialize;
use tokio::sync::watch;

/// The health of one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleState {
    /// Whether it serves.
    pub ready: bool,
    /// Why it does not; empty if it does.
    pub reason: String,
}

/// The health of a process. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Health {
    roles: watch::Sender<BTreeMap<&'static str, RoleState>>,
}

impl Health {
    /// A process that has no roles yet, and is not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a role, which is not ready: it is starting.
    pub fn role(&self, name: &'static str) -> RoleHealth {
        let role = RoleHealth { health: self.clone(), name };
        role.not_ready("starting");
        role
    }

    /// Whether all roles are ready, and there is one.
    pub fn is_ready(&self) -> bool {
        all_ready(&self.roles.borrow())
    }

    /// Completes when all roles are ready.
    pub async fn wait_until_ready(&self) {
        let mut roles = self.roles.subscribe();
        roles.wait_for(all_ready).await.expect("self holds a sender, so the channel is open");
    }

    /// Every change of any role.
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<&'static str, RoleState>> {
        self.roles.subscribe()
    }
}

fn all_ready(roles: &BTreeMap<&'static str, RoleState>) -> bool {
    !roles.is_empty() && roles.values().all(|role| role.ready)
}

/// A role's own word about itself.
#[derive(Clone, Debug)]
pub struct RoleHealth {
    health: Health,
    name: &'static str,
}

impl RoleHealth {
    /// It serves.
    pub fn ready(&self) {
        self.set(RoleState { ready: true, reason: String::new() });
    }

    /// It does not, for this reason, such as `recovering 12 of 40 partitions`.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(RoleState { ready: false, reason: reason.into() });
    }

    fn set(&self, state: RoleState) {
        self.health.roles.send_if_modified(|roles| {
            let before = roles.insert(self.name, state.clone());
            before.as_ref() != Some(&state)
        });
    }
}
