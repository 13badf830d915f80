//! The admin API, called blockingly.

use std::io;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::cluster_service_client::ClusterServiceClient;
use ottla_proto::admin::v1::topic_service_client::TopicServiceClient;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

/// How long one call may take.
const CALL_PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at something that changes.
const POLL: Duration = Duration::from_millis(20);
/// Topics of one page.
const PAGE_SIZE: i32 = 1_000;
/// Calls that are made at a time where there are many.
const CONCURRENT_CALLS: usize = 64;

/// A connection to one controller's admin port.
pub struct Admin {
    runtime: Runtime,
    channel: Channel,
}

impl Admin {
    /// A connection to `host:port`; it is made by the first call, and made again when it broke.
    pub fn new(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.expect("host:port is an address").timeout(CALL_PATIENCE);
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { runtime, channel }
    }

    /// The health of the quorum, as this controller sees it.
    pub fn quorum(&self) -> Result<proto::Quorum, tonic::Status> {
        let mut client = ClusterServiceClient::new(self.channel.clone());
        let call = client.get_quorum(proto::GetQuorumRequest::default());
        let answer = self.runtime.block_on(call)?.into_inner();
        answer.quorum.ok_or_else(|| tonic::Status::internal("an answer without a quorum"))
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Result<String, tonic::Status> {
        let mut client = ClusterServiceClient::new(self.channel.clone());
        let call = client.get_cluster(proto::GetClusterRequest::default());
        Ok(self.runtime.block_on(call)?.into_inner().cluster_id)
    }

    /// Creates a topic of replication factor 1.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<proto::Topic, tonic::Status> {
        let mut client = TopicServiceClient::new(self.channel.clone());
        let call = client.create_topic(proto::CreateTopicRequest {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            ..Default::default()
        });
        let answer = self.runtime.block_on(call)?.into_inner();
        answer.topic.ok_or_else(|| tonic::Status::internal("an answer without a topic"))
    }

    /// Changes a config of a topic so often: one event each, with nothing to do for anyone else.
    pub fn churn(&self, topic: &str, times: u64) -> Result<(), tonic::Status> {
        let call = |turn: u64| {
            let mut client = TopicServiceClient::new(self.channel.clone());
            let set = [("retention.ms".to_owned(), (1_000_000 + turn).to_string())];
            let request = proto::AlterTopicConfigsRequest {
                name: topic.to_owned(),
                set: set.into(),
                ..Default::default()
            };
            async move { client.alter_topic_configs(request).await.map(drop) }
        };
        let calls = futures::stream::iter((0..times).map(call)).buffer_unordered(CONCURRENT_CALLS);
        self.runtime.block_on(calls.try_collect::<()>())
    }

    /// Names of all topics, by name.
    pub fn topics(&self) -> Result<Vec<String>, tonic::Status> {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let mut client = TopicServiceClient::new(self.channel.clone());
            let call = client.list_topics(proto::ListTopicsRequest {
                page_size: PAGE_SIZE,
                page_token,
                ..Default::default()
            });
            let page = self.runtime.block_on(call)?.into_inner();
            names.extend(page.topics.into_iter().map(|topic| topic.name));
            if page.next_page_token.is_empty() {
                return Ok(names);
            }
            page_token = page.next_page_token;
        }
    }
}

/// Asks several controllers until `agree` holds of all their answers; the answers. Panics after `patience`.
pub fn wait_for_quorum(
    what: &str,
    addresses: &[String],
    patience: Duration,
    agree: impl Fn(&[proto::Quorum]) -> bool,
) -> Vec<proto::Quorum> {
    let deadline = Instant::now() + patience;
    let members: Vec<_> = addresses.iter().map(|address| Admin::new(address)).collect();
    loop {
        let answers: Vec<_> = members.iter().map(Admin::quorum).collect();
        let healthy: Vec<_> = answers.iter().flatten().cloned().collect();
        if healthy.len() == members.len() && agree(&healthy) {
            return healthy;
        }
        assert!(Instant::now() < deadline, "{what}: not within {patience:?}; last {answers:#?}");
        std::thread::sleep(POLL);
    }
}

/// The active controller's id, once a majority of these answers agrees on one that answers itself.
pub fn active(addresses: &[String], patience: Duration) -> io::Result<i32> {
    let deadline = Instant::now() + patience;
    let members: Vec<_> = addresses.iter().map(|address| Admin::new(address)).collect();
    loop {
        let answers: Vec<_> = members.iter().filter_map(|member| member.quorum().ok()).collect();
        let claims = answers.iter().find(|quorum| quorum.role() == proto::QuorumRole::Leader);
        if let Some(leader) = claims.map(|quorum| quorum.node_id) {
            let agreeing = answers.iter().filter(|q| q.leader_node_id == Some(leader)).count();
            if agreeing * 2 > addresses.len() || agreeing == answers.len() {
                return Ok(leader);
            }
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("no active controller: {answers:#?}")));
        }
        std::thread::sleep(POLL);
    }
}
