//! AlterConfigs: all configs of a resource at once; what is not named is reset. Kafka's old API, of old clients.

use ottla_kafka_wire::messages::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig,
};
use ottla_kafka_wire::messages::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use ottla_metadata::command::ConfigOp;

use super::config_command::{Outcome, Wish, alter};
use crate::answer::Answer;
use crate::errors::code_and_message;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct AlterConfigs;

impl Handle for AlterConfigs {
    type Request = AlterConfigsRequest;

    async fn handle(call: Call, request: AlterConfigsRequest) -> Answer {
        let of = |resource: &AlterConfigsResource| {
            (resource.resource_type, resource.resource_name.clone())
        };
        let named: Vec<(i8, String)> = request.resources.iter().map(of).collect();
        let wishes = request.resources.into_iter().map(wish).collect();
        let outcomes = alter(&call, wishes, request.validate_only).await;
        let responses = named.into_iter().zip(outcomes).map(response).collect();
        call.answer(&AlterConfigsResponse { responses, ..Default::default() })
    }
}

fn wish(resource: AlterConfigsResource) -> Wish {
    let change = |config: AlterableConfig| (config.name, config.value.map(ConfigOp::Set));
    Wish {
        kind: resource.resource_type,
        name: resource.resource_name,
        replaces: true,
        changes: Ok(resource.configs.into_iter().map(change).collect()),
    }
}

fn response(
    ((resource_type, resource_name), outcome): ((i8, String), Outcome),
) -> AlterConfigsResourceResponse {
    let (error_code, error_message) = code_and_message(outcome);
    AlterConfigsResourceResponse { error_code, error_message, resource_type, resource_name }
}
