//! The role, wired in a straight line: directory, ports, quorum, services.
//!
//! Invariant: everything that can be wrong with directory and ports is found before the quorum is joined. Once it runs, the role
//! ends only by its shutdown, or with a cause that ends the process.

mod ports;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_api::Controller;
use ottla_api::controller::{ControllerClient, ControllerEndpoint, ControllerServer};
use ottla_api::raft::RaftServer;
use ottla_runtime::Seams;
use ottla_runtime::http::Health;
use ottla_runtime::metrics::Metrics;
use ottla_runtime::seams::{DiskLock, HostPort, create_dir_durably};
use ottla_runtime::shutdown::Shutdown;
use tokio::sync::watch as channel;

use crate::config::ControllerConfig;
use crate::grpc::admin::AdminServices;
use crate::identity::{self, Identity, IdentityError};
use crate::local::LocalController;
use crate::metrics::ControllerSource;
use crate::quorum::driver::{QuorumConfig, Stop};
use crate::quorum::member::{self, Member};
use crate::quorum::state_store::{MemoryStore, SledStore, StateStore, StoreError};
use crate::routed::RoutedController;
use crate::transport::{GrpcPeers, MemberReceiver};

/// The quorum's folder within the metadata directory. No partition can have this name.
pub const QUORUM_DIR: &str = "ottla-quorum";

/// Why the role cannot start: one line with cause and cure.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Whose the directory is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Another process has the directory.
    #[error(
        "the metadata directory {dir} is in use by another process; stop that one, or set metadata.log.dir to another"
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The disk said no.
    #[error(
        "the metadata directory {dir} cannot be used: {source}; check the disk and its permissions"
    )]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// Too little space.
    #[error(
        "the metadata directory {dir} has {free} bytes free, and ottla.min.free.disk.bytes asks for {wanted}; \
         free some space, or lower that key"
    )]
    DiskFull {
        /// The directory.
        dir: PathBuf,
        /// What is free.
        free: u64,
        /// What is asked for.
        wanted: u64,
    },
    /// A port is taken.
    #[error(
        "the port of {key}, {address}, is in use; stop the process that has it, or set {key} to another"
    )]
    PortInUse {
        /// The key that names it.
        key: &'static str,
        /// The address.
        address: HostPort,
    },
    /// A port cannot be used.
    #[error("{key}: cannot listen at {address}: {source}")]
    Listen {
        /// The key that names it.
        key: &'static str,
        /// The address.
        address: HostPort,
        /// What the machine said.
        source: std::io::Error,
    },
    /// Lists and history.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The quorum's own files.
    #[error(transparent)]
    Quorum(#[from] Stop),
}

/// A running controller.
pub struct ControllerHandle {
    member: Member,
    routed: RoutedController,
    /// Where it listens for other roles.
    pub address: SocketAddr,
    /// Where the admin API listens.
    pub admin_address: Option<SocketAddr>,
    formatted: channel::Receiver<Option<Identity>>,
    ended: channel::Receiver<Option<Result<(), String>>>,
}

/// Starts the role; returns once it listens. `shutdown` is the role's own: it should outlive the roles that depend on this one.
pub async fn start(
    config: ControllerConfig,
    seams: Seams,
    shutdown: Shutdown,
    health: &Health,
) -> Result<ControllerHandle, StartError> {
    let role = health.role("controller");
    let quorum_dir = config.dir.join(QUORUM_DIR);
    let is_alone = config.voters.len() == 1;
    let own = (config.node, is_alone);
    let lock = lock(&seams, &quorum_dir)?;
    let identity = identity::identify(&seams, &config.dir, &quorum_dir, own)?;
    check_free_space(&seams, &config)?;
    let ports = ports::bind(&seams, &config).await?;
    let store = open_store(&seams, &config, &quorum_dir)?;
    let peers = Arc::new(GrpcPeers::new(&seams, config.node, &config.voters));
    let quorum_config = quorum_config(&config, &identity, quorum_dir);
    let (member, task) = member::start(quorum_config, seams.clone(), peers.clone(), store)?;
    peers.attach(member.clone());
    let local = LocalController::new(member.clone(), seams.clone());
    let routed = RoutedController::new(local.clone(), quorum_client(&seams, &config));
    let controller = ControllerServer::new(&seams, Arc::new(local), Arc::new(routed.clone()));
    let raft = RaftServer::new(Arc::new(MemberReceiver::new(member.clone())));
    let admin = AdminServices::new(&seams, member.clone(), Arc::new(routed.clone()), &config);
    let servers = ports::Servers { controller, raft, admin, health: health.clone() };
    let (address, admin_address) = (ports.address, ports.admin_address);
    let serving = ports.serve(&seams, servers.clone());
    watch::tell_health(&seams, role, member.clone());
    let formatted = watch::note_cluster_id(&seams, (config.dir, config.node), identity, &member);
    let life = watch::Life { member: member.clone(), task, servers, serving, lock, shutdown };
    let ended = life.follow(&seams);
    Ok(ControllerHandle { member, routed, address, admin_address, formatted, ended })
}

impl ControllerHandle {
    /// The quorum, for the other roles of this process.
    pub fn controller(&self) -> Arc<dyn Controller> {
        Arc::new(self.routed.clone())
    }

    /// Makes the controller's figures known.
    pub fn offer_metrics(&self, metrics: &Metrics) {
        metrics.add(Arc::new(ControllerSource::new(self.member.clone())));
    }

    /// This member of the quorum.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Waits until the cluster has an id and this process's metadata directory knows it: other roles that share the directory
    /// start after that. Ends early where the role ends.
    pub async fn formatted(&self) {
        // An error means that the role has ended.
        _ = self.formatted.clone().wait_for(Option::is_some).await;
    }

    /// Waits until the role has ended; the error is a cause that must end the process.
    pub async fn ended(&self) -> Result<(), String> {
        let mut ended = self.ended.clone();
        let outcome = ended.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or(Ok(()))
    }
}

fn quorum_config(
    config: &ControllerConfig,
    identity: &Identity,
    quorum_dir: PathBuf,
) -> QuorumConfig {
    QuorumConfig {
        node: config.node,
        directory: identity.directory,
        cluster_id: identity.cluster_id.clone(),
        dir: quorum_dir,
        voters: config.voters.clone(),
        domain: config.domain.clone(),
        election_timeout: config.election_timeout,
        snapshots: config.snapshots,
    }
}

/// The way to whoever is active; a quorum of one needs none.
fn quorum_client(seams: &Seams, config: &ControllerConfig) -> Option<Arc<ControllerClient>> {
    let endpoint = |voter: &crate::quorum::driver::Voter| ControllerEndpoint {
        node: Some(voter.node),
        address: voter.endpoint.clone(),
    };
    let endpoints: Vec<_> = config.voters.iter().map(endpoint).collect();
    (endpoints.len() > 1).then(|| Arc::new(ControllerClient::new(seams, endpoints)))
}

fn lock(seams: &Seams, quorum_dir: &Path) -> Result<Box<dyn DiskLock>, StartError> {
    let dir = quorum_dir.to_owned();
    let locked = create_dir_durably(seams.disk.as_ref(), quorum_dir)
        .and_then(|()| seams.disk.lock(&quorum_dir.join(".lock")));
    locked.map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => StartError::InUse { dir },
        _ => StartError::Directory { dir, source },
    })
}

fn check_free_space(seams: &Seams, config: &ControllerConfig) -> Result<(), StartError> {
    let dir = config.dir.clone();
    let free = match seams.disk.free_space_bytes(&dir) {
        Ok(free) => free,
        Err(source) => return Err(StartError::Directory { dir, source }),
    };
    let wanted = config.min_free_disk_bytes;
    if free < wanted { Err(StartError::DiskFull { dir, free, wanted }) } else { Ok(()) }
}

fn open_store(
    seams: &Seams,
    config: &ControllerConfig,
    quorum_dir: &Path,
) -> Result<Arc<dyn StateStore>, StartError> {
    if config.keeps_lists_in_memory {
        return Ok(Arc::new(MemoryStore::new()));
    }
    Ok(Arc::new(SledStore::open(seams.disk.as_ref(), &quorum_dir.join("state"))?))
}
