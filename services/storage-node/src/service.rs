//! A storage node's life, as a straight line: check, recover, register, catch up, take assignments, serve; and back.
//!
//! Invariant: the order is that of Kafka's start-up. A fault that the node cannot live with ends it before it registered, with one
//! line that says cause and cure; nothing on disk is lost by it. The clean-shutdown marker goes first and comes last (R10).

mod handle;
mod recover;
mod serve;
mod shards;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_api::metadata_follower::FollowerStopped;
use ottla_api::{Controller, MetadataFollower, Storage};
use ottla_metadata::Image;
use ottla_metadata::event::BrokerRegistration;
use ottla_runtime::Seams;
use ottla_types::{BrokerEpoch, IncarnationId, MetadataOffset, Uuid};
use tokio::sync::watch;
use tracing::info;

use crate::cleaner::Cleaner;
use crate::cluster::assignments::{Assignments, InForce};
use crate::cluster::membership::Membership;
use crate::cluster::producer_ids::ProducerIds;
use crate::cluster::registration::{RegisterError, Registrar};
use crate::config::StorageConfig;
use crate::coordinator::{Coordinators, Leading, LeadingParts};
use crate::directory::{self, Directory, DirectoryError};
use crate::local::{LocalParts, LocalStorage, ServedDirectory};
use crate::mutant::Mutation;
use crate::produce_rules::ProduceRules;
pub use handle::StorageHandle;
pub use recover::RecoveryFault;
use recover::recover_all;
use serve::GrpcService;
pub use serve::ListenError;
use shards::Shards;

/// Why a storage node did not start: cause, then cure.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A log directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A log directory that cannot be recovered.
    #[error(transparent)]
    Recovery(#[from] RecoveryFault),
    /// The port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The quorum.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Following the metadata ended.
    #[error("the node stopped before it was ready")]
    Stopped(#[from] FollowerStopped),
}

/// Starts a storage node; returns once it serves and the controller unfenced it.
///
/// # Errors
/// See [`StartError`].
pub async fn start(
    config: StorageConfig,
    seams: Seams,
    controller: Arc<dyn Controller>,
    metadata: MetadataFollower,
) -> Result<StorageHandle, StartError> {
    // Whose directories are these, and is there room?
    let mut directories = directory::open_all(
        &seams,
        &config.log_dirs,
        config.node,
        config.cluster_id.as_ref(),
        config.min_free_bytes,
    )?;
    let listener = serve::bind(&seams, config.listener.as_ref()).await?;
    // Load what is on disk.
    let began = seams.clock.monotonic();
    let recovered = recover_all(&seams, &directories, config.recovery_threads).await?;
    let recovery = seams.clock.monotonic().saturating_sub(began);
    // Register, and catch up with the own registration.
    let registrar = registrar(&config, &seams, &controller, &directories);
    let epoch = registrar.register(Some(config.timing.registration_timeout)).await?;
    let image = metadata.wait_for(offset_of(epoch)).await?;
    adopt_cluster(&seams, &config, &mut directories, &image)?;
    // Take assignments.
    let (acted, acted_up_to) = watch::channel(MetadataOffset(0));
    let interval = config.timing.heartbeat_interval;
    let membership = Membership::start(registrar, epoch, acted_up_to.clone(), interval);
    let shards = Shards::start(&config, &seams, &image, recovered)?;
    let cleaner = Cleaner::start(&seams, config.cleaner, shards.handles());
    let coordinators = Arc::new(Coordinators::default());
    let rules = Arc::new(ProduceRules::default());
    let storage = LocalStorage::new(LocalParts {
        node: config.node,
        seams: seams.clone(),
        shards: shards.handles(),
        places: shards.places(),
        directories: directories.iter().map(served).collect(),
        metadata: metadata.clone(),
        failures: shards.failures(),
        producer_ids: ProducerIds::new(controller, membership.clone(), config.node),
        coordinators: Arc::clone(&coordinators),
        rules: Arc::clone(&rules),
        node_configs: config.node_configs.clone(),
    });
    let assignments = Assignments {
        node: config.node,
        shards: shards.handles(),
        dirs: directories.len(),
        places: shards.places(),
        failures: shards.failures(),
        defaults: config.topic_defaults.clone(),
        producer_expiration_ms: config.producer_expiration_ms,
        rules,
        in_force: InForce::default(),
        acted,
        told: BTreeMap::new(),
        groups: leading(&config, &seams, &storage, coordinators),
    };
    let following = assignments.follow(metadata.subscribe());
    drop(seams.tasks.spawn("assignments", Box::pin(following)));
    // Serve, and tell the controller that all is ready.
    let storage_api: Arc<dyn Storage> = Arc::new(storage.clone());
    let grpc = GrpcService::start(&seams, config.node, storage_api, listener).await;
    let handle = StorageHandle {
        config,
        seams,
        storage,
        metadata,
        membership,
        shards,
        cleaner,
        directories,
        grpc,
        recovery,
    };
    handle.is_ready(acted_up_to).await?;
    info!(node = %handle.config.node, "the storage node serves");
    Ok(handle)
}

fn leading(
    config: &StorageConfig,
    seams: &Seams,
    storage: &LocalStorage,
    coordinators: Arc<Coordinators>,
) -> Leading {
    Leading::new(LeadingParts {
        node: config.node,
        seams: seams.clone(),
        storage: storage.clone(),
        config: config.groups.clone(),
        defaults: config.topic_defaults.clone(),
        coordinators,
        mutation: Mutation::of(config),
    })
}

fn registrar(
    config: &StorageConfig,
    seams: &Seams,
    controller: &Arc<dyn Controller>,
    directories: &[Directory],
) -> Registrar {
    Registrar {
        controller: Arc::clone(controller),
        seams: seams.clone(),
        cluster_id: directories.iter().find_map(|dir| dir.cluster_id.clone()),
        registration: BrokerRegistration {
            node: config.node,
            incarnation: IncarnationId(Uuid::from_random(seams.rng.next_u128())),
            rack: config.rack.clone(),
            directories: directories.iter().map(|dir| dir.id).collect(),
            storage_endpoint: config.advertised.clone(),
        },
    }
}

/// A broker epoch is the metadata offset of its registration (R1).
fn offset_of(epoch: BrokerEpoch) -> MetadataOffset {
    MetadataOffset(u64::try_from(epoch.0).unwrap_or(0))
}

fn adopt_cluster(
    seams: &Seams,
    config: &StorageConfig,
    directories: &mut [Directory],
    image: &Image,
) -> Result<(), DirectoryError> {
    let Some(cluster_id) = &image.cluster_id else { return Ok(()) };
    for dir in directories {
        directory::adopt_cluster(&*seams.disk, dir, config.node, cluster_id)?;
    }
    Ok(())
}

fn served(dir: &Directory) -> ServedDirectory {
    ServedDirectory { path: dir.path.clone(), id: dir.id }
}

#[cfg(test)]
mod tests;
