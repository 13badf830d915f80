//! `ottla dev`: all roles in one process, on five neighbouring ports and a folder that may be temporary.

mod temporary;

use std::path::{Path, PathBuf};

use ottla_runtime::config::ServerConfig;
use ottla_runtime::seams::{Disk as _, RealDisk};
use serde::Serialize;

use self::temporary::TemporaryFolder;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};
use crate::cli::serve::{self, Served};
use crate::cli::{DEFAULT_ADMIN, DEFAULT_BOOTSTRAP};
use crate::roles::Running;
use crate::settings::{self, Overrides};

/// Where `dev` sends its traces unless `OTEL_EXPORTER_OTLP_ENDPOINT` says otherwise: Jaeger's default port.
const DEV_OTLP_ENDPOINT: &str = "http://localhost:4317";
/// What mends a port that cannot be had.
const CURE: &str = "stop what listens there, or move all ports of `ottla dev` with --port PORT";

/// What `dev` is told.
#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    /// Where the data lives; without it in a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The port for Kafka clients; the next four are the controller's, the storage node's, the admin API's and that of HTTP.
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 9092,
        value_parser = clap::value_parser!(u16).range(1..=65_531)
    )]
    port: u16,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs all roles in this process.
pub(super) fn run(args: &DevArgs, output: Format) -> Result<(), Failure> {
    let temporary = match &args.data {
        Some(_) => None,
        None => Some(TemporaryFolder::take(&std::env::temp_dir()).map_err(Failure::local)?),
    };
    let dir = match (&args.data, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, folder) => folder.as_ref().map(TemporaryFolder::data).unwrap_or_default(),
    };
    RealDisk.create_dir_all(&dir).map_err(|error| {
        let dir = dir.display();
        Failure::local(format!("--data {dir}: {error}; name a folder that can be made and written"))
    })?;
    let mut overrides = args.overrides.clone();
    let environment = |key: &str| std::env::var(key).ok();
    keep_controller_listener(&mut overrides, &environment, args.port);
    let config = settings::load(None, &overrides, preset(&dir, args.port))?;
    let served = Served { otlp_endpoint: Some(DEV_OTLP_ENDPOINT), cure: CURE };
    serve::serve(&config, served, |running| tell(&config, running, temporary.is_some(), output))
}

fn preset(dir: &Path, port: u16) -> Vec<(String, String)> {
    let set = |key: &str, value: String| (key.to_owned(), value);
    let next = |step: u16| format!("127.0.0.1:{}", port + step);
    vec![
        set("process.roles", "controller,storage,gateway".into()),
        set("node.id", "1".into()),
        set("listeners", format!("PLAINTEXT://{},{}", next(0), controller_listener(port))),
        set("ottla.storage.listener", next(2)),
        set("ottla.admin.listener", next(3)),
        set("ottla.http.listener", next(4)),
        set("ottla.min.free.disk.bytes", "67108864".into()),
        set("offsets.topic.replication.factor", "1".into()),
        set("log.dirs", dir.display().to_string()),
    ]
}

fn controller_listener(port: u16) -> String {
    format!("CONTROLLER://127.0.0.1:{}", port + 1)
}

/// Who sets `listeners` for clients only keeps the controller where `dev` has it.
fn keep_controller_listener(
    overrides: &mut Overrides,
    environment: &dyn Fn(&str) -> Option<String>,
    port: u16,
) {
    let set = |key: &str, variable: &str| {
        let pairs = overrides.overrides.iter().rev().filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(name, _)| name.trim() == key).map(|(_, value)| value);
        found.next().map(str::to_owned).or_else(|| environment(variable))
    };
    let is_named_otherwise =
        set("controller.listener.names", "OTTLA_CONTROLLER_LISTENER_NAMES").is_some();
    let Some(listeners) = set("listeners", "OTTLA_LISTENERS").filter(|_| !is_named_otherwise)
    else {
        return;
    };
    if !listeners.split(',').any(|listener| listener.trim().starts_with("CONTROLLER:")) {
        let all = format!("listeners={listeners},{}", controller_listener(port));
        overrides.overrides.push(all);
    }
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
        let next = next_commands(ready.kafka.first().map_or("", String::as_str), &ready.admin);
        println!("\nOttla is ready. Next, in another terminal:\n\n{next}");
    }
    Ok(())
}

/// The first minute, with the addresses that this process has.
fn next_commands(kafka: &str, admin: &str) -> String {
    let option = |name: &str, address: &str, default: &str| {
        let is_default = address.replace("127.0.0.1:", "localhost:") == default;
        if is_default { String::new() } else { format!(" {name} {address}") }
    };
    let bootstrap = option("--bootstrap", kafka, DEFAULT_BOOTSTRAP);
    let admin = option("--admin", admin, DEFAULT_ADMIN);
    format!(
        "  ottla topic create orders --partitions 3{admin}\n  \
         echo 'hello' | ottla produce orders{bootstrap}\n  \
         ottla consume orders --from-beginning --count 1{bootstrap}\n  \
         ottla doctor{bootstrap}{admin}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(pairs: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
        let mut overrides =
            Overrides { overrides: pairs.iter().map(|pair| (*pair).to_owned()).collect() };
        let variable = |key: &str| {
            let found = environment.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| (*value).to_owned())
        };
        keep_controller_listener(&mut overrides, &variable, 9092);
        overrides.overrides
    }

    #[test]
    fn a_listener_for_clients_only_keeps_the_controllers() {
        let all = "listeners=PLAINTEXT://:19092,CONTROLLER://127.0.0.1:9093";
        assert_eq!(kept(&["listeners=PLAINTEXT://:19092"], &[]).last().unwrap(), all);
        assert_eq!(kept(&[], &[("OTTLA_LISTENERS", "PLAINTEXT://:19092")]), [all]);
        assert_eq!(kept(&[all], &[]), [all]);
        let named = ["listeners=A://:1,B://:2", "controller.listener.names=B"];
        assert_eq!(kept(&named, &[]), named);
        assert!(kept(&[], &[]).is_empty());
    }

    #[test]
    fn all_ports_move_with_one_option() {
        let config = settings::load(None, &Overrides::default(), preset(Path::new("/d"), 19_092));
        let config = config.unwrap();
        assert_eq!(config.client_listeners[0].bind.port, 19_092);
        assert_eq!(config.controller_listener.unwrap().bind.port, 19_093);
        assert_eq!(config.internal.storage.port, 19_094);
        assert_eq!(config.internal.admin.port, 19_095);
        assert_eq!(config.internal.http.port, 19_096);
    }

    #[test]
    fn the_next_commands_name_the_addresses_that_are_no_defaults() {
        let next = next_commands("127.0.0.1:9092", "127.0.0.1:9095");
        assert!(!next.contains("--bootstrap") && !next.contains("--admin"), "{next}");
        let next = next_commands("127.0.0.1:19092", "127.0.0.1:9095");
        assert!(next.contains("ottla produce orders --bootstrap 127.0.0.1:19092\n"), "{next}");
        assert!(next.contains("ottla doctor --bootstrap 127.0.0.1:19092\n"), "{next}");
        let next = next_commands("127.0.0.1:9092", "127.0.0.1:19095");
        assert!(next.contains("--partitions 3 --admin 127.0.0.1:19095\n"), "{next}");
    }
}
