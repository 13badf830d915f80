//! The roles of one process, started in the order in which they need each other, and ended in the reverse one.
//!
//! Invariant: controller → metadata → storage node → gateway; a role that cannot start ends those that did. Each role gets the
//! others as traits, directly where they live in this process, over gRPC where they do not.

mod gateway;
mod memory;
pub mod ports;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use ottla_api::controller::{ControllerClient, ControllerEndpoint};
use ottla_api::{Controller, MetadataFollower};
use ottla_controller::config::ControllerConfigError;
use ottla_controller::{ControllerConfig, ControllerHandle};
use ottla_gateway::service::{GatewayHandle, Neighbours, Process};
use ottla_runtime::Seams;
use ottla_runtime::config::ServerConfig;
use ottla_runtime::http::{Health, HttpServer};
use ottla_runtime::metrics::Metrics;
use ottla_runtime::seams::{HostPort, TaskHandle};
use ottla_runtime::shutdown::Shutdown;
use ottla_storage_node::service::StorageHandle;

/// How long the roles may take to drain before they are stopped anyway.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// Why a process did not start: one line with cause and cure.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The HTTP port.
    #[error(
        "ottla.http.listener={address}: {source}; stop what listens there, or set another address"
    )]
    Http {
        /// Where.
        address: HostPort,
        /// What the system says.
        source: std::io::Error,
    },
    /// The configuration is none for a controller.
    #[error(transparent)]
    ControllerConfig(#[from] ControllerConfigError),
    /// A default of topics is wrong.
    #[error(transparent)]
    TopicDefaults(#[from] ottla_metadata::topic_config::ConfigError),
    /// The controller.
    #[error(transparent)]
    Controller(#[from] ottla_controller::StartError),
    /// The storage node.
    #[error(transparent)]
    Storage(#[from] ottla_storage_node::service::StartError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] ottla_gateway::service::StartError),
    /// Told to stop before it was ready.
    #[error("stopped before it was ready")]
    Stopped,
    /// A role ended by itself.
    #[error("{0}")]
    Ended(String),
}

/// What a simulation or a test changes in the process that it composes.
#[derive(Clone, Debug, Default)]
pub struct Variations {
    /// The admin API's lists and history live in memory, because sled does not know the simulated disk.
    pub keeps_lists_in_memory: bool,
    /// Bytes of one journal file of the storage node: small ones are used up within a short simulation.
    pub journal_bytes: Option<u64>,
    /// Between the storage node's checkpoints.
    pub checkpoint_interval: Option<Duration>,
    /// A known bug of the storage node that is put back.
    #[cfg(feature = "mutants")]
    pub mutant: Option<ottla_storage_node::mutant::Mutant>,
}

/// The running roles of a process.
pub struct Running {
    seams: Seams,
    shutdown: Shutdown,
    metadata: MetadataFollower,
    http: HttpTask,
    controller: Option<ControllerHandle>,
    controller_shutdown: Shutdown,
    storage: Option<StorageHandle>,
    gateway: Option<GatewayHandle>,
}

/// What the roles of the data path are started with.
struct Shared<'a> {
    client: &'a Arc<ControllerClient>,
    health: &'a Health,
    metrics: &'a Metrics,
    variations: &'a Variations,
}

struct HttpTask {
    _serving: TaskHandle,
    shutdown: Shutdown,
}

/// Starts the roles of a configuration. Returns when all of them serve.
///
/// # Errors
/// A role cannot start; those that did are ended.
pub async fn start(
    config: &ServerConfig,
    seams: &Seams,
    shutdown: Shutdown,
    variations: &Variations,
) -> Result<Running, StartError> {
    memory::keep_buffers_where_records_pass(config.roles);
    let health = Health::new();
    for role in config.roles.iter() {
        // All of them before the first starts: a process is ready when all of its roles are.
        health.role(role.name());
    }
    let metrics = Metrics::new().with_process();
    let http = serve_http(config, seams, &metrics, &health).await?;
    let controller_shutdown = Shutdown::new();
    let controller = match config.roles.controller {
        true => Some(
            start_controller(config, seams, (&controller_shutdown, &health), variations).await?,
        ),
        false => None,
    };
    if let Some(controller) = &controller {
        controller.offer_metrics(&metrics);
    }
    let client = client(config, seams);
    let quorum: Arc<dyn Controller> = match &controller {
        Some(controller) => controller.controller(),
        None => client.clone(),
    };
    let metadata = MetadataFollower::start(quorum.clone(), seams);
    let mut running = Running {
        seams: seams.clone(),
        shutdown,
        metadata,
        http,
        controller,
        controller_shutdown,
        storage: None,
        gateway: None,
    };
    let shared = Shared { client: &client, health: &health, metrics: &metrics, variations };
    match running.start_data_path(config, quorum, shared).await {
        Ok(()) => Ok(running),
        Err(error) => {
            running.shut_down().await;
            Err(error)
        }
    }
}

impl Running {
    async fn start_data_path(
        &mut self,
        config: &ServerConfig,
        quorum: Arc<dyn Controller>,
        Shared { client, health, metrics, variations }: Shared<'_>,
    ) -> Result<(), StartError> {
        if let Some(controller) = self.controller.as_ref().filter(|_| config.roles.storage) {
            until(&self.shutdown, controller.formatted()).await?;
        }
        if config.roles.storage {
            let role = health.role("storage");
            let starting = ottla_storage_node::service::start(
                storage::config(config, variations)?,
                self.seams.clone(),
                quorum.clone(),
                self.metadata.clone(),
            );
            let handle = until(&self.shutdown, starting).await??;
            if self.controller.is_none() {
                storage::identify(&self.seams, client, &handle);
            }
            handle.offer_metrics(metrics);
            self.storage = Some(handle);
            role.ready();
        }
        if config.roles.gateway {
            let role = health.role("gateway");
            let own_storage = self.storage.as_ref().map(|node| (node.node(), node.storage()));
            let metadata = self.metadata.clone();
            let neighbours = Neighbours { controller: quorum, metadata, own_storage };
            let process = Process { metrics: metrics.clone(), shutdown: self.shutdown.clone() };
            let starting = ottla_gateway::service::start(
                gateway::config(config)?,
                self.seams.clone(),
                neighbours,
                process,
            );
            let handle = starting.await?;
            until(&self.shutdown, handle.ready()).await?;
            self.gateway = Some(handle);
            role.ready();
        }
        Ok(())
    }

    /// Where Kafka clients begin, as they are told: one address a listener.
    pub fn kafka_addresses(&self) -> Vec<String> {
        let listeners = self.gateway.iter().flat_map(|gateway| &gateway.listeners);
        listeners.map(|(_, address)| address.to_string()).collect()
    }

    /// The controller of this process.
    pub fn controller(&self) -> Option<&ControllerHandle> {
        self.controller.as_ref()
    }

    /// Waits until the process is told to end, or a role cannot go on; the error is why.
    ///
    /// # Errors
    /// A role ended by itself.
    pub async fn until_told(&self) -> Result<(), StartError> {
        let controller_ended = async {
            match &self.controller {
                Some(controller) => controller.ended().await,
                None => std::future::pending().await,
            }
        };
        let storage_failed = async {
            match &self.storage {
                Some(storage) => storage.failed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.wait() => Ok(()),
            ended = controller_ended => Err(StartError::Ended(
                ended.err().unwrap_or_else(|| "the controller ended".to_owned()),
            )),
            () = storage_failed => Err(StartError::Ended(
                "the storage node cannot serve any more; its log above says why".to_owned(),
            )),
        }
    }

    /// Ends the roles in order: gateway, storage node, controller.
    pub async fn shut_down(self) {
        self.shutdown.trigger();
        if let Some(gateway) = self.gateway {
            gateway.ended().await;
        }
        if let Some(storage) = self.storage {
            storage.shutdown().await;
        }
        self.metadata.stop();
        if let Some(controller) = self.controller {
            let clock = self.seams.clock.clone();
            let ended = async { _ = controller.ended().await };
            self.controller_shutdown.run(&*clock, DRAIN_LIMIT, ended).await;
        }
        self.http.shutdown.stop();
        self.shutdown.stop();
    }
}

async fn start_controller(
    config: &ServerConfig,
    seams: &Seams,
    (shutdown, health): (&Shutdown, &Health),
    variations: &Variations,
) -> Result<ControllerHandle, StartError> {
    let mut own = ControllerConfig::from_server(config)?;
    own.keeps_lists_in_memory = variations.keeps_lists_in_memory;
    Ok(ottla_controller::start(own, seams.clone(), shutdown.clone(), health).await?)
}

/// The quorum as a process without a controller reaches it.
fn client(config: &ServerConfig, seams: &Seams) -> Arc<ControllerClient> {
    let voters = config.quorum.voters.iter();
    let mut endpoints: Vec<_> = voters
        .map(|voter| ControllerEndpoint {
            node: Some(voter.node_id),
            address: voter.address.clone(),
        })
        .collect();
    if endpoints.is_empty() {
        let bootstrap = config.quorum.bootstrap_servers.iter();
        endpoints.extend(
            bootstrap.map(|address| ControllerEndpoint { node: None, address: address.clone() }),
        );
    }
    Arc::new(ControllerClient::new(seams, endpoints))
}

async fn serve_http(
    config: &ServerConfig,
    seams: &Seams,
    metrics: &Metrics,
    health: &Health,
) -> Result<HttpTask, StartError> {
    let address = config.internal.http.clone();
    let listener = seams.net.bind(&address).await;
    let listener = listener.map_err(|source| StartError::Http { address, source })?;
    let server = HttpServer { metrics: metrics.clone(), health: health.clone() };
    let shutdown = Shutdown::new();
    let serving = server.start(seams, listener, shutdown.clone());
    Ok(HttpTask { _serving: serving, shutdown })
}

/// Waits for a role to start, unless the process is told to end before that.
async fn until<T>(shutdown: &Shutdown, starting: impl Future<Output = T>) -> Result<T, StartError> {
    tokio::select! {
        biased;
        started = starting => Ok(started),
        () = shutdown.wait() => Err(StartError::Stopped),
    }
}
