//! The systems that are compared: Apache Kafka, Ottla in one process, Ottla with its three roles apart. Each with one
//! controller and one storage node, its data below one folder.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bench::cpu;
use crate::ports::{free_port, free_ports};
use crate::process::{Process, ottla, root};
use crate::wire::{self, Wire};
use ottla_kafka_wire::messages::api_versions_request::ApiVersionsRequest;

/// How long a system may take to be there.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Deleted files go at once and not during the next row.
const DELETE_SOON: &str = "log.segment.delete.delay.ms=100";

/// When an acknowledged record is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In the page cache: `flush.messages` at its largest (Kafka's default).
    PageCache,
    /// Synced before it is acknowledged: `flush.messages=1` (Ottla's default).
    Fsync,
}

/// How the systems are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When an acknowledged record is on the disk.
    pub durability: Durability,
    /// More lines of the configuration, the same for all systems.
    pub lines: &'static [&'static str],
}

impl Settings {
    fn all(self) -> impl Iterator<Item = String> {
        let lines = self.lines.iter().map(|line| (*line).to_owned());
        lines.chain([
            self.durability.property(),
            "offsets.topic.replication.factor=1".to_owned(),
            DELETE_SOON.to_owned(),
        ])
    }
}

impl Durability {
    /// The broker-wide setting.
    fn property(self) -> String {
        match self {
            Self::PageCache => format!("log.flush.interval.messages={}", i64::MAX),
            Self::Fsync => "log.flush.interval.messages=1".to_owned(),
        }
    }

    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::PageCache => "page cache",
            Self::Fsync => "fsync",
        }
    }
}

/// Which system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Apache Kafka, one combined process.
    Kafka,
    /// Ottla, one process.
    OttlaOne,
    /// Ottla, one process a role.
    OttlaApart,
}

impl Kind {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "Apache Kafka",
            Self::OttlaOne => "Ottla, one process",
            Self::OttlaApart => "Ottla, three roles apart",
        }
    }
}

/// A running system.
pub struct System {
    /// Where clients begin.
    pub bootstrap: String,
    processes: Vec<Process>,
    /// The directory of the logs.
    data: PathBuf,
}

impl System {
    /// Starts a system with its data and logs below `dir`, and waits until it answers.
    pub fn start(kind: Kind, settings: Settings, dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let system = match kind {
            Kind::Kafka => kafka(settings, dir)?,
            Kind::OttlaOne => ottla_one(settings, dir)?,
            Kind::OttlaApart => ottla_apart(settings, dir)?,
        };
        wire::retry(START_PATIENCE, || {
            Wire::connect(&system.bootstrap)?.call(0, &ApiVersionsRequest::default())
        })?;
        Ok(system)
    }

    /// CPU-seconds of all processes so far.
    pub fn cpu_seconds(&self) -> f64 {
        self.processes.iter().map(Process::cpu_seconds).sum()
    }

    /// What compilers of a JVM used of it.
    pub fn compiler_seconds(&self) -> f64 {
        self.processes.iter().map(|process| cpu::of_compilers(process.id())).sum()
    }

    /// Whether files of a topic are still there, deleted ones on their way out included.
    pub fn has_files_of(&self, topic: &str) -> io::Result<bool> {
        let prefix = format!("{topic}-");
        let mut entries = std::fs::read_dir(&self.data)?.flatten();
        Ok(entries.any(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)))
    }

    /// Memory of all processes now, in MB.
    pub fn resident_mb(&self) -> f64 {
        self.processes.iter().map(Process::resident_mb).sum()
    }
}

/// Where a system keeps its logs.
fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

fn write(dir: &Path, name: &str, lines: &[String]) -> io::Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, lines.join("\n") + "\n")?;
    Ok(path)
}

fn kafka(settings: Settings, dir: &Path) -> io::Result<System> {
    let (port, controller) = (free_port(), free_port());
    let bootstrap = format!("127.0.0.1:{port}");
    let mut lines = combined(&bootstrap, controller, settings, dir);
    // Otherwise nothing that is deleted in the first half minute goes before its end.
    lines.push("log.initial.task.delay.ms=500".to_owned());
    let file = write(dir, "kafka.properties", &lines)?;
    let tool = root().join("integration/kafka/kafka");
    let log = dir.join("kafka.log");
    let mut format = Command::new(&tool);
    format.args(["storage", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"]).arg(&file);
    let formatted = Process::start("kafka format", &mut format, &log)?.wait(START_PATIENCE);
    if formatted != Some(0) {
        return Err(io::Error::other(format!("kafka format failed, see {}", log.display())));
    }
    let mut server = Command::new(&tool);
    server.arg("server").arg(&file);
    let processes = vec![Process::start("kafka", &mut server, &log)?];
    Ok(System { bootstrap, processes, data: data(dir) })
}

/// What both systems read in one process.
fn combined(bootstrap: &str, controller: u16, settings: Settings, dir: &Path) -> Vec<String> {
    let mut lines = vec![
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
        format!("listeners=PLAINTEXT://{bootstrap},CONTROLLER://127.0.0.1:{controller}"),
        format!("advertised.listeners=PLAINTEXT://{bootstrap}"),
        "inter.broker.listener.name=PLAINTEXT".to_owned(),
        "controller.listener.names=CONTROLLER".to_owned(),
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned(),
        format!("log.dirs={}", data(dir).display()),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
    ];
    lines.extend(settings.all());
    lines
}

fn ottla_one(settings: Settings, dir: &Path) -> io::Result<System> {
    let (port, controller) = (free_port(), free_port());
    let bootstrap = format!("127.0.0.1:{port}");
    let mut lines = combined(&bootstrap, controller, settings, dir);
    lines.extend(own_ports(&["storage", "admin", "http"]));
    let processes = vec![server("ottla", &write(dir, "ottla.properties", &lines)?, dir)?];
    Ok(System { bootstrap, processes, data: data(dir) })
}

fn ottla_apart(settings: Settings, dir: &Path) -> io::Result<System> {
    let (port, controller, node_port) = (free_port(), free_port(), free_ports(4));
    let bootstrap = format!("127.0.0.1:{port}");
    let voters = format!("controller.quorum.voters=101@127.0.0.1:{controller}");
    let mut control = vec![
        "process.roles=controller".to_owned(),
        "node.id=101".to_owned(),
        voters.clone(),
        format!("listeners=CONTROLLER://127.0.0.1:{controller}"),
        format!("metadata.log.dir={}", dir.join("metadata").display()),
    ];
    control.extend(own_ports(&["admin", "http"]));
    let mut storage = vec![
        "process.roles=storage".to_owned(),
        "node.id=1".to_owned(),
        voters.clone(),
        format!("log.dirs={}", data(dir).display()),
    ];
    storage.extend(settings.all());
    storage.extend(own_ports(&["storage", "http"]));
    let mut gateway = vec![
        "process.roles=gateway".to_owned(),
        "node.id=201".to_owned(),
        voters,
        format!("listeners=PLAINTEXT://{bootstrap}"),
        format!("ottla.gateway.node.port.first={node_port}"),
    ];
    gateway.extend(settings.all());
    gateway.extend(own_ports(&["http"]));
    let processes = vec![
        server("controller", &write(dir, "controller.properties", &control)?, dir)?,
        server("storage", &write(dir, "storage.properties", &storage)?, dir)?,
        server("gateway", &write(dir, "gateway.properties", &gateway)?, dir)?,
    ];
    Ok(System { bootstrap, processes, data: data(dir) })
}

/// Ottla's own listeners on free loopback ports.
fn own_ports(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("ottla.{name}.listener=127.0.0.1:{}", free_port())).collect()
}

fn server(name: &str, file: &Path, dir: &Path) -> io::Result<Process> {
    let mut command = Command::new(ottla());
    command.arg("server").arg(file).env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    Process::start(name, &mut command, &dir.join(format!("{name}.log")))
}
