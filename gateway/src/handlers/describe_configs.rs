//! DescribeConfigs: the configs of topics and of storage nodes, with their sources.
//!
//! Invariant: a secret is never told. Only the configuration files of nodes and the configs of topics exist so far; other kinds of
//! resources are refused as Kafka refuses what it does not know.

use ottla_kafka_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use ottla_kafka_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use ottla_metadata::Refusal;
use ottla_metadata::topic_config::{DescribedConfig, Synonym, describe};
use ottla_types::{ErrorCode, NodeId};

use super::{config_kind, config_source, topics};
use crate::answer::Answer;
use crate::config::BrokerConfigEntry;
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

/// The handler.
pub(crate) struct DescribeConfigs;

impl Handle for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    async fn handle(call: Call, request: DescribeConfigsRequest) -> Answer {
        let results = request.resources.iter().map(|resource| {
            let described = match resource.resource_type {
                TOPIC => topic(&call, &resource.resource_name),
                BROKER => broker(&call, &resource.resource_name),
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

type Described = Result<Vec<DescribeConfigsResourceResult>, Refusal>;

fn topic(call: &Call, name: &str) -> Described {
    let image = call.gateway.image();
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

/// A node by its id, or with an empty name the cluster-wide dynamic configs, of which there are none.
fn broker(call: &Call, name: &str) -> Described {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let refuse = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
    let node: i32 = name
        .parse()
        .map_err(|_| refuse(format!("Broker id must be an integer, but it is: {name:.32}")))?;
    let image = call.gateway.image();
    let entries = match image.brokers.contains_key(&NodeId(node)) {
        true => call.gateway.config.broker_configs.describe(NodeId(node)),
        false => return Err(refuse(format!("There is no broker {node}."))),
    };
    Ok(entries.unwrap_or_default().into_iter().map(broker_config).collect())
}

fn broker_config(entry: BrokerConfigEntry) -> DescribeConfigsResourceResult {
    let shown = |value: Option<String>| value.filter(|_| !entry.is_sensitive);
    let source = if entry.is_set { STATIC_BROKER_CONFIG } else { DEFAULT_CONFIG };
    let set = entry.is_set.then(|| DescribeConfigsSynonym {
        name: entry.name.clone(),
        value: shown(entry.value.clone()),
        source: STATIC_BROKER_CONFIG,
    });
    let default = entry.default.clone().map(|default| DescribeConfigsSynonym {
        name: entry.name.clone(),
        value: shown(Some(default)),
        source: DEFAULT_CONFIG,
    });
    DescribeConfigsResourceResult {
        value: shown(entry.value.clone()),
        read_only: true,
        config_source: source,
        is_sensitive: entry.is_sensitive,
        synonyms: set.into_iter().chain(default).collect(),
        config_type: kind_number(&entry.kind),
        documentation: entry.documentation,
        name: entry.name,
    }
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
