//! ListConfigResources: the names of what may have configs (KIP-1142). Version 0 is the older question for client metrics alone.

use ottla_kafka_wire::messages::list_config_resources_request::ListConfigResourcesRequest;
use ottla_kafka_wire::messages::list_config_resources_response::{
    ConfigResource as Listed, ListConfigResourcesResponse,
};
use ottla_metadata::Image;
use ottla_metadata::event::ConfigResource;
use ottla_types::ErrorCode;

use super::config_resources::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// What may be asked for, in the order of the answer.
const KINDS: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

/// The handler.
pub(crate) struct ListConfigResources;

impl Handle for ListConfigResources {
    type Request = ListConfigResourcesRequest;

    async fn handle(call: Call, request: ListConfigResourcesRequest) -> Answer {
        let asked = request.resource_types;
        let wants = |kind: i8| match call.version {
            0 => kind == CLIENT_METRICS,
            _ => asked.is_empty() || asked.contains(&kind),
        };
        if asked.iter().any(|kind| !KINDS.contains(kind)) {
            let error_code = ErrorCode::UnsupportedVersion.code();
            return call.answer(&ListConfigResourcesResponse { error_code, ..Default::default() });
        }
        let image = call.gateway.image();
        let listed = KINDS.into_iter().filter(|kind| wants(*kind)).flat_map(|kind| {
            let listed = move |resource_name| Listed { resource_name, resource_type: kind };
            names(&image, kind).into_iter().map(listed)
        });
        let config_resources = listed.collect();
        call.answer(&ListConfigResourcesResponse { config_resources, ..Default::default() })
    }
}

/// Topics and brokers that exist; groups and client metrics that have configs.
fn names(image: &Image, kind: i8) -> Vec<String> {
    let live = || image.brokers.iter().filter(|(_, broker)| !broker.fenced);
    let configured = image.configs.keys();
    match kind {
        TOPIC => image.topic_ids.keys().cloned().collect(),
        BROKER | BROKER_LOGGER => live().map(|(node, _)| node.to_string()).collect(),
        CLIENT_METRICS => configured
            .filter_map(|of| match of {
                ConfigResource::ClientMetrics(name) => Some(name.clone()),
                _ => None,
            })
            .collect(),
        _ => configured
            .filter_map(|of| match of {
                ConfigResource::Group(name) => Some(name.clone()),
                _ => None,
            })
            .collect(),
    }
}
