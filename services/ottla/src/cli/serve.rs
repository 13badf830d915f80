//! `ottla dev`, `ottla server`, `ottla format`: the processes that serve.

use std::path::PathBuf;

use ottla_runtime::Seams;
use ottla_runtime::config::ServerConfig;
use ottla_runtime::shutdown::Shutdown;
use ottla_runtime::telemetry::{Telemetry, TelemetryOptions};
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};
use crate::format;
use crate::roles::{self, Running, Variations};
use crate::settings::{self, Overrides};

/// Where `dev` sends its traces unless `OTEL_EXPORTER_OTLP_ENDPOINT` says otherwise: Jaeger's default port.
const DEV_OTLP_ENDPOINT: &str = "http://localhost:4317";

/// What `dev` is told.
#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    /// Where the data lives; without it in a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
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

/// Runs all roles in this process.
pub(super) fn dev(args: &DevArgs, output: Format) -> Result<(), Failure> {
    let (dir, temporary) = match &args.data {
        Some(dir) => (dir.clone(), None),
        None => {
            let dir = std::env::temp_dir().join(format!("ottla-dev-{}", std::process::id()));
            (dir.clone(), Some(dir))
        }
    };
    let config = settings::load(None, &args.overrides, dev_preset(&dir))?;
    let result = serve(&config, Some(DEV_OTLP_ENDPOINT), |running| {
        tell(&config, running, temporary.is_some(), output)
    });
    if let Some(dir) = temporary {
        // The data was promised to nobody; what cannot be removed is left to the system's own cleaning.
        _ = ottla_runtime::seams::Disk::remove_dir_all(&ottla_runtime::seams::RealDisk, &dir);
    }
    result
}

/// Runs the roles of a configuration file.
pub(super) fn server(args: &ServerArgs) -> Result<(), Failure> {
    let config = settings::load(Some(&args.file), &args.overrides, Vec::new())?;
    serve(&config, None, |_| Ok(()))
}

/// Gives the directories of a configuration file their identity.
pub(super) fn format(args: &FormatArgs, output: Format) -> Result<(), Failure> {
    let config = settings::load(Some(&args.file), &args.overrides, Vec::new())?;
    let formatted = on_workers(&config, async {
        format::format(&config, &Seams::real(), args.cluster_id.as_deref()).map_err(Failure::local)
    })?;
    Ok(output.print(&formatted)?)
}

fn dev_preset(dir: &std::path::Path) -> Vec<(String, String)> {
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    vec![
        set("process.roles", "controller,storage,gateway"),
        set("node.id", "1"),
        set("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
        set("ottla.storage.listener", "127.0.0.1:9094"),
        set("ottla.admin.listener", "127.0.0.1:9095"),
        set("ottla.http.listener", "127.0.0.1:9096"),
        set("ottla.min.free.disk.bytes", "67108864"),
        set("offsets.topic.replication.factor", "1"),
        set("log.dirs", &dir.display().to_string()),
    ]
}

/// Starts the roles, says so, and ends them in order on SIGTERM or SIGINT.
fn serve(
    config: &ServerConfig,
    otlp_endpoint: Option<&str>,
    ready: impl FnOnce(&Running) -> Result<(), Failure>,
) -> Result<(), Failure> {
    on_workers(config, async {
        let seams = Seams::real();
        let telemetry = Telemetry::start(&TelemetryOptions {
            service_name: config.roles.service_name(),
            attributes: vec![("service.instance.id".to_owned(), config.node_id.to_string())],
            default_endpoint: otlp_endpoint.map(str::to_owned),
        });
        for notice in config.notices() {
            tracing::warn!("{notice}");
        }
        let result = run(config, &seams, ready).await;
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

#[derive(Serialize)]
struct Ready {
    ready: bool,
    kafka: Vec<String>,
    admin: String,
    http: String,
    data: Vec<PathBuf>,
    is_temporary: bool,
}

impl Rows for Ready {
    fn heads(&self) -> Vec<&'static str> {
        vec!["WHAT", "WHERE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |what: &str, place: String| vec![what.to_owned(), place];
        let data = self.data.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>();
        let kept =
            if self.is_temporary { " (removed at the end; keep it with --data DIR)" } else { "" };
        vec![
            row("Kafka clients", self.kafka.join(", ")),
            row("admin gRPC", self.admin.clone()),
            row("metrics, health", format!("http://{}/metrics", self.http)),
            row("data", data.join(", ") + kept),
        ]
    }
}

fn tell(
    config: &ServerConfig,
    running: &Running,
    is_temporary: bool,
    output: Format,
) -> Result<(), Failure> {
    let ready = Ready {
        ready: true,
        kafka: running.kafka_addresses(),
        admin: config.internal.admin_advertised.to_string(),
        http: config.internal.http.to_string(),
        data: config.log_dirs.clone(),
        is_temporary,
    };
    output.print(&ready)?;
    if output == Format::Table {
        println!(
            "\nOttla is ready. Next, in another terminal:\n\n  \
             ottla topic create orders --partitions 3\n  \
             echo 'hello' | ottla produce orders\n  \
             ottla consume orders --from-beginning --count 1\n  \
             ottla doctor\n"
        );
    }
    Ok(())
}
