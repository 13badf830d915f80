//! DescribeConfigs: the configs of topics, storage nodes, groups and client metrics, with their sources.
//!
//! Invariant: a secret is never told. Each node tells its own configuration file, whichever gateway is asked; what was set while
//! the cluster runs is in the image.

mod brokers;
mod dynamic;

use std::collections::BTreeSet;

use ottla_kafka_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use ottla_kafka_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use ottla_metadata::topic_config::{DescribedConfig, Synonym, describe};
use ottla_metadata::{Image, Refusal};
use ottla_types::ErrorCode;

use super::config_resources::{BROKER, CLIENT_METRICS, GROUP, TOPIC};
use super::{config_kind, config_source, topics};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct DescribeConfigs;

impl Handle for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    async fn handle(call: Call, mut request: DescribeConfigsRequest) -> Answer {
        let image = call.gateway.image();
        name_each_once(&mut request.resources);
        let nodes = brokers::ask(&call, &image, &request.resources).await;
        let results = request.resources.iter().map(|resource| {
            let described = match resource.resource_type {
                TOPIC => topic(&call, &image, &resource.resource_name),
                BROKER => brokers::describe(&nodes, &image, &resource.resource_name),
                GROUP => dynamic::group(&image, &resource.resource_name),
                CLIENT_METRICS => dynamic::client_metrics(&image, &resource.resource_name),
                other => Err(Refusal::new(
                    ErrorCode::InvalidRequest,
                    format!("Unsupported resource type: {other}"),
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
    let described = describe(&topic.configs, &call.topic_defaults(image));
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
