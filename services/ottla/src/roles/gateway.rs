//! The gateway's part of a process's configuration.

use std::time::Duration;

use ottla_controller::config::domain_settings;
use ottla_gateway::config::{
    ConnectionLimits, DEFAULT_MAX_CONNECTIONS, GatewayConfig, ListenerConfig, OffsetsTopic,
};
use ottla_metadata::topic_config::ConfigError;
use ottla_runtime::config::ServerConfig;

/// Kafka's default of `max.connections`: no bound. Here it gets one.
const UNBOUNDED: usize = i32::MAX as usize;

/// What a gateway is told at its start.
///
/// # Errors
/// A default of topics is wrong.
pub(super) fn config(config: &ServerConfig) -> Result<GatewayConfig, ConfigError> {
    let network = &config.network;
    let limits = ConnectionLimits {
        max_request_bytes: network.max_request_bytes,
        max_idle: network.max_idle.unwrap_or(Duration::MAX),
        max_connections: match network.max_connections {
            UNBOUNDED => DEFAULT_MAX_CONNECTIONS,
            set => set,
        },
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
        fetch_session_slots: network.fetch_session_slots,
        max_partitions_per_describe: network.max_request_partitions,
        offsets_topic: OffsetsTopic {
            partitions: config.groups.offsets_topic_partitions,
            replication_factor: config.groups.offsets_topic_replication_factor,
            segment_bytes: config.groups.offsets_topic_segment_bytes,
        },
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

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::config::{ConfigFile, ConfigSources};

    const BROKER: &str = "process.roles=broker,controller\nnode.id=1\nlog.dirs=/data\n\
        listeners=PLAINTEXT://:9092,CONTROLLER://:9093\ncontroller.quorum.voters=1@localhost:9093\n";
    const GATEWAY: &str = "process.roles=gateway\nnode.id=7\nlisteners=PLAINTEXT://:9092\n\
        controller.quorum.voters=1@localhost:9093\n";

    fn load(text: &str) -> GatewayConfig {
        let file = Some(ConfigFile { name: "test".into(), text: text.into() });
        let sources = ConfigSources { file, ..ConfigSources::default() };
        config(&ServerConfig::load(&sources, "localhost").unwrap()).unwrap()
    }

    #[test]
    fn only_a_gateway_without_a_storage_node_has_node_ports() {
        assert_eq!(load(BROKER).listeners[0].node_port_first, None);
        assert_eq!(load(GATEWAY).listeners[0].node_port_first, Some(9192));
    }

    #[test]
    fn limits_are_kafkas_with_a_bound_where_kafka_has_none() {
        let limits = load(BROKER).limits;
        assert_eq!(limits.max_connections, DEFAULT_MAX_CONNECTIONS);
        assert_eq!((limits.max_request_bytes, limits.max_idle.as_secs()), (100 << 20, 600));
        let set = format!(
            "{BROKER}max.connections=20000\nlog.retention.hours=5\noffsets.topic.num.partitions=7\n"
        );
        let config = load(&set);
        assert_eq!(config.limits.max_connections, 20_000);
        assert_eq!(config.offsets_topic, OffsetsTopic { partitions: 7, ..OffsetsTopic::default() });
        assert_eq!(config.topic_defaults.get("retention.ms").unwrap().value, "18000000");
    }
}
