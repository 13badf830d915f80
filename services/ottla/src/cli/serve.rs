//! `ottla server`, `ottla format`, and what `ottla dev` shares with them: how roles are served and ended.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_runtime::Seams;
use ottla_runtime::config::ServerConfig;
use ottla_runtime::seams::RealTasks;
use ottla_runtime::shutdown::Shutdown;
use ottla_runtime::telemetry::{Telemetry, TelemetryOptions};

use crate::cli::failure::Failure;
use crate::cli::output::Format;
use crate::format;
use crate::roles::{self, Running, Variations, ports};
use crate::settings::{self, Overrides};

/// What mends a port that cannot be had.
const OWN_CURE: &str = "stop what listens there, or set another address";

/// What differs between the commands that serve.
pub(super) struct Served {
    /// Where traces go unless the environment says otherwise.
    pub otlp_endpoint: Option<&'static str>,
    /// What mends a port that cannot be had.
    pub cure: &'static str,
}

/// What `server` is told.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// A file in the format of Kafka's server.properties.
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

/// What `format` is told.
#[derive(Debug, clap::Args)]
pub(super) struct FormatArgs {
    /// A file in the format of Kafka's server.properties.
    file: PathBuf,
    /// The cluster's id; without it a new one.
    #[arg(long, short = 't', value_name = "ID")]
    cluster_id: Option<String>,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the roles of a configuration file.
pub(super) fn server(args: &ServerArgs) -> Result<(), Failure> {
    let config = settings::load(Some(&args.file), &args.overrides, Vec::new())?;
    serve(&config, Served { otlp_endpoint: None, cure: OWN_CURE }, |_| Ok(()))
}

/// Gives the directories of a configuration file their identity.
pub(super) fn format(args: &FormatArgs, output: Format) -> Result<(), Failure> {
    let config = settings::load(Some(&args.file), &args.overrides, Vec::new())?;
    let formatted = on_workers(&config, async {
        format::format(&config, &Seams::real(), args.cluster_id.as_deref()).map_err(Failure::local)
    })?;
    Ok(output.print(&formatted)?)
}

/// Starts the roles, says so, and ends them in order on SIGTERM or SIGINT.
pub(super) fn serve(
    config: &ServerConfig,
    served: Served,
    ready: impl FnOnce(&Running) -> Result<(), Failure>,
) -> Result<(), Failure> {
    on_workers(config, async {
        let seams = seams(config)?;
        let telemetry = Telemetry::start(&TelemetryOptions {
            service_name: config.roles.service_name(),
            attributes: vec![("service.instance.id".to_owned(), config.node_id.to_string())],
            default_endpoint: served.otlp_endpoint.map(str::to_owned),
        });
        for notice in config.notices() {
            tracing::warn!("{notice}");
        }
        let result = match ports::refuse_what_is_taken(config, &seams).await {
            Ok(()) => run(config, &seams, ready).await,
            Err(taken) => Err(Failure::local(format!("{taken}; {}", served.cure))),
        };
        telemetry.shutdown(&seams).await;
        result
    })
}

async fn run(
    config: &ServerConfig,
    seams: &Seams,
    ready: impl FnOnce(&Running) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let shutdown = Shutdown::new();
    drop(shutdown.bind_signals(&*seams.tasks));
    let variations = Variations::default();
    let starting = roles::start(config, seams, shutdown, &variations);
    let running = starting.await.map_err(Failure::local)?;
    ready(&running)?;
    tracing::info!(roles = %config.roles.service_name(), node = %config.node_id, "ready");
    let ended = running.until_told().await;
    running.shut_down().await;
    ended.map_err(Failure::local)
}

/// This machine. Where the storage node is in the process, connections have threads of their own; elsewhere their answers come
/// from the workers, which then serve them best themselves.
fn seams(config: &ServerConfig) -> Result<Seams, Failure> {
    let mut seams = Seams::real();
    if config.roles.storage && config.roles.gateway {
        seams.tasks = Arc::new(RealTasks::with_network_threads(config.network.network_threads)?);
    }
    Ok(seams)
}

/// Runs a future on as many workers as `num.network.threads` says, but no more than there are cores.
fn on_workers<T>(
    config: &ServerConfig,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // The trace exporter needs two: one may wait for the other.
        .worker_threads(config.network.network_threads.clamp(2, cores.max(2)))
        .thread_name("ottla-worker")
        .enable_all()
        .build()?;
    runtime.block_on(future)
}
