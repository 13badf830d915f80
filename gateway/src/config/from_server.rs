//! A gateway's configuration out of the configuration of its process.
//!
//! Invariant: each value is the key that the field names; a limit that Kafka leaves open gets a bound here.

use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::topic_config::{ClusterDefaults, ConfigError};
use ottla_runtime::config::{ClientListener, Kind, ServerConfig, Source};
use ottla_types::NodeId;

use super::{
    BrokerConfigEntry, BrokerConfigs, ConnectionLimits, DEFAULT_MAX_CONNECTIONS, GatewayConfig,
    ListenerConfig,
};

/// What stands for "for ever" (`connections.max.idle.ms` below zero).
const NEVER_IDLE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Kafka's default of `max.connections`: no bound.
const UNBOUNDED: usize = i32::MAX as usize;
/// The key that gives every storage node a port.
const NODE_PORTS: &str = "ottla.gateway.node.port.first";

impl GatewayConfig {
    /// The configuration of the gateway of this process.
    ///
    /// # Errors
    /// A default of topic configs is wrong.
    pub fn from_server(server: &ServerConfig) -> Result<Self, ConfigError> {
        let settings = server.settings();
        // A process that is both needs no other node's port: each node has a gateway of its own.
        let has_node_ports =
            !server.roles.storage || settings.source(NODE_PORTS) != Source::Default;
        let listener = |listener: &ClientListener| ListenerConfig {
            name: listener.name.clone(),
            bind: listener.bind.clone(),
            advertised: listener.advertised.clone(),
            node_port_first: Some(listener.first_node_port)
                .filter(|first| has_node_ports && *first > 0),
        };
        let set = server.explain().into_iter().filter_map(|row| Some((row.key, row.value?)));
        let is_set = |key: &str| settings.source(key) != Source::Default;
        let set = set.filter(|(key, _)| is_set(key)).collect();
        Ok(Self {
            node: server.node_id,
            rack: server.rack.clone(),
            listeners: server.client_listeners.iter().map(listener).collect(),
            limits: limits(server),
            auto_create_topics: server.topics.is_auto_created,
            delete_topics: server.topics.is_deletion_allowed,
            max_fetch_bytes: server.network.fetch_max_bytes,
            max_partitions_per_describe: server.network.max_request_partitions,
            topic_defaults: ClusterDefaults::from_broker_configs(&set)?,
            broker_configs: Arc::new(OfThisProcess::new(server)),
        })
    }
}

fn limits(server: &ServerConfig) -> ConnectionLimits {
    let network = &server.network;
    ConnectionLimits {
        max_request_bytes: network.max_request_bytes,
        max_idle: network.max_idle.unwrap_or(NEVER_IDLE),
        max_connections: match network.max_connections {
            UNBOUNDED => DEFAULT_MAX_CONNECTIONS,
            set => set,
        },
        max_connections_per_address: network.max_connections_per_ip,
        send_buffer_bytes: network.socket_send_buffer_bytes,
        receive_buffer_bytes: network.socket_receive_buffer_bytes,
        ..ConnectionLimits::default()
    }
}

/// Tells the configuration of this process, which stands for that of every node: the keys of a cluster are the same everywhere
/// but for those that say who a node is.
struct OfThisProcess {
    entries: Vec<BrokerConfigEntry>,
}

/// Keys that say who a node is.
const IDENTITY: [&str; 2] = ["node.id", "broker.id"];

impl OfThisProcess {
    fn new(server: &ServerConfig) -> Self {
        let settings = server.settings();
        let mut entries: Vec<BrokerConfigEntry> = server
            .explain()
            .into_iter()
            .map(|row| {
                let kind = settings.table().get(&row.key).map_or(Kind::String, |key| key.kind);
                BrokerConfigEntry {
                    is_set: settings.source(&row.key) != Source::Default,
                    is_sensitive: kind == Kind::Password,
                    kind: format!("{kind:?}").to_uppercase(),
                    documentation: Some(row.doc).filter(|doc| !doc.is_empty()),
                    name: row.key,
                    value: row.value,
                    default: row.default,
                }
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self { entries }
    }
}

impl BrokerConfigs for OfThisProcess {
    fn describe(&self, node: NodeId) -> Option<Vec<BrokerConfigEntry>> {
        let own = |entry: &BrokerConfigEntry| match IDENTITY.contains(&entry.name.as_str()) {
            true => BrokerConfigEntry { value: Some(node.to_string()), ..entry.clone() },
            false => entry.clone(),
        };
        Some(self.entries.iter().map(own).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::config::{ConfigFile, ConfigSources};

    fn load(text: &str) -> GatewayConfig {
        let file = Some(ConfigFile { name: "test".into(), text: text.into() });
        let sources = ConfigSources { file, ..ConfigSources::default() };
        GatewayConfig::from_server(&ServerConfig::load(&sources, "localhost").unwrap()).unwrap()
    }

    const BROKER: &str = "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
        controller.quorum.voters=1@localhost:9093\nlog.dirs=/data\n";
    const GATEWAY: &str = "process.roles=gateway\nnode.id=7\nlisteners=PLAINTEXT://:9092\n\
        controller.quorum.voters=1@localhost:9093\n";

    #[test]
    fn only_a_gateway_without_a_storage_node_needs_node_ports() {
        assert_eq!(load(BROKER).listeners[0].node_port_first, None);
        assert_eq!(load(GATEWAY).listeners[0].node_port_first, Some(9192));
        let wanted = format!("{BROKER}{NODE_PORTS}=9500\n");
        assert_eq!(load(&wanted).listeners[0].node_port_first, Some(9500));
    }

    #[test]
    fn limits_are_kafkas_with_a_bound_where_kafka_has_none() {
        let config = load(BROKER);
        assert_eq!(config.limits.max_connections, DEFAULT_MAX_CONNECTIONS);
        assert_eq!(config.limits.max_request_bytes, 100 << 20);
        assert_eq!(config.limits.max_idle, Duration::from_secs(600));
        let set = format!("{BROKER}max.connections=5\nconnections.max.idle.ms=-1\n");
        assert_eq!(load(&set).limits.max_connections, 5);
        assert_eq!(load(&set).limits.max_idle, NEVER_IDLE);
    }

    #[test]
    fn a_node_is_described_by_the_configuration_of_the_process() {
        let config = load(&format!("{BROKER}log.retention.hours=5\n"));
        let entries = config.broker_configs.describe(NodeId(3)).unwrap();
        let entry = |name: &str| entries.iter().find(|entry| entry.name == name).unwrap();
        assert_eq!(entry("node.id").value.as_deref(), Some("3"));
        assert!(entry("log.retention.hours").is_set && !entry("num.io.threads").is_set);
        assert_eq!(entry("num.io.threads").kind, "INT");
        assert_eq!(config.topic_defaults.get("retention.ms").unwrap().value, "18000000");
    }
}
