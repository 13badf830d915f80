//! The storage node's part of a process's configuration.

use std::sync::Arc;

use ottla_api::controller::ControllerClient;
use ottla_api::storage::NodeConfig;
use ottla_controller::config::domain_settings;
use ottla_metadata::event::Endpoint;
use ottla_metadata::topic_config::ConfigError;
use ottla_runtime::Seams;
use ottla_runtime::config::{ExplainRow, ServerConfig};
use ottla_storage_node::config::{
    CleanerConfig, GroupConfig, StorageConfig, StorageSizes, StorageTiming,
};
use ottla_storage_node::service::StorageHandle;

use super::Variations;

/// What a storage node is told at its start.
///
/// # Errors
/// A default of topics is wrong.
pub(super) fn config(
    config: &ServerConfig,
    variations: &Variations,
) -> Result<StorageConfig, ConfigError> {
    let advertised = &config.internal.storage_advertised;
    let own = StorageConfig::new(config.node_id, config.log_dirs[0].clone());
    let expiration = config.storage.producer_id_expiration.as_millis();
    let (sizes, timing) = (StorageSizes::default(), StorageTiming::default());
    Ok(StorageConfig {
        rack: config.rack.clone(),
        log_dirs: config.log_dirs.clone(),
        io_threads: shards(config.storage.io_threads),
        listener: Some(config.internal.storage.clone()),
        advertised: Endpoint { host: advertised.host.clone(), port: advertised.port },
        min_free_bytes: config.storage.min_free_disk_bytes,
        topic_defaults: domain_settings(config)?.topic_defaults,
        producer_expiration_ms: i64::try_from(expiration).unwrap_or(i64::MAX),
        recovery_threads: config.storage.recovery_threads_per_dir,
        node_configs: node_configs(config),
        groups: groups(config, &own.groups),
        cleaner: cleaner(config),
        timing: StorageTiming {
            heartbeat_interval: config.timing.broker_heartbeat_interval,
            registration_timeout: config.timing.registration_timeout,
            retention_check_interval: config.storage.retention_check_interval,
            checkpoint_interval: variations
                .checkpoint_interval
                .unwrap_or(timing.checkpoint_interval),
            ..timing
        },
        sizes: StorageSizes {
            journal_bytes: variations.journal_bytes.unwrap_or(sizes.journal_bytes),
            ..sizes
        },
        #[cfg(feature = "mutants")]
        mutant: variations.mutant,
        ..own
    })
}

/// What the log cleaner is told.
fn cleaner(config: &ServerConfig) -> CleanerConfig {
    let cleaner = &config.cleaner;
    CleanerConfig {
        threads: if cleaner.is_enabled { cleaner.threads } else { 0 },
        dedupe_bytes: cleaner.dedupe_bytes,
        load_percent: cleaner.load_percent,
        io_buffer_bytes: cleaner.io_buffer_bytes,
        max_bytes_per_second: cleaner.max_bytes_per_second,
        backoff: cleaner.backoff,
    }
}

/// What coordinators of groups are told.
fn groups(config: &ServerConfig, own: &GroupConfig) -> GroupConfig {
    let groups = &config.groups;
    GroupConfig {
        settings: ottla_coordinator::Settings {
            group_min_session_timeout_ms: groups.min_session_timeout_ms,
            group_max_session_timeout_ms: groups.max_session_timeout_ms,
            group_initial_rebalance_delay_ms: groups.initial_rebalance_delay_ms,
            group_max_size: groups.max_size,
            offset_metadata_max_bytes: groups.offset_metadata_max_bytes,
            offsets_retention_minutes: groups.offsets_retention_minutes,
            ..own.settings.clone()
        },
        expire_interval: groups.offsets_retention_check_interval,
        load_bytes: groups.offsets_load_buffer_bytes,
        append_timeout: groups.offsets_commit_timeout,
    }
}

/// What the node tells of its own configuration, in order of the names.
fn node_configs(config: &ServerConfig) -> Vec<NodeConfig> {
    let one = |row: ExplainRow| NodeConfig {
        name: row.key,
        value: row.value.filter(|_| !row.is_sensitive),
        default: row.default,
        is_set: row.is_set,
        is_sensitive: row.is_sensitive,
        kind: row.kind.to_owned(),
        documentation: (!row.doc.is_empty()).then_some(row.doc),
        effect: row.effect,
    };
    let mut configs: Vec<NodeConfig> = config.explain().into_iter().map(one).collect();
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    configs
}

/// More shards than cores only share their rounds among more syncs.
fn shards(io_threads: usize) -> usize {
    io_threads.min(std::thread::available_parallelism().map_or(1, usize::from))
}

/// Ties the node's registration to the process's metadata stream, for as long as the node lives: its end is the first sign of the
/// node's death.
pub(super) fn identify(seams: &Seams, client: &Arc<ControllerClient>, handle: &StorageHandle) {
    let (client, node) = (client.clone(), handle.node());
    let mut standings = handle.standings();
    let follow = async move {
        let mut epoch = None;
        loop {
            let now = standings.borrow_and_update().broker_epoch;
            if epoch.replace(now) != Some(now) {
                client.identify(node, now);
            }
            if standings.changed().await.is_err() {
                return;
            }
        }
    };
    drop(seams.tasks.spawn("identify", Box::pin(follow)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::config::{ConfigFile, ConfigSources};

    #[test]
    fn coordinators_of_groups_obey_the_configuration() {
        let text = "node.id=3\ngroup.initial.rebalance.delay.ms=7\ngroup.max.size=8\n\
            group.min.session.timeout.ms=9\ngroup.max.session.timeout.ms=10\n\
            offsets.retention.minutes=11\noffset.metadata.max.bytes=12\n\
            offsets.retention.check.interval.ms=13\noffsets.commit.timeout.ms=14\n\
            offsets.load.buffer.size=15\n";
        let file = Some(ConfigFile { name: "server.properties".into(), text: text.into() });
        let sources = ConfigSources { file, ..ConfigSources::default() };
        let server = ServerConfig::load(&sources, "localhost").unwrap();
        let groups = config(&server, &Variations::default()).unwrap().groups;
        let settings = ottla_coordinator::Settings {
            group_initial_rebalance_delay_ms: 7,
            group_max_size: 8,
            group_min_session_timeout_ms: 9,
            group_max_session_timeout_ms: 10,
            offsets_retention_minutes: 11,
            offset_metadata_max_bytes: 12,
            ..ottla_coordinator::Settings::default()
        };
        assert_eq!(groups.settings, settings);
        assert_eq!(groups.expire_interval.as_millis(), 13);
        assert_eq!(groups.append_timeout.as_millis(), 14);
        assert_eq!(groups.load_bytes, 15);
    }

    #[test]
    fn a_node_tells_its_own_configuration_without_its_secrets() {
        let text = "node.id=3\nssl.key.password=hunter2\nnum.recovery.threads.per.data.dir=5\n";
        let file = Some(ConfigFile { name: "server.properties".into(), text: text.into() });
        let sources = ConfigSources { file, ..ConfigSources::default() };
        let server = ServerConfig::load(&sources, "localhost").unwrap();
        let own = config(&server, &Variations::default()).unwrap();
        assert_eq!(own.recovery_threads, 5);
        assert_eq!(own.groups.settings, ottla_coordinator::Settings::default());
        let of = |name: &str| own.node_configs.iter().find(|config| config.name == name).unwrap();
        let id = of("node.id");
        assert_eq!((id.value.as_deref(), id.is_set, id.kind.as_str()), (Some("3"), true, "INT"));
        let threads = of("num.io.threads");
        assert_eq!((threads.is_set, threads.default.as_deref()), (false, Some("8")));
        let secret = of("ssl.key.password");
        assert!(secret.is_set && secret.is_sensitive && secret.value.is_none());
        assert!(!format!("{:?}", own.node_configs).contains("hunter2"));
        assert!(own.node_configs.is_sorted_by(|a, b| a.name < b.name));
    }
}
