//! AlterConfigs: all configs of a resource at once; what is not named is reset. Kafka's old API, of old clients.

use ottla_kafka_wire::messages::alter_configs_request::{
    AlterConfigsRequest, AlterConfigsResource, AlterableConfig,
};
use ottla_kafka_wire::messages::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use ottla_metadata::command::ConfigOp;

use super::config_command::{Altered, Wish, alter};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct AlterConfigs;

impl Handle for AlterConfigs {
    type Request = AlterConfigsRequest;

    async fn handle(call: Call, request: AlterConfigsRequest) -> Answer {
        let wishes = request.resources.into_iter().map(wish).collect();
        let altered = alter(&call, wishes, request.validate_only).await;
        let responses = altered.into_iter().map(response).collect();
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

fn response(altered: Altered) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: altered.code,
        error_message: altered.message,
        resource_type: altered.kind,
        resource_name: altered.name,
    }
}
