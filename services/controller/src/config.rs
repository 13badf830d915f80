//! What the role is told at start.
//!
//! Invariant: each field is one key of the configuration, or says what it is made of.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ottla_metadata::Settings;
use ottla_metadata::topic_config::ClusterDefaults;
use ottla_runtime::config::ServerConfig;
use ottla_runtime::seams::HostPort;
use ottla_types::NodeId;

use crate::quorum::driver::{SnapshotPolicy, Voter};

/// What a controller is told at start.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// `node.id`
    pub node: NodeId,
    /// `metadata.log.dir`, else the first of `log.dirs`.
    pub dir: PathBuf,
    /// `controller.quorum.voters`
    pub voters: Vec<Voter>,
    /// The listener of `controller.listener.names`.
    pub listener: HostPort,
    /// `ottla.admin.listener`; `None`: no admin API.
    pub admin_listener: Option<HostPort>,
    /// What decisions depend on.
    pub domain: Settings,
    /// `controller.quorum.election.timeout.ms`
    pub election_timeout: Duration,
    /// When snapshots are taken.
    pub snapshots: SnapshotPolicy,
    /// `ottla.min.free.disk.bytes`
    pub min_free_disk_bytes: u64,
    /// Lists and history live in memory instead of a database: for simulations, whose disk sled does not know.
    pub keeps_lists_in_memory: bool,
}

/// Why a process's configuration is none for a controller.
#[derive(Debug, thiserror::Error)]
pub enum ControllerConfigError {
    /// No listener for the controller.
    #[error("this process has no controller listener; add CONTROLLER://:9093 to listeners")]
    NoListener,
    /// A default of topics is wrong.
    #[error(transparent)]
    TopicDefault(#[from] ottla_metadata::topic_config::ConfigError),
}

impl ControllerConfig {
    /// The controller's part of a process's configuration.
    ///
    /// # Errors
    /// There is no controller listener, or a default of topics is wrong.
    pub fn from_server(config: &ServerConfig) -> Result<Self, ControllerConfigError> {
        let listener =
            config.controller_listener.as_ref().ok_or(ControllerConfigError::NoListener)?;
        let voter = |voter: &ottla_runtime::config::QuorumVoter| Voter {
            node: voter.node_id,
            endpoint: voter.address.clone(),
        };
        Ok(Self {
            node: config.node_id,
            dir: config.metadata_log_dir.clone(),
            voters: config.quorum.voters.iter().map(voter).collect(),
            listener: listener.bind.clone(),
            admin_listener: Some(config.internal.admin.clone()),
            domain: domain_settings(config)?,
            election_timeout: config.timing.election_timeout,
            snapshots: SnapshotPolicy {
                after_bytes: config.timing.snapshot_after_bytes,
                after: config.timing.snapshot_after,
                ..SnapshotPolicy::default()
            },
            min_free_disk_bytes: config.storage.min_free_disk_bytes,
            keeps_lists_in_memory: false,
        })
    }
}

/// What decisions depend on, out of a process's configuration.
///
/// # Errors
/// A default of topics is wrong.
pub fn domain_settings(
    config: &ServerConfig,
) -> Result<Settings, ottla_metadata::topic_config::ConfigError> {
    let value = |key: &&'static str| {
        let text = config.settings().text(key)?;
        Some(((*key).to_owned(), text.to_owned()))
    };
    let set: BTreeMap<String, String> = config.topics.set_by.values().filter_map(value).collect();
    let session_ms = config.timing.broker_session_timeout.as_millis();
    Ok(Settings {
        num_partitions: config.topics.partitions,
        default_replication_factor: config.topics.replication_factor,
        is_topic_deletion_allowed: config.topics.is_deletion_allowed,
        broker_session_timeout_ms: u64::try_from(session_ms).unwrap_or(u64::MAX),
        topic_defaults: ClusterDefaults::from_broker_configs(&set)?,
        ..Settings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_metadata::topic_config::{KEYS, Served};
    use ottla_runtime::config::{ConfigFile, ConfigSources, Meaning, server_keys};

    fn load(lines: &str) -> ServerConfig {
        let text = format!("process.roles=broker,controller\nnode.id=1\nlog.dirs=/data\n{lines}\n");
        let file = Some(ConfigFile { name: "test".into(), text });
        ServerConfig::load(&ConfigSources { file, ..ConfigSources::default() }, "here").unwrap()
    }

    #[test]
    fn the_operators_word_on_deletion_reaches_the_decisions() {
        for (line, is_allowed) in [("", true), ("delete.topic.enable=false", false)] {
            let settings = domain_settings(&load(line)).unwrap();
            assert_eq!(settings.is_topic_deletion_allowed, is_allowed, "{line}");
        }
    }

    #[test]
    fn a_default_factor_that_decisions_refuse_is_told_at_the_start() {
        let most = Settings::default().max_replication_factor;
        for (factor, is_told) in [(most, false), (most + 1, true)] {
            let line = format!("default.replication.factor={factor}");
            let config = load(&line);
            let notices = config.notices();
            assert_eq!(notices.iter().any(|notice| notice.contains(&line)), is_told, "{notices:?}");
        }
    }

    #[test]
    fn a_key_that_sets_a_topic_config_is_obeyed_exactly_where_the_topic_config_is() {
        for key in KEYS {
            for synonym in key.synonyms {
                let broker = server_keys().get(synonym).unwrap();
                let is_obeyed = key.served == Served::Obeyed;
                assert_eq!(broker.meaning == Meaning::Obeyed, is_obeyed, "{synonym}");
            }
        }
    }
}
