//! DescribeNodeConfigs. Nothing in it can be malformed.

use ottla_proto::storage::v1 as wire;

use crate::storage::NodeConfig;

pub(crate) fn node_configs_to_wire(configs: Vec<NodeConfig>) -> wire::DescribeNodeConfigsResponse {
    let one = |config: NodeConfig| wire::NodeConfig {
        name: config.name,
        value: config.value,
        default_value: config.default,
        is_set: config.is_set,
        is_sensitive: config.is_sensitive,
        kind: config.kind,
        documentation: config.documentation,
        effect: config.effect,
    };
    wire::DescribeNodeConfigsResponse { configs: configs.into_iter().map(one).collect() }
}

pub(crate) fn node_configs_from_wire(wire: wire::DescribeNodeConfigsResponse) -> Vec<NodeConfig> {
    let one = |config: wire::NodeConfig| NodeConfig {
        name: config.name,
        // Whatever the peer says: a secret is never told.
        value: config.value.filter(|_| !config.is_sensitive),
        default: config.default_value,
        is_set: config.is_set,
        is_sensitive: config.is_sensitive,
        kind: config.kind,
        documentation: config.documentation,
        effect: config.effect,
    };
    wire.configs.into_iter().map(one).collect()
}
