//! What a process is, and who.
//!
//! Invariant: a process has at least one role and a node id that is not negative.

use std::fmt;

use ottla_types::NodeId;

use crate::config::problem::{ConfigErrors, Problem};
use crate::config::settings::Settings;

/// One of the three parts that a cluster is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A member of the metadata quorum.
    Controller,
    /// Keeper of partition logs.
    Storage,
    /// Speaker of Kafka's protocol.
    Gateway,
}

impl Role {
    /// All roles, in the order in which they start.
    pub const ALL: [Self; 3] = [Self::Controller, Self::Storage, Self::Gateway];

    /// The name in `process.roles`, in spans and in health answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Storage => "storage",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The roles of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Member of the quorum.
    pub controller: bool,
    /// Keeper of logs.
    pub storage: bool,
    /// Speaker of Kafka's protocol.
    pub gateway: bool,
}

impl Roles {
    const ALL: Self = Self { controller: true, storage: true, gateway: true };

    /// Whether this role is among them.
    pub const fn contains(self, role: Role) -> bool {
        match role {
            Role::Controller => self.controller,
            Role::Storage => self.storage,
            Role::Gateway => self.gateway,
        }
    }

    /// The roles, in the order in which they start.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }

    /// `service.name` of the process's traces: `ottla-gateway` for one role, `ottla` for several.
    pub fn service_name(self) -> String {
        let mut roles = self.iter();
        match (roles.next(), roles.next()) {
            (Some(only), None) => format!("ottla-{only}"),
            _ => "ottla".into(),
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Role::name).collect::<Vec<_>>().join(","))
    }
}

pub(super) fn roles(settings: &Settings) -> Result<Roles, ConfigErrors> {
    let quorum_keys = ["controller.quorum.voters", "controller.quorum.bootstrap.servers"];
    if !settings.is_set("process.roles") {
        // Old broker configurations know no roles; alone, such a broker is a cluster of its own.
        if quorum_keys.iter().any(|key| settings.is_set(key)) {
            let cause = "a quorum is named, but not what this process is in it";
            let cure =
                "set process.roles=controller, broker, storage or gateway, or several with commas";
            return Err(Problem::missing("process.roles", cause, cure).into());
        }
        return Ok(Roles::ALL);
    }
    let mut roles = Roles::default();
    for name in settings.list("process.roles") {
        match name.as_str() {
            "controller" => roles.controller = true,
            "storage" => roles.storage = true,
            "gateway" => roles.gateway = true,
            "broker" => (roles.storage, roles.gateway) = (true, true),
            _ => {
                let cause = format!("there is no role {name}");
                let cure = "set controller, broker, storage or gateway, or several with commas";
                return Err(settings.problem("process.roles", cause, cure).into());
            }
        }
    }
    if roles == Roles::default() {
        let cure = "set controller, broker, storage or gateway, or several with commas";
        return Err(settings.problem("process.roles", "no role at all", cure).into());
    }
    Ok(roles)
}

pub(super) fn node_id(settings: &Settings) -> Result<NodeId, ConfigErrors> {
    let node: Option<i32> = settings.number("node.id");
    let broker: Option<i32> = settings.number("broker.id").filter(|id| *id >= 0);
    match (node, broker) {
        (Some(node), Some(broker)) if node != broker => {
            let cause = format!("broker.id={broker} says otherwise");
            Err(settings
                .problem("node.id", cause, "set both to the same number, or remove broker.id")
                .into())
        }
        (Some(id), _) | (None, Some(id)) => Ok(NodeId(id)),
        (None, None) => {
            let cause = "each process needs a number that is its own";
            let cure = "set node.id to a number from 0 that no other process of the cluster has";
            Err(Problem::missing("node.id", cause, cure).into())
        }
    }
}
