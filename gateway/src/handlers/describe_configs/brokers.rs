//! The configs of storage nodes: each node's own file, under what was set while it runs; and what was set for all of them.
//!
//! Invariant: each named node is asked once, all at the same time. The layers come in Kafka's order: this node's, all nodes', the
//! file's, the default.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use ottla_api::storage::NodeConfig;
use ottla_kafka_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_kafka_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsSynonym,
};
use ottla_metadata::dynamic_config::broker_key;
use ottla_metadata::{Image, Refusal};
use ottla_types::{ErrorCode, NodeId};

use super::Described;
use crate::errors;
use crate::handlers::config_resources::{BROKER, node_of};
use crate::handlers::{BACKEND_TIME, config_kind, config_source};
use crate::request::Call;

/// Kafka's number for values of `server.properties`.
const STATIC_BROKER_CONFIG: i8 = 4;
/// Kafka's number for defaults.
const DEFAULT_CONFIG: i8 = 5;
/// The effect of a key that does what its documentation says.
const OBEYED: &str = "obeyed";

/// What the named nodes say of themselves, as far as they exist.
pub(super) type Nodes = BTreeMap<NodeId, Result<Vec<NodeConfig>, Refusal>>;

pub(super) async fn ask(
    call: &Call,
    image: &Image,
    resources: &[DescribeConfigsResource],
) -> Nodes {
    let named = resources.iter().filter(|resource| resource.resource_type == BROKER);
    let named = named.filter_map(|resource| node_of(&resource.resource_name).ok());
    let named: BTreeSet<NodeId> = named.filter(|node| image.brokers.contains_key(node)).collect();
    let asked =
        named.into_iter().map(|node| async move { (node, ask_node(call, image, node).await) });
    join_all(asked).await.into_iter().collect()
}

async fn ask_node(call: &Call, image: &Image, node: NodeId) -> Result<Vec<NodeConfig>, Refusal> {
    let storage = call.gateway.backends.get(node, image).ok_or_else(|| no_such_node(node))?;
    let described = storage.describe_node_configs(call.context(BACKEND_TIME)).await;
    described.map_err(|error| {
        Refusal::new(errors::for_node_configs(&error), format!("Broker {node}: {error}."))
    })
}

fn no_such_node(node: NodeId) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, format!("There is no broker {node}."))
}

/// A node by its id, or with an empty name what was set for all of them.
pub(super) fn describe(nodes: &Nodes, image: &Image, name: &str) -> Described {
    if name.is_empty() {
        return Ok(of_all(image));
    }
    let node = node_of(name)?;
    let configs = nodes.get(&node).cloned().unwrap_or_else(|| Err(no_such_node(node)))?;
    Ok(configs.into_iter().map(|config| of_one(image, node, config)).collect())
}

fn of_all(image: &Image) -> Vec<DescribeConfigsResourceResult> {
    let layers = image.broker_layers(None);
    let configs = layers.flat_map(|(source, layer)| {
        layer.iter().map(move |(name, value)| {
            let source = config_source(source);
            let key = broker_key(name);
            DescribeConfigsResourceResult {
                name: name.clone(),
                value: Some(value.clone()),
                config_source: source,
                synonyms: vec![synonym(name, Some(value.clone()), source)],
                config_type: key.map_or(0, |key| config_kind(key.kind)),
                documentation: None,
                ..Default::default()
            }
        })
    });
    configs.collect()
}

fn of_one(image: &Image, node: NodeId, config: NodeConfig) -> DescribeConfigsResourceResult {
    let shown = |value: Option<String>| value.filter(|_| !config.is_sensitive);
    let name = &config.name;
    let layers = image.broker_layers(Some(node));
    let dynamic = layers.filter_map(|(source, layer)| Some((layer.get(name)?, source)));
    let dynamic =
        dynamic.map(|(value, source)| synonym(name, Some(value.clone()), config_source(source)));
    let set =
        config.is_set.then(|| synonym(name, shown(config.value.clone()), STATIC_BROKER_CONFIG));
    let default = config.default.clone();
    let default = default.map(|value| synonym(name, shown(Some(value)), DEFAULT_CONFIG));
    let synonyms: Vec<_> = dynamic.chain(set).chain(default).collect();
    let first = synonyms.first();
    DescribeConfigsResourceResult {
        value: first.map_or_else(|| shown(config.value.clone()), |first| first.value.clone()),
        read_only: broker_key(name).is_none(),
        config_source: first.map_or(DEFAULT_CONFIG, |first| first.source),
        is_sensitive: config.is_sensitive,
        config_type: kind_number(&config.kind),
        documentation: documentation(&config),
        synonyms,
        name: config.name,
    }
}

fn synonym(name: &str, value: Option<String>, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym { name: name.to_owned(), value, source }
}

/// What the key means, and what it does here where that is not simply what it says.
fn documentation(config: &NodeConfig) -> Option<String> {
    let effect = (config.effect != OBEYED).then(|| format!("Ottla: {}.", config.effect));
    let parts: Vec<String> = config.documentation.clone().into_iter().chain(effect).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Kafka's number of a type of its configuration.
fn kind_number(kind: &str) -> i8 {
    const KINDS: [&str; 10] = [
        "UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS",
        "PASSWORD",
    ];
    let at = KINDS.iter().position(|known| known.eq_ignore_ascii_case(kind));
    at.and_then(|at| i8::try_from(at).ok()).unwrap_or(0)
}
