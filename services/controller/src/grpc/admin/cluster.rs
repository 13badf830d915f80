//! `ClusterService`.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_api::controller::{QuorumRole, QuorumStatus};
use ottla_api::storage::NodeConfig;
use ottla_metadata::Image;
use ottla_metadata::image::{Broker, Gateway};
use ottla_proto::admin::v1 as wire;
use ottla_proto::admin::v1::cluster_service_server::ClusterService;
use ottla_types::NodeId;
use tonic::{Request, Response, Status};
use tracing::Span;

use super::errors::AdminError;
use super::topic_values::to_i32;
use super::watches::{ClusterWatch, Watched};
use super::{AdminServices, context, pages, respond, span};

/// Nodes of each kind in the answer about the whole cluster.
const MAX_NODES_IN_CLUSTER: usize = 100;
/// How long a storage node may take to tell its configuration.
const CONFIGS_TIMEOUT: Duration = Duration::from_secs(5);

#[tonic::async_trait]
impl ClusterService for AdminServices {
    type WatchClusterStream = Watched<wire::WatchClusterResponse>;

    async fn get_cluster(
        &self,
        request: Request<wire::GetClusterRequest>,
    ) -> Result<Response<wire::GetClusterResponse>, Status> {
        respond(self.cluster(request.into_inner().request_id).await)
    }

    async fn list_storage_nodes(
        &self,
        request: Request<wire::ListStorageNodesRequest>,
    ) -> Result<Response<wire::ListStorageNodesResponse>, Status> {
        respond(self.storage_nodes(request.into_inner()).await)
    }

    async fn list_gateways(
        &self,
        request: Request<wire::ListGatewaysRequest>,
    ) -> Result<Response<wire::ListGatewaysResponse>, Status> {
        respond(self.gateways(request.into_inner()).await)
    }

    async fn describe_storage_node_configs(
        &self,
        request: Request<wire::DescribeStorageNodeConfigsRequest>,
    ) -> Result<Response<wire::DescribeStorageNodeConfigsResponse>, Status> {
        let span = span("DescribeStorageNodeConfigs", &request);
        respond(self.node_configs(span, request.into_inner()).await)
    }

    async fn watch_cluster(
        &self,
        request: Request<wire::WatchClusterRequest>,
    ) -> Result<Response<Self::WatchClusterStream>, Status> {
        let request_id = request.into_inner().request_id;
        respond(self.watches.watch(ClusterWatch::new(self, request_id)))
    }

    async fn get_quorum(
        &self,
        request: Request<wire::GetQuorumRequest>,
    ) -> Result<Response<wire::GetQuorumResponse>, Status> {
        let request_id = request.into_inner().request_id;
        let quorum = self.quorum().await;
        respond(quorum.map(|quorum| wire::GetQuorumResponse { request_id, quorum: Some(quorum) }))
    }
}

impl AdminServices {
    async fn node_configs(
        &self,
        span: Span,
        request: wire::DescribeStorageNodeConfigsRequest,
    ) -> Result<wire::DescribeStorageNodeConfigsResponse, AdminError> {
        let node = NodeId(request.node_id);
        let unknown = || AdminError::no_node(node);
        let storage = self.storage.get(node, &self.image()).ok_or_else(unknown)?;
        let asked = storage.describe_node_configs(context(span, CONFIGS_TIMEOUT)).await;
        let configs = asked.map_err(AdminError::Call)?.into_iter().map(node_config).collect();
        let request_id = request.request_id;
        Ok(wire::DescribeStorageNodeConfigsResponse { request_id, configs })
    }

    pub(super) async fn quorum(&self) -> Result<wire::Quorum, AdminError> {
        let status = self.member.status().await.map_err(AdminError::Call)?;
        let silences = self.member.silences().await.map_err(AdminError::Call)?;
        Ok(quorum(status, &silences))
    }

    async fn cluster(&self, request_id: String) -> Result<wire::GetClusterResponse, AdminError> {
        let quorum = self.quorum().await?;
        let image = self.image();
        let partitions = || image.topics.values().flat_map(|topic| &topic.partitions);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let brokers = image.brokers.values().take(MAX_NODES_IN_CLUSTER);
        let gateways = image.gateways.values().take(MAX_NODES_IN_CLUSTER);
        let offline = partitions().filter(|partition| partition.leader.is_none()).count();
        Ok(wire::GetClusterResponse {
            request_id,
            cluster_id: image.cluster_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            metadata_offset: image.offset.0,
            storage_nodes: brokers.map(|broker| storage_node(&image, broker)).collect(),
            gateways: gateways.map(|gateway| self::gateway(gateway)).collect(),
            quorum: Some(quorum),
            storage_node_count: to_i32(image.brokers.len()),
            gateway_count: to_i32(image.gateways.len()),
            topic_count: to_i32(image.topics.len()),
            partition_count: count(partitions().count()),
            offline_partition_count: count(offline),
        })
    }

    async fn storage_nodes(
        &self,
        request: wire::ListStorageNodesRequest,
    ) -> Result<wire::ListStorageNodesResponse, AdminError> {
        let size = pages::size(request.page_size)?;
        let after = pages::number(&request.page_token)?.map(NodeId);
        let mut found = self.read_store(move |store| store.brokers(after, size + 1)).await?;
        let next_page_token =
            pages::cut(&mut found, size, |broker| broker.registration.node.to_string());
        let image = self.image();
        let storage_nodes = found.iter().map(|broker| storage_node(&image, broker)).collect();
        let request_id = request.request_id;
        Ok(wire::ListStorageNodesResponse { request_id, storage_nodes, next_page_token })
    }

    async fn gateways(
        &self,
        request: wire::ListGatewaysRequest,
    ) -> Result<wire::ListGatewaysResponse, AdminError> {
        let size = pages::size(request.page_size)?;
        let after = pages::number(&request.page_token)?.map(NodeId);
        let mut found = self.read_store(move |store| store.gateways(after, size + 1)).await?;
        let next_page_token =
            pages::cut(&mut found, size, |gateway| gateway.registration.node.to_string());
        let gateways = found.iter().map(gateway).collect();
        let request_id = request.request_id;
        Ok(wire::ListGatewaysResponse { request_id, gateways, next_page_token })
    }
}

pub(super) fn storage_node(image: &Image, broker: &Broker) -> wire::StorageNode {
    let node = broker.registration.node;
    let partitions = || image.topics_on(node).flat_map(|topic| &topic.partitions);
    let endpoint = &broker.registration.storage_endpoint;
    let state =
        if broker.fenced { wire::StorageNodeState::Fenced } else { wire::StorageNodeState::Active };
    wire::StorageNode {
        node_id: node.0,
        rack: broker.registration.rack.clone().unwrap_or_default(),
        endpoint: format!("{}:{}", endpoint.host, endpoint.port),
        broker_epoch: broker.epoch.0,
        state: state.into(),
        directory_ids: broker.registration.directories.iter().map(ToString::to_string).collect(),
        leader_count: to_i32(partitions().filter(|p| p.leader == Some(node)).count()),
        replica_count: to_i32(partitions().filter(|p| p.replicas.contains(&node)).count()),
    }
}

pub(super) fn gateway(gateway: &Gateway) -> wire::Gateway {
    let state =
        if gateway.draining { wire::GatewayState::Draining } else { wire::GatewayState::Active };
    let listener = |listener: &ottla_metadata::event::GatewayListener| wire::GatewayListener {
        name: listener.name.to_string(),
        endpoint: format!("{}:{}", listener.endpoint.host, listener.endpoint.port),
        first_node_port: listener.node_port_first.map(i32::from),
    };
    wire::Gateway {
        node_id: gateway.registration.node.0,
        rack: gateway.registration.rack.clone().unwrap_or_default(),
        state: state.into(),
        listeners: gateway.registration.listeners.iter().map(listener).collect(),
        own_storage_node_id: gateway.registration.own_storage_node.map(|node| node.0),
    }
}

fn node_config(config: NodeConfig) -> wire::StorageNodeConfig {
    wire::StorageNodeConfig {
        name: config.name,
        value: config.value,
        default_value: config.default,
        is_set: config.is_set,
        is_sensitive: config.is_sensitive,
        r#type: config.kind,
        effect: config.effect,
    }
}

fn quorum(status: QuorumStatus, silences: &BTreeMap<NodeId, i64>) -> wire::Quorum {
    let role = match status.role {
        QuorumRole::Leader => wire::QuorumRole::Leader,
        QuorumRole::Follower => wire::QuorumRole::Follower,
        QuorumRole::Candidate => wire::QuorumRole::Candidate,
        QuorumRole::Learner => wire::QuorumRole::Learner,
    };
    let member = |member: ottla_api::controller::QuorumMember| wire::QuorumMember {
        node_id: member.node.0,
        endpoint: member.endpoint,
        match_index: member.match_index,
        last_contact_ms: silences.get(&member.node).copied(),
    };
    wire::Quorum {
        node_id: status.node.0,
        role: role.into(),
        term: status.term.0,
        leader_node_id: status.leader.map(|node| node.0),
        last_contact_ms: status.last_contact_ms,
        proposals_outstanding: status.proposals_outstanding,
        last_index: status.last_index,
        committed_index: status.committed_index,
        applied_index: status.applied_index,
        metadata_offset: status.metadata_offset.0,
        state_hash: format!("{:016x}", status.state_hash),
        elections: status.elections,
        members: status.members.into_iter().map(member).collect(),
    }
}
