//! The configuration of a server, as values with types: what each role reads.
//!
//! Invariant: a `ServerConfig` that exists is consistent: its listeners are known and served, it can find the quorum, and a
//! controller is one of its voters.

mod cleaner;
mod groups;
mod listeners;
mod quorum;
mod roles;
mod sections;
#[cfg(test)]
mod tests;
mod topics;

use std::path::PathBuf;

use ottla_types::NodeId;

use crate::config::explain::ExplainRow;
use crate::config::key::Meaning;
use crate::config::problem::{ConfigErrors, Problem};
use crate::config::settings::{ConfigSources, Settings, Source};
use crate::config::table::server_keys;

pub use cleaner::CleanerConfig;
pub use groups::GroupsConfig;
pub use listeners::{ClientListener, ControllerListener, InternalAddresses};
pub use quorum::{QuorumConfig, QuorumVoter};
pub use roles::{Role, Roles};
pub use sections::{NetworkConfig, StorageConfig, TimingConfig};
pub use topics::TopicDefaults;

/// By so much Kafka's own defaults of `message.max.bytes` and `replica.fetch.max.bytes` differ: the frame of a batch.
const LOG_OVERHEAD_BYTES: i32 = 12;

/// All that a process needs to know to play its roles.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// What it is (`process.roles`).
    pub roles: Roles,
    /// Who it is (`node.id`).
    pub node_id: NodeId,
    /// Where it stands (`broker.rack`).
    pub rack: Option<String>,
    /// The directories of partitions (`log.dirs`).
    pub log_dirs: Vec<PathBuf>,
    /// The directory of the quorum's log (`metadata.log.dir`, else the first of `log.dirs`).
    pub metadata_log_dir: PathBuf,
    /// Who decides, and where they are found.
    pub quorum: QuorumConfig,
    /// Where the controller listens, if it is one.
    pub controller_listener: Option<ControllerListener>,
    /// Where the gateway listens, if it is one.
    pub client_listeners: Vec<ClientListener>,
    /// Ottla's own addresses.
    pub internal: InternalAddresses,
    /// Sockets and requests.
    pub network: NetworkConfig,
    /// Files, shards and replication.
    pub storage: StorageConfig,
    /// Heartbeats, elections, snapshots.
    pub timing: TimingConfig,
    /// Compaction.
    pub cleaner: CleanerConfig,
    /// Consumer groups.
    pub groups: GroupsConfig,
    /// What a topic has unless it says otherwise.
    pub topics: TopicDefaults,
    settings: Settings,
    notices: Vec<String>,
}

impl ServerConfig {
    /// Reads a configuration. `host_name` is what this machine is called where no host is given.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(sources: &ConfigSources, host_name: &str) -> Result<Self, ConfigErrors> {
        Self::from_settings(Settings::load(server_keys(), sources)?, host_name)
    }

    fn from_settings(settings: Settings, host_name: &str) -> Result<Self, ConfigErrors> {
        let mut checks = Checks::default();
        let roles = checks.take(roles::roles(&settings));
        let node_id = checks.take(roles::node_id(&settings));
        // The rest depends on what the process is.
        let (Some(roles), Some(node_id)) = (roles, node_id) else { return Err(checks.0) };
        let listeners = checks.take(listeners::listeners(&settings, roles, host_name));
        let internal = checks.take(listeners::internal_addresses(&settings, host_name));
        let controller_listener = listeners.as_ref().and_then(|found| found.controller.clone());
        let own = quorum::Own { roles, node_id, listener: controller_listener.as_ref(), host_name };
        let quorum = checks.take(quorum::quorum(&settings, &own));
        let log_dirs = checks.take(sections::log_dirs(&settings, roles));
        checks.take(refuse_what_is_not_served(&settings));
        if let (Some(listeners), Some(internal)) = (&listeners, &internal) {
            checks.take(listeners::refuse_shared_ports(&settings, roles, listeners, internal));
        }
        let (Some(listeners), Some(internal), Some(quorum), Some(log_dirs), true) =
            (listeners, internal, quorum, log_dirs, checks.0.0.is_empty())
        else {
            return Err(checks.0);
        };
        let metadata_log_dir = settings.text("metadata.log.dir").map(PathBuf::from);
        let metadata_log_dir = metadata_log_dir.or_else(|| log_dirs.first().cloned());
        let mut config = Self {
            roles,
            node_id,
            rack: settings.text("broker.rack").filter(|rack| !rack.is_empty()).map(str::to_owned),
            metadata_log_dir: metadata_log_dir.unwrap_or_default(),
            log_dirs,
            quorum,
            controller_listener,
            client_listeners: listeners.clients,
            internal,
            network: NetworkConfig::read(&settings),
            storage: StorageConfig::read(&settings),
            timing: TimingConfig::read(&settings),
            cleaner: CleanerConfig::read(&settings),
            groups: GroupsConfig::read(&settings),
            topics: TopicDefaults::read(&settings),
            notices: settings.notices().to_vec(),
            settings,
        };
        config.add_notices();
        Ok(config)
    }

    fn add_notices(&mut self) {
        if self.settings.source("process.roles") == Source::Default {
            self.notices.push(
                "process.roles is not set: this process is a cluster of its own, with all roles"
                    .into(),
            );
        }
        let largest = self.topics.max_message_bytes();
        let is_obeyed =
            |key| server_keys().get(key).is_some_and(|key| key.meaning == Meaning::Obeyed);
        if is_obeyed("replica.fetch.max.bytes")
            && self.storage.replica_fetch_max_bytes.saturating_add(LOG_OVERHEAD_BYTES) < largest
        {
            self.notices.push(format!(
                "replica.fetch.max.bytes={} is below message.max.bytes={largest}: a large batch travels alone",
                self.storage.replica_fetch_max_bytes
            ));
        }
        let voters = self.quorum.voters.len();
        if voters > 0 && voters.is_multiple_of(2) {
            self.notices.push(format!(
                "controller.quorum.voters has {voters} members, which survive no more failures than {}: name 1, 3 or 5",
                voters - 1
            ));
        }
    }

    /// What the user should know and need not mend, a line each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Every key with its value, source and effect.
    pub fn explain(&self) -> Vec<ExplainRow> {
        self.settings.explain()
    }

    /// Variables of the environment that look like keys and are none, in the form of [`ServerConfig::explain`].
    pub fn explain_unknown_variables(&self) -> Vec<ExplainRow> {
        self.settings.explain_unknown_variables()
    }

    /// The single values, for `DescribeConfigs`.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Gathers what is wrong, so that all of it is told at once.
#[derive(Default)]
struct Checks(ConfigErrors);

impl Checks {
    fn take<T>(&mut self, result: Result<T, ConfigErrors>) -> Option<T> {
        result.map_err(|errors| self.0.0.extend(errors.0)).ok()
    }
}

/// What promises protection and would not give it stops the start.
fn refuse_what_is_not_served(settings: &Settings) -> Result<(), ConfigErrors> {
    let mut problems: Vec<Problem> = Vec::new();
    let between = settings.text("security.inter.broker.protocol");
    if between.is_some_and(|protocol| protocol != "PLAINTEXT") {
        problems.push(settings.problem(
            "security.inter.broker.protocol",
            "this security protocol is not served yet",
            "set PLAINTEXT and keep the roles on a network of their own",
        ));
    }
    if settings.text("authorizer.class.name").is_some_and(|class| !class.is_empty()) {
        problems.push(settings.problem(
            "authorizer.class.name",
            "authorization is not served yet, so everybody could do everything",
            "remove the key if that is meant",
        ));
    }
    if problems.is_empty() { Ok(()) } else { Err(ConfigErrors(problems)) }
}
