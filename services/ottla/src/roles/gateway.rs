//! The gateway's part of a process's configuration.

use std::sync::Arc;
use std::time::Duration;

use ottla_controller::config::domain_settings;
use ottla_gateway::config::{
    BrokerConfigEntry, BrokerConfigs, ConnectionLimits, GatewayConfig, ListenerConfig,
};
use ottla_metadata::topic_config::ConfigError;
use ottla_runtime::config::{ExplainRow, ServerConfig};
use ottla_types::NodeId;

/// What a gateway is told at its start.
///
/// # Errors
/// A default of topics is wrong.
pub(super) fn config(config: &ServerConfig) -> Result<GatewayConfig, ConfigError> {
    let network = &config.network;
    let limits = ConnectionLimits {
        max_request_bytes: network.max_request_bytes,
        max_idle: network.max_idle.unwrap_or(Duration::MAX),
        max_connections: network.max_connections.min(ConnectionLimits::default().max_connections),
        max_connections_per_address: network.max_connections_per_ip,
        send_buffer_bytes: network.socket_send_buffer_bytes,
        receive_buffer_bytes: network.socket_receive_buffer_bytes,
        ..ConnectionLimits::default()
    };
    Ok(GatewayConfig {
        topic_defaults: domain_settings(config)?.topic_defaults,
        node: config.node_id,
        rack: config.rack.clone(),
        listeners: listeners(config),
        limits,
        auto_create_topics: config.topics.is_auto_created,
        delete_topics: config.topics.is_deletion_allowed,
        max_fetch_bytes: network.fetch_max_bytes,
        max_partitions_per_describe: network.max_request_partitions,
        broker_configs: Arc::new(OwnConfigs { node: config.node_id, rows: config.explain() }),
    })
}

/// A process that is storage node and gateway serves its own node only, on the listener's own port.
fn listeners(config: &ServerConfig) -> Vec<ListenerConfig> {
    let listener = |listener: &ottla_runtime::config::ClientListener| ListenerConfig {
        name: listener.name.clone(),
        bind: listener.bind.clone(),
        advertised: listener.advertised.clone(),
        node_port_first: (!config.roles.storage).then_some(listener.first_node_port),
    };
    config.client_listeners.iter().map(listener).collect()
}

/// The configuration of the storage node in this process.
struct OwnConfigs {
    node: NodeId,
    rows: Vec<ExplainRow>,
}

impl BrokerConfigs for OwnConfigs {
    fn describe(&self, node: NodeId) -> Option<Vec<BrokerConfigEntry>> {
        (node == self.node).then(|| self.rows.iter().map(entry).collect())
    }
}

fn entry(row: &ExplainRow) -> BrokerConfigEntry {
    BrokerConfigEntry {
        name: row.key.clone(),
        value: row.value.clone(),
        default: row.default.clone(),
        is_set: row.source != "default",
        is_sensitive: false,
        kind: "STRING".to_owned(),
        documentation: (!row.doc.is_empty()).then(|| row.doc.clone()),
    }
}
