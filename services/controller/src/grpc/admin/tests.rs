//! The admin API over gRPC, as operators' tools see it.

use ottla_proto::admin::v1 as wire;
use ottla_proto::admin::v1::cluster_service_client::ClusterServiceClient;
use ottla_proto::admin::v1::history_service_client::HistoryServiceClient;
use ottla_proto::admin::v1::topic_service_client::TopicServiceClient;
use ottla_runtime::Seams;
use ottla_runtime::grpc::channel;
use ottla_runtime::seams::HostPort;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use super::errors::ERROR_DOMAIN;
use crate::config::ControllerConfig;
use crate::service::tests::{Running, run_single_with};

struct Admin {
    running: Running,
    channel: Channel,
    _dir: tempfile::TempDir,
}

async fn admin() -> Admin {
    admin_with(|_| ()).await
}

async fn admin_with(change: impl FnOnce(&mut ControllerConfig)) -> Admin {
    let dir = tempfile::tempdir().unwrap();
    let running = run_single_with(dir.path(), change).await;
    let address = running.handle.admin_address.unwrap();
    let address = HostPort::new(address.ip().to_string(), address.port());
    let channel = channel(&Seams::real().net, &address);
    Admin { running, channel, _dir: dir }
}

impl Admin {
    fn topics(&self) -> TopicServiceClient<Channel> {
        TopicServiceClient::new(self.channel.clone())
    }

    fn cluster(&self) -> ClusterServiceClient<Channel> {
        ClusterServiceClient::new(self.channel.clone())
    }

    async fn create(&self, name: &str) -> Result<wire::CreateTopicResponse, Status> {
        let request = wire::CreateTopicRequest {
            request_id: format!("create {name}"),
            name: name.into(),
            partitions: Some(2),
            ..Default::default()
        };
        self.topics().create_topic(request).await.map(tonic::Response::into_inner)
    }

    async fn end(self) {
        self.running.stop().await.unwrap();
    }
}

fn assert_error(status: &Status, code: Code, reason: &str) {
    let info = status.get_details_error_info().expect("every error carries an ErrorInfo");
    assert_eq!((info.domain.as_str(), info.reason.as_str()), (ERROR_DOMAIN, reason));
    assert_eq!(status.code(), code, "{status}");
    assert!(!status.message().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_listed_shown_changed_and_deleted() {
    let admin = admin().await;
    let created = admin.create("t").await.unwrap();
    assert_eq!(created.request_id, "create t");
    let id = created.topic.unwrap().id;
    assert_eq!(id.len(), 22);
    let mut topics = admin.topics();
    let listed = topics.list_topics(wire::ListTopicsRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.topics.len(), listed.topics[0].partition_count), (1, 2));
    let get = wire::GetTopicRequest { name: "t".into(), ..Default::default() };
    let shown = topics.get_topic(get.clone()).await.unwrap().into_inner();
    assert_eq!(shown.partitions[1].leader_node_id, Some(100));
    let alter = wire::AlterTopicConfigsRequest {
        name: "t".into(),
        set: [("retention.ms".to_owned(), "1234".to_owned())].into(),
        ..Default::default()
    };
    topics.alter_topic_configs(alter).await.unwrap();
    let describe = wire::DescribeTopicConfigsRequest { name: "t".into(), ..Default::default() };
    let configs = topics.describe_topic_configs(describe).await.unwrap().into_inner().configs;
    let retention = configs.iter().find(|config| config.name == "retention.ms").unwrap();
    assert_eq!((retention.value.as_str(), retention.source()), ("1234", wire::ConfigSource::Topic));
    let delete = wire::DeleteTopicRequest { name: "t".into(), ..Default::default() };
    assert_eq!(topics.delete_topic(delete).await.unwrap().into_inner().id, id);
    assert_error(
        &topics.get_topic(get).await.unwrap_err(),
        Code::NotFound,
        "UNKNOWN_TOPIC_OR_PARTITION",
    );
    admin.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_kafkas_name() {
    let admin = admin().await;
    admin.create("t").await.unwrap();
    let twice = admin.create("t").await.unwrap_err();
    assert_error(&twice, Code::AlreadyExists, "TOPIC_ALREADY_EXISTS");
    let name = admin.create("a/b").await.unwrap_err();
    assert_error(&name, Code::InvalidArgument, "INVALID_TOPIC_EXCEPTION");
    let page = wire::ListTopicsRequest { page_size: -1, ..Default::default() };
    let page = admin.topics().list_topics(page).await.unwrap_err();
    assert_error(&page, Code::InvalidArgument, "INVALID_REQUEST");
    let token = wire::ListGatewaysRequest { page_token: "x".into(), ..Default::default() };
    let token = admin.cluster().list_gateways(token).await.unwrap_err();
    assert_error(&token, Code::InvalidArgument, "INVALID_REQUEST");
    admin.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_topic_is_deleted_where_deletion_is_disabled() {
    let admin = admin_with(|config| config.domain.is_topic_deletion_allowed = false).await;
    admin.create("t").await.unwrap();
    let delete = wire::DeleteTopicRequest { name: "t".into(), ..Default::default() };
    let refused = admin.topics().delete_topic(delete).await.unwrap_err();
    assert_error(&refused, Code::FailedPrecondition, "TOPIC_DELETION_DISABLED");
    assert!(refused.message().contains("delete.topic.enable"), "{refused}");
    let get = wire::GetTopicRequest { name: "t".into(), ..Default::default() };
    admin.topics().get_topic(get).await.unwrap();
    admin.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configs_that_are_not_obeyed_say_so() {
    let admin = admin().await;
    admin.create("t").await.unwrap();
    let describe = wire::DescribeTopicConfigsRequest { name: "t".into(), ..Default::default() };
    let configs = admin.topics().describe_topic_configs(describe).await.unwrap();
    let configs = configs.into_inner().configs;
    let is_flagged =
        |name: &str| configs.iter().find(|config| config.name == name).unwrap().is_not_obeyed;
    assert!(is_flagged("unclean.leader.election.enable"));
    for obeyed in ["cleanup.policy", "retention.ms", "min.insync.replicas"] {
        assert!(!is_flagged(obeyed), "{obeyed}");
    }
    admin.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages() {
    let admin = admin().await;
    for name in ["a", "b", "c"] {
        admin.create(name).await.unwrap();
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = wire::ListTopicsRequest { page_size: 2, page_token, ..Default::default() };
        let page = admin.topics().list_topics(request).await.unwrap().into_inner();
        names.extend(page.topics.into_iter().map(|topic| topic.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
    admin.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_its_quorum_and_its_history_are_shown() {
    let admin = admin().await;
    admin.create("t").await.unwrap();
    let mut cluster = admin.cluster();
    let shown = cluster.get_cluster(wire::GetClusterRequest::default()).await.unwrap().into_inner();
    assert_eq!((shown.storage_node_count, shown.topic_count, shown.partition_count), (1, 1, 2));
    assert_eq!(shown.storage_nodes[0].leader_count, 2);
    let quorum = shown.quorum.unwrap();
    assert_eq!((quorum.role(), quorum.leader_node_id), (wire::QuorumRole::Leader, Some(1)));
    assert_eq!(quorum.state_hash.len(), 16);
    let nodes = wire::ListStorageNodesRequest::default();
    let nodes = cluster.list_storage_nodes(nodes).await.unwrap().into_inner().storage_nodes;
    assert_eq!(nodes[0].state(), wire::StorageNodeState::Active);
    let history = wire::ListHistoryRequest { topic: "t".into(), ..Default::default() };
    let history = HistoryServiceClient::new(admin.channel.clone()).list_history(history).await;
    assert_eq!(history.unwrap().into_inner().entries[0].kind, "TOPIC_CREATED");
    admin.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_are_there_for_tools_without_files() {
    let admin = admin().await;
    let mut health = HealthClient::new(admin.channel.clone());
    let check = HealthCheckRequest { service: "controller".into() };
    health.check(check).await.unwrap();
    for name in reflected_services(admin.channel.clone()).await {
        assert!(
            !name.starts_with("ottla.controller") && !name.starts_with("ottla.storage"),
            "{name}"
        );
    }
    let names = reflected_services(admin.channel.clone()).await;
    assert!(names.contains(&"ottla.admin.v1.TopicService".to_owned()), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
    admin.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_knows_the_details_that_errors_carry() {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let admin = admin().await;
    let asked = MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".into());
    let answer = reflect(admin.channel.clone(), asked).await;
    assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{answer:?}");
    admin.end().await;
}

async fn reflected_services(channel: Channel) -> Vec<String> {
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let answer = reflect(channel, MessageRequest::ListServices(String::new())).await;
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    list.service.into_iter().map(|service| service.name).collect()
}

async fn reflect(
    channel: Channel,
    asked: tonic_reflection::pb::v1::server_reflection_request::MessageRequest,
) -> tonic_reflection::pb::v1::server_reflection_response::MessageResponse {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let requests = tokio_stream::iter([request]);
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    answer.message_response.unwrap()
}
