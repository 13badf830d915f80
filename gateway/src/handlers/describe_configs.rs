//! DescribeConfigs: the configs of topics and of storage nodes, with their sources.
//!
//! Invariant: a secret is never told. Each node tells its own configuration, whichever gateway is asked. Only the configuration
//! files of nodes and the configs of topics exist so far; other kinds of resources are refused as Kafka refuses what it does not
//! know.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use ottla_api::storage::NodeConfig;
use ottla_kafka_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use ottla_kafka_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use ottla_metadata::topic_config::{DescribedConfig, Synonym, describe};
use ottla_metadata::{Image, Refusal};
use ottla_types::{ErrorCode, NodeId};

use super::{BACKEND_TIME, config_kind, config_source, topics};
use crate::answer::Answer;
use crate::errors;
use crate::request::Call;
use crate::router::Handle;

/// Kafka's number of topics as resources.
const TOPIC: i8 = 2;
/// Kafka's number of brokers as resources.
const BROKER: i8 = 4;
/// Kafka's number for values of `server.properties`.
const STATIC_BROKER_CONFIG: i8 = 4;
/// Kafka's number for defaults.
const DEFAULT_CONFIG: i8 = 5;
/// The effect of a key that does what its documentation says.
const OBEYED: &str = "obeyed";

/// The handler.
pub(crate) struct DescribeConfigs;

impl Handle for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    async fn handle(call: Call, mut request: DescribeConfigsRequest) -> Answer {
        let image = call.gateway.image();
        name_each_once(&mut request.resources);
        let nodes = ask_nodes(&call, &image, &request.resources).await;
        let results = request.resources.iter().map(|resource| {
            let described = match resource.resource_type {
                TOPIC => topic(&call, &image, &resource.resource_name),
                BROKER => broker(&nodes, &resource.resource_name),
                other => Err(Refusal::new(
                    ErrorCode::InvalidRequest,
                    format!("Unsupported resource type: {other}; topics (2) and brokers (4) have configs"),
                )),
            };
            result(resource, described, &request)
        });
        call.answer(&DescribeConfigsResponse { results: results.collect(), ..Default::default() })
    }
}

/// Drops what is named again, lest a small request asks for a large answer many times over.
fn name_each_once(resources: &mut Vec<DescribeConfigsResource>) {
    let mut named = BTreeSet::new();
    resources.retain(|one| named.insert((one.resource_type, one.resource_name.clone())));
}

type Described = Result<Vec<DescribeConfigsResourceResult>, Refusal>;

fn topic(call: &Call, image: &Image, name: &str) -> Described {
    if !topics::is_legal_name(name) {
        return Err(Refusal::new(
            ErrorCode::InvalidTopicException,
            "The topic's name is not legal.",
        ));
    }
    let topic = image.topic_by_name(name).ok_or_else(|| {
        let message = "This server does not host this topic-partition.";
        Refusal::new(ErrorCode::UnknownTopicOrPartition, message)
    })?;
    let described = describe(&topic.configs, &call.gateway.config.topic_defaults);
    Ok(described.into_iter().map(topic_config).collect())
}

fn topic_config(config: DescribedConfig) -> DescribeConfigsResourceResult {
    let synonym = |synonym: Synonym| DescribeConfigsSynonym {
        name: synonym.name.to_owned(),
        value: synonym.value,
        source: config_source(synonym.source),
    };
    DescribeConfigsResourceResult {
        name: config.name.to_owned(),
        value: config.value.filter(|_| !config.sensitive),
        read_only: config.read_only,
        config_source: config_source(config.source),
        is_sensitive: config.sensitive,
        synonyms: config.synonyms.into_iter().map(synonym).collect(),
        config_type: config_kind(config.kind),
        documentation: Some(config.documentation.to_owned()),
    }
}

/// What the named nodes say of themselves, as far as they exist. Each is asked once, all at the same time.
type Nodes = BTreeMap<NodeId, Result<Vec<NodeConfig>, Refusal>>;

async fn ask_nodes(call: &Call, image: &Image, resources: &[DescribeConfigsResource]) -> Nodes {
    let named = resources.iter().filter(|resource| resource.resource_type == BROKER);
    let named = named.filter_map(|resource| Some(NodeId(resource.resource_name.parse().ok()?)));
    let named: BTreeSet<NodeId> = named.filter(|node| image.brokers.contains_key(node)).collect();
    let asked = named.into_iter().map(|node| async move { (node, ask(call, image, node).await) });
    join_all(asked).await.into_iter().collect()
}

async fn ask(call: &Call, image: &Image, node: NodeId) -> Result<Vec<NodeConfig>, Refusal> {
    let storage = call.gateway.backends.get(node, image).ok_or_else(|| no_such_node(node))?;
    let described = storage.describe_node_configs(call.context(BACKEND_TIME)).await;
    described.map_err(|error| {
        Refusal::new(errors::for_node_configs(&error), format!("Broker {node}: {error}."))
    })
}

fn no_such_node(node: NodeId) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, format!("There is no broker {node}."))
}

/// A node by its id, or with an empty name the cluster-wide dynamic configs, of which there are none.
fn broker(nodes: &Nodes, name: &str) -> Described {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let node = name.parse().map(NodeId).map_err(|_| {
        let message = format!("Broker id must be an integer, but it is: {name:.32}");
        Refusal::new(ErrorCode::InvalidRequest, message)
    })?;
    let configs = nodes.get(&node).cloned().unwrap_or_else(|| Err(no_such_node(node)))?;
    Ok(configs.into_iter().map(broker_config).collect())
}

fn broker_config(config: NodeConfig) -> DescribeConfigsResourceResult {
    let shown = |value: Option<String>| value.filter(|_| !config.is_sensitive);
    let synonym = |value, source| DescribeConfigsSynonym {
        name: config.name.clone(),
        value: shown(value),
        source,
    };
    let set = config.is_set.then(|| synonym(config.value.clone(), STATIC_BROKER_CONFIG));
    let default = config.default.clone().map(|default| synonym(Some(default), DEFAULT_CONFIG));
    DescribeConfigsResourceResult {
        value: shown(config.value.clone()),
        read_only: true,
        config_source: if config.is_set { STATIC_BROKER_CONFIG } else { DEFAULT_CONFIG },
        is_sensitive: config.is_sensitive,
        synonyms: set.into_iter().chain(default).collect(),
        config_type: kind_number(&config.kind),
        documentation: documentation(&config),
        name: config.name,
    }
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

/// What was asked for: only some names, synonyms and documentation only on request.
fn result(
    resource: &DescribeConfigsResource,
    described: Described,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResult {
    let asked = resource.configuration_keys.as_deref();
    let (configs, refusal) = match described {
        Ok(configs) => (configs, None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let configs = configs
        .into_iter()
        .filter(|config| asked.is_none_or(|names| names.contains(&config.name)))
        .map(|config| DescribeConfigsResourceResult {
            synonyms: if request.include_synonyms { config.synonyms } else { Vec::new() },
            documentation: config.documentation.filter(|_| request.include_documentation),
            ..config
        })
        .collect();
    DescribeConfigsResult {
        error_code: refusal.as_ref().map_or(ErrorCode::None, |refusal| refusal.code).code(),
        error_message: refusal.map(|refusal| refusal.message),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs,
    }
}
