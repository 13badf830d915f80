//! DescribeCluster: the storage nodes with their addresses, and the cluster's id.

use ottla_kafka_wire::messages::describe_cluster_request::DescribeClusterRequest;
use ottla_kafka_wire::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use ottla_metadata::Image;
use ottla_metadata::addresses::NodeAddress;
use ottla_types::ErrorCode;

use super::nodes::{controller_for, nodes_for};
use super::{CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED};
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// Kafka's number for brokers as the endpoints asked for.
const BROKERS: i8 = 1;
/// Kafka's number for controllers as the endpoints asked for.
const CONTROLLERS: i8 = 2;

/// The handler.
pub(crate) struct DescribeCluster;

impl Handle for DescribeCluster {
    type Request = DescribeClusterRequest;

    async fn handle(call: Call, request: DescribeClusterRequest) -> Answer {
        match request.endpoint_type {
            BROKERS => call.answer(&describe(&call, &request)),
            CONTROLLERS => {
                let cause = "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER";
                call.answer(&refusal(ErrorCode::MismatchedEndpointType, cause))
            }
            other => {
                let cause = format!("Unsupported endpoint type {other}");
                call.answer(&refusal(ErrorCode::UnsupportedEndpointType, &cause))
            }
        }
    }
}

fn describe(call: &Call, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let image = call.gateway.image();
    let nodes = nodes_for(call, &image);
    let with_operations = request.include_cluster_authorized_operations;
    let mut brokers: Vec<DescribeClusterBroker> = nodes.iter().map(live).collect();
    if request.include_fenced_brokers {
        brokers.extend(fenced(&image));
    }
    DescribeClusterResponse {
        cluster_id: image.cluster_id.as_ref().map_or_else(String::new, ToString::to_string),
        controller_id: controller_for(call, &nodes),
        brokers,
        cluster_authorized_operations: match with_operations {
            true => CLUSTER_OPERATIONS,
            false => OPERATIONS_NOT_ASKED,
        },
        ..Default::default()
    }
}

fn live(node: &NodeAddress) -> DescribeClusterBroker {
    DescribeClusterBroker {
        broker_id: node.node.0,
        host: node.endpoint.host.clone(),
        port: i32::from(node.endpoint.port),
        rack: node.rack.clone(),
        is_fenced: false,
    }
}

/// Fenced nodes have no address for clients; Kafka tells an empty one too.
fn fenced(image: &Image) -> impl Iterator<Item = DescribeClusterBroker> {
    let fenced = image.brokers.values().filter(|broker| broker.fenced);
    fenced.map(|broker| DescribeClusterBroker {
        broker_id: broker.registration.node.0,
        host: String::new(),
        port: -1,
        rack: broker.registration.rack.clone(),
        is_fenced: true,
    })
}

fn refusal(error: ErrorCode, message: &str) -> DescribeClusterResponse {
    DescribeClusterResponse {
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        ..Default::default()
    }
}
