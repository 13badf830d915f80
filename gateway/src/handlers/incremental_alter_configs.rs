//! IncrementalAlterConfigs: single configs of a resource are set, reset, or get and lose items of their list (KIP-339).

use ottla_kafka_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_kafka_wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use ottla_metadata::Refusal;
use ottla_metadata::command::ConfigOp;
use ottla_types::ErrorCode;

use super::config_command::{Altered, Wish, alter};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct IncrementalAlterConfigs;

impl Handle for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;

    async fn handle(call: Call, request: IncrementalAlterConfigsRequest) -> Answer {
        let wishes = request.resources.into_iter().map(wish).collect();
        let altered = alter(&call, wishes, request.validate_only).await;
        let responses = altered.into_iter().map(response).collect();
        call.answer(&IncrementalAlterConfigsResponse { responses, ..Default::default() })
    }
}

fn wish(resource: AlterConfigsResource) -> Wish {
    Wish {
        kind: resource.resource_type,
        name: resource.resource_name,
        replaces: false,
        changes: resource.configs.into_iter().map(change).collect(),
    }
}

/// Kafka's numbers of what is done to a config.
fn change(config: AlterableConfig) -> Result<(String, Option<ConfigOp>), Refusal> {
    let op = match config.config_operation {
        0 => config.value.map(ConfigOp::Set),
        1 => Some(ConfigOp::Delete),
        2 => config.value.map(ConfigOp::Append),
        3 => config.value.map(ConfigOp::Subtract),
        other => {
            let message = format!("Unknown operation type {other} for config {}", config.name);
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    };
    Ok((config.name, op))
}

fn response(altered: Altered) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: altered.code,
        error_message: altered.message,
        resource_type: altered.kind,
        resource_name: altered.name,
    }
}
