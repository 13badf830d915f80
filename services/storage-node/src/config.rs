//! What a storage node is told at its start.
//!
//! Invariant: every value is within the bounds of its Kafka key; whoever reads the configuration file checked that.
//! Deliberately does not know files of properties, nor the command line.

use std::path::PathBuf;
use std::time::Duration;

use ottla_api::storage::NodeConfig;
use ottla_coordinator::Settings;
use ottla_metadata::event::Endpoint;
use ottla_metadata::topic_config::ClusterDefaults;
use ottla_runtime::seams::HostPort;
use ottla_types::{ClusterId, NodeId};

/// A storage node's configuration.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// `node.id`.
    pub node: NodeId,
    /// The cluster that the node is to belong to; `None`: that of its directories, or of the quorum.
    pub cluster_id: Option<ClusterId>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// `num.io.threads`: shards over all directories; each directory has at least one.
    pub io_threads: usize,
    /// `ottla.storage.listener`; `None`: only this process uses the node.
    pub listener: Option<HostPort>,
    /// `ottla.storage.listener.advertised`: where gateways and followers reach it.
    pub advertised: Endpoint,
    /// Free bytes that each directory must have at start.
    pub min_free_bytes: u64,
    /// The broker's own defaults of topic configs (`log.retention.ms` and so on).
    pub topic_defaults: ClusterDefaults,
    /// `producer.id.expiration.ms`.
    pub producer_expiration_ms: i64,
    /// `num.recovery.threads.per.data.dir`: partitions of one directory that are recovered at a time.
    pub recovery_threads: usize,
    /// What the node says of its own configuration, in order of the names.
    pub node_configs: Vec<NodeConfig>,
    /// The coordinators of consumer groups.
    pub groups: GroupConfig,
    /// How long things take.
    pub timing: StorageTiming,
    /// Sizes of what the node keeps.
    pub sizes: StorageSizes,
    /// Compaction.
    pub cleaner: CleanerConfig,
    /// A bug that is put back, for the simulation to find.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::mutant::Mutant>,
}

/// What coordinators of groups obey.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// What their decisions depend on. `max_batch_bytes` is that of the topic, whatever stands here.
    pub settings: Settings,
    /// How often they look for offsets that expired (`offsets.retention.check.interval.ms`).
    pub expire_interval: Duration,
    /// How many bytes are read at a time when they load (`offsets.load.buffer.size`).
    pub load_bytes: usize,
    /// How long they wait for the replicas of what they write (`offsets.commit.timeout.ms`).
    pub append_timeout: Duration,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            expire_interval: Duration::from_secs(600),
            load_bytes: 5 << 20,
            append_timeout: Duration::from_secs(5),
        }
    }
}

/// How logs are compacted.
#[derive(Clone, Copy, Debug)]
pub struct CleanerConfig {
    /// `log.cleaner.threads`; 0, or without `log.cleaner.enable`: nothing is compacted.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`: bytes that the keys of all threads take at most.
    pub dedupe_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`, in percent: how full the map of keys may become.
    pub load_percent: u8,
    /// `log.cleaner.io.buffer.size`: bytes that all threads read and write at a time.
    pub io_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`: bytes that all threads read and write in a second; `None` for no limit.
    pub max_bytes_per_second: Option<u64>,
    /// `log.cleaner.backoff.ms`: how long a thread rests when there is nothing to do.
    pub backoff: Duration,
}

impl Default for CleanerConfig {
    fn default() -> Self {
        Self {
            threads: 1,
            dedupe_bytes: 128 << 20,
            load_percent: 90,
            io_buffer_bytes: 512 << 10,
            max_bytes_per_second: None,
            backoff: Duration::from_secs(15),
        }
    }
}

/// Periods and time-outs.
#[derive(Clone, Copy, Debug)]
pub struct StorageTiming {
    /// `broker.heartbeat.interval.ms`.
    pub heartbeat_interval: Duration,
    /// `initial.broker.registration.timeout.ms`.
    pub registration_timeout: Duration,
    /// How long a controlled shutdown may wait for the controller.
    pub shutdown_timeout: Duration,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub checkpoint_interval: Duration,
}

impl Default for StorageTiming {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(2),
            registration_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
            retention_check_interval: Duration::from_secs(300),
            checkpoint_interval: Duration::from_secs(60),
        }
    }
}

/// Sizes.
#[derive(Clone, Copy, Debug)]
pub struct StorageSizes {
    /// Bytes of one journal file; a shard has two.
    pub journal_bytes: u64,
    /// Descriptors that a shard holds open.
    pub open_files_per_shard: usize,
}

impl Default for StorageSizes {
    fn default() -> Self {
        Self { journal_bytes: 64 << 20, open_files_per_shard: 1024 }
    }
}

impl StorageConfig {
    /// A node with one directory that serves its own process only, with Kafka's defaults.
    pub fn new(node: NodeId, log_dir: PathBuf) -> Self {
        Self {
            node,
            cluster_id: None,
            rack: None,
            log_dirs: vec![log_dir],
            io_threads: 1,
            listener: None,
            advertised: Endpoint { host: "localhost".to_owned(), port: 9094 },
            min_free_bytes: 0,
            topic_defaults: ClusterDefaults::default(),
            producer_expiration_ms: 86_400_000,
            recovery_threads: 2,
            node_configs: Vec::new(),
            groups: GroupConfig::default(),
            timing: StorageTiming::default(),
            sizes: StorageSizes::default(),
            cleaner: CleanerConfig::default(),
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }

    /// Shards of each directory.
    pub fn shards_per_dir(&self) -> usize {
        (self.io_threads / self.log_dirs.len().max(1)).max(1)
    }
}
