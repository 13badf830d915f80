//! Who decides in this cluster, and where they are found.
//!
//! Invariant: a controller is one of its own voters; every other process knows at least one address to ask.

use std::collections::BTreeSet;

use ottla_types::NodeId;

use crate::config::problem::{ConfigErrors, Problem};
use crate::config::server::listeners::ControllerListener;
use crate::config::server::roles::Roles;
use crate::config::settings::Settings;
use crate::seams::HostPort;

const VOTERS: &str = "controller.quorum.voters";
const BOOTSTRAP: &str = "controller.quorum.bootstrap.servers";
/// Members of a quorum at most.
const MAX_VOTERS: usize = 9;

/// A member of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumVoter {
    /// Its `node.id`.
    pub node_id: NodeId,
    /// Its controller listener, as others reach it.
    pub address: HostPort,
}

/// The quorum, as this process knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumConfig {
    /// The members; empty where only `controller.quorum.bootstrap.servers` is known, which never is so for a controller.
    pub voters: Vec<QuorumVoter>,
    /// Where to ask for the quorum; never empty.
    pub bootstrap_servers: Vec<HostPort>,
}

/// What the process knows of itself.
pub(super) struct Own<'a> {
    pub(super) roles: Roles,
    pub(super) node_id: NodeId,
    pub(super) listener: Option<&'a ControllerListener>,
    pub(super) host_name: &'a str,
}

pub(super) fn quorum(settings: &Settings, own: &Own<'_>) -> Result<QuorumConfig, ConfigErrors> {
    let mut voters = voters(settings)?;
    let mut bootstrap_servers = bootstrap_servers(settings)?;
    if voters.is_empty() && own.roles.controller {
        voters = vec![single_voter(settings, own, &bootstrap_servers)?];
    }
    check_membership(settings, own, &voters)?;
    if bootstrap_servers.is_empty() {
        bootstrap_servers = voters.iter().map(|voter| voter.address.clone()).collect();
    }
    if bootstrap_servers.is_empty() {
        let cause = "this process is no controller and knows none";
        let cure = "set it to the controllers' HOST:PORT, with commas";
        return Err(Problem::missing(BOOTSTRAP, cause, cure).into());
    }
    Ok(QuorumConfig { voters, bootstrap_servers })
}

fn voters(settings: &Settings) -> Result<Vec<QuorumVoter>, ConfigErrors> {
    let mut voters = Vec::new();
    let mut ids = BTreeSet::new();
    for item in settings.list(VOTERS) {
        let parts = item.split_once('@');
        let parsed =
            parts.and_then(|(id, address)| Some((id.parse().ok()?, address.parse().ok()?)));
        let Some((id, address)) = parsed.filter(|(id, _): &(i32, HostPort)| *id >= 0) else {
            let cause = format!("{item} is not ID@HOST:PORT");
            return Err(settings.problem(VOTERS, cause, "write, say, 1@localhost:9093").into());
        };
        if !ids.insert(id) {
            let cause = format!("two voters have the id {id}");
            return Err(settings
                .problem(VOTERS, cause, "give each controller a node.id of its own")
                .into());
        }
        voters.push(QuorumVoter { node_id: NodeId(id), address });
    }
    if voters.len() > MAX_VOTERS {
        let cause = format!("{} voters are more than {MAX_VOTERS}", voters.len());
        return Err(settings.problem(VOTERS, cause, "name 1, 3 or 5 controllers").into());
    }
    Ok(voters)
}

fn bootstrap_servers(settings: &Settings) -> Result<Vec<HostPort>, ConfigErrors> {
    let parse = |item: String| {
        item.parse::<HostPort>().map_err(|_| {
            let cause = format!("{item} is not HOST:PORT");
            settings.problem(BOOTSTRAP, cause, "write, say, localhost:9093").into()
        })
    };
    settings.list(BOOTSTRAP).into_iter().map(parse).collect()
}

/// A controller without voters is alone: nothing is said of a quorum, or only that it is found at this process.
fn single_voter(
    settings: &Settings,
    own: &Own<'_>,
    bootstrap_servers: &[HostPort],
) -> Result<QuorumVoter, ConfigErrors> {
    let Some(listener) = own.listener else {
        // The missing listener is a problem that is told already.
        return Ok(QuorumVoter { node_id: own.node_id, address: HostPort::new("localhost", 0) });
    };
    let is_own = |address: &HostPort| {
        let hosts = [own.host_name, &listener.bind.host, &listener.advertised.host];
        let is_own_host = matches!(address.host.as_str(), "localhost" | "127.0.0.1" | "::1")
            || hosts.contains(&address.host.as_str());
        let ports = [listener.bind.port, listener.advertised.port];
        is_own_host && ports.contains(&address.port)
    };
    match bootstrap_servers {
        [] => Ok(QuorumVoter { node_id: own.node_id, address: listener.advertised.clone() }),
        [only] if is_own(only) => Ok(QuorumVoter { node_id: own.node_id, address: only.clone() }),
        _ => {
            let cause = "a controller must know all members of the quorum, and their ids";
            let cure = format!(
                "set {VOTERS}=ID@HOST:PORT of each controller, this one included, with commas"
            );
            Err(settings.problem(BOOTSTRAP, cause, cure).into())
        }
    }
}

fn check_membership(
    settings: &Settings,
    own: &Own<'_>,
    voters: &[QuorumVoter],
) -> Result<(), ConfigErrors> {
    let id = own.node_id;
    let is_voter = voters.iter().any(|voter| voter.node_id == id);
    if own.roles.controller && !is_voter {
        let cause = format!("this controller, node.id={id}, is not among them");
        return Err(settings
            .problem(VOTERS, cause, format!("add {id}@HOST:PORT, or mend node.id"))
            .into());
    }
    if !own.roles.controller && is_voter {
        let cause = format!("node.id={id} is a controller's, and this process is none");
        let cure = "give this process a node.id of its own, or add controller to process.roles";
        return Err(settings.problem(VOTERS, cause, cure).into());
    }
    Ok(())
}
