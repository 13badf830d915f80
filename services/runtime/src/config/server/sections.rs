//! Plain values by theme: sockets, files, times.
//!
//! Invariant: each field is one key of the table, or says which keys it is made of.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::problem::ConfigErrors;
use crate::config::server::roles::Roles;
use crate::config::settings::Settings;

/// Sockets and requests of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Gateway workers (`num.network.threads`).
    pub network_threads: usize,
    /// `socket.send.buffer.bytes`; `None` (-1) leaves it to the kernel.
    pub socket_send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` (-1) leaves it to the kernel.
    pub socket_receive_buffer_bytes: Option<usize>,
    /// The longest frame (`socket.request.max.bytes`).
    pub max_request_bytes: usize,
    /// `max.connections`.
    pub max_connections: usize,
    /// `max.connections.per.ip`.
    pub max_connections_per_ip: usize,
    /// How long a connection may say nothing (`connections.max.idle.ms`); `None` (negative) for ever.
    pub max_idle: Option<Duration>,
    /// The most that one fetch answers (`fetch.max.bytes`).
    pub fetch_max_bytes: i32,
    /// Fetch sessions of one gateway (`max.incremental.fetch.session.cache.slots`).
    pub fetch_session_slots: usize,
    /// Partitions in one request of DescribeTopicPartitions (`max.request.partition.size.limit`).
    pub max_request_partitions: i32,
}

impl NetworkConfig {
    pub(super) fn read(settings: &Settings) -> Self {
        Self {
            network_threads: settings.required("num.network.threads"),
            socket_send_buffer_bytes: settings.number("socket.send.buffer.bytes"),
            socket_receive_buffer_bytes: settings.number("socket.receive.buffer.bytes"),
            max_request_bytes: settings.required("socket.request.max.bytes"),
            max_connections: settings.required("max.connections"),
            max_connections_per_ip: settings.required("max.connections.per.ip"),
            max_idle: millis(settings, "connections.max.idle.ms"),
            fetch_max_bytes: settings.required("fetch.max.bytes"),
            fetch_session_slots: settings.required("max.incremental.fetch.session.cache.slots"),
            max_request_partitions: settings.required("max.request.partition.size.limit"),
        }
    }
}

/// Files, shards and replication of a storage node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// Shards of the node (`num.io.threads`).
    pub io_threads: usize,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_dir: usize,
    /// Links to each other storage node (`num.replica.fetchers`).
    pub replica_fetchers: usize,
    /// A link's window per partition (`replica.fetch.max.bytes`).
    pub replica_fetch_max_bytes: i32,
    /// `ottla.min.free.disk.bytes`.
    pub min_free_disk_bytes: u64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// How often the flush interval is looked at (`log.flush.scheduler.interval.ms`); `None` for never.
    pub flush_check_interval: Option<Duration>,
    /// How long an idle producer's sequence numbers are kept (`producer.id.expiration.ms`).
    pub producer_id_expiration: Duration,
    /// Whether leaders move away before the node stops (`controlled.shutdown.enable`).
    pub is_shutdown_controlled: bool,
}

impl StorageConfig {
    pub(super) fn read(settings: &Settings) -> Self {
        Self {
            io_threads: settings.required("num.io.threads"),
            recovery_threads_per_dir: settings.required("num.recovery.threads.per.data.dir"),
            replica_fetchers: settings.required("num.replica.fetchers"),
            replica_fetch_max_bytes: settings.required("replica.fetch.max.bytes"),
            min_free_disk_bytes: settings.required("ottla.min.free.disk.bytes"),
            retention_check_interval: required_millis(settings, "log.retention.check.interval.ms"),
            flush_check_interval: millis(settings, "log.flush.scheduler.interval.ms"),
            producer_id_expiration: required_millis(settings, "producer.id.expiration.ms"),
            is_shutdown_controlled: settings.is_true("controlled.shutdown.enable"),
        }
    }
}

/// Heartbeats, elections and snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimingConfig {
    /// `replica.lag.time.max.ms`.
    pub replica_lag_max: Duration,
    /// `broker.session.timeout.ms`.
    pub broker_session_timeout: Duration,
    /// `broker.heartbeat.interval.ms`.
    pub broker_heartbeat_interval: Duration,
    /// `initial.broker.registration.timeout.ms`.
    pub registration_timeout: Duration,
    /// `controller.quorum.election.timeout.ms`.
    pub election_timeout: Duration,
    /// Metadata between two snapshots (`metadata.log.max.record.bytes.between.snapshots`).
    pub snapshot_after_bytes: u64,
    /// Time between two snapshots (`metadata.log.max.snapshot.interval.ms`); `None` (0) for no limit.
    pub snapshot_after: Option<Duration>,
}

impl TimingConfig {
    pub(super) fn read(settings: &Settings) -> Self {
        let snapshot_after = millis(settings, "metadata.log.max.snapshot.interval.ms");
        Self {
            replica_lag_max: required_millis(settings, "replica.lag.time.max.ms"),
            broker_session_timeout: required_millis(settings, "broker.session.timeout.ms"),
            broker_heartbeat_interval: required_millis(settings, "broker.heartbeat.interval.ms"),
            registration_timeout: required_millis(
                settings,
                "initial.broker.registration.timeout.ms",
            ),
            election_timeout: required_millis(settings, "controller.quorum.election.timeout.ms"),
            snapshot_after_bytes: settings
                .required("metadata.log.max.record.bytes.between.snapshots"),
            snapshot_after: snapshot_after.filter(|interval| !interval.is_zero()),
        }
    }
}

pub(super) fn log_dirs(settings: &Settings, roles: Roles) -> Result<Vec<PathBuf>, ConfigErrors> {
    if !roles.controller && !roles.storage {
        return Ok(Vec::new());
    }
    let key = if settings.is_set("log.dirs") { "log.dirs" } else { "log.dir" };
    let dirs: Vec<PathBuf> = settings.list(key).into_iter().map(PathBuf::from).collect();
    let is_twice = |index: usize| dirs[..index].contains(&dirs[index]);
    if let Some(twice) = (0..dirs.len()).find(|index| is_twice(*index)) {
        let cause = format!("{} stands there twice", dirs[twice].display());
        return Err(settings.problem(key, cause, "name each directory once").into());
    }
    if dirs.is_empty() {
        return Err(settings
            .problem(key, "no directory at all", "name one, better one per disk")
            .into());
    }
    Ok(dirs)
}

/// `None` for a value that is negative or stands for "never".
fn millis(settings: &Settings, key: &str) -> Option<Duration> {
    let value: i64 = settings.required(key);
    let value = u64::try_from(value).ok().filter(|millis| *millis < i64::MAX as u64);
    value.map(Duration::from_millis)
}

/// Kafka lets times be negative that mean nothing then; here they are zero.
pub(super) fn required_millis(settings: &Settings, key: &str) -> Duration {
    millis(settings, key).unwrap_or_default()
}
