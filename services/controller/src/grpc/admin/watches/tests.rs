//! Watch streams over the admin API, as an operator's console sees them.

use ottla_proto::admin::v1::cluster_service_client::ClusterServiceClient;
use ottla_proto::admin::v1::topic_service_client::TopicServiceClient;
use ottla_runtime::Seams;
use ottla_runtime::grpc::channel;
use ottla_runtime::seams::HostPort;
use tonic::transport::Channel;

use super::*;
use crate::service::tests::{Running, run_single};
use ottla_proto::admin::v1 as wire;

struct Setup {
    running: Running,
    channel: Channel,
    _dir: tempfile::TempDir,
}

impl Setup {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = run_single(dir.path()).await;
        let address = running.handle.admin_address.unwrap();
        let address = HostPort::new(address.ip().to_string(), address.port());
        let channel = channel(&Seams::real().net, &address);
        Self { running, channel, _dir: dir }
    }

    fn topics(&self) -> TopicServiceClient<Channel> {
        TopicServiceClient::new(self.channel.clone())
    }

    async fn create(&self, name: &str) {
        let request = wire::CreateTopicRequest { name: name.into(), ..Default::default() };
        self.topics().create_topic(request).await.unwrap();
    }

    async fn watch_topics(&self, prefix: &str) -> tonic::Streaming<wire::WatchTopicsResponse> {
        let request =
            wire::WatchTopicsRequest { request_id: "w".into(), name_prefix: prefix.into() };
        self.topics().watch_topics(request).await.unwrap().into_inner()
    }
}

fn names(message: &wire::WatchTopicsResponse) -> Vec<&str> {
    message.topics.iter().map(|topic| topic.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_topics_sees_what_is_there_and_then_what_changes() {
    let setup = Setup::new().await;
    setup.create("a.1").await;
    setup.create("b.1").await;
    let mut watched = setup.watch_topics("a.").await;
    let snapshot = watched.message().await.unwrap().unwrap();
    assert_eq!((names(&snapshot), snapshot.is_complete), (vec!["a.1"], true));
    assert_eq!(snapshot.request_id, "w");
    setup.create("b.2").await;
    setup.create("a.2").await;
    let created = watched.message().await.unwrap().unwrap();
    assert_eq!(names(&created), ["a.2"]);
    assert!(created.metadata_offset > snapshot.metadata_offset);
    let alter = wire::CreatePartitionsRequest {
        name: "a.2".into(),
        partition_count: 3,
        ..Default::default()
    };
    let altered = setup.topics().create_partitions(alter).await.unwrap().into_inner();
    assert_eq!(altered.partition_count, 3);
    let altered = watched.message().await.unwrap().unwrap();
    assert_eq!((names(&altered), altered.topics[0].partition_count), (vec!["a.2"], 3));
    let delete = wire::DeleteTopicRequest { name: "a.1".into(), ..Default::default() };
    setup.topics().delete_topic(delete).await.unwrap();
    let deleted = watched.message().await.unwrap().unwrap();
    assert_eq!(
        (deleted.deleted_names.as_slice(), names(&deleted)),
        (&["a.1".to_owned()][..], vec![])
    );
    setup.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_the_cluster_sees_its_nodes_and_who_leads() {
    let setup = Setup::new().await;
    let mut client = ClusterServiceClient::new(setup.channel.clone());
    let request = wire::WatchClusterRequest::default();
    let mut watched = client.watch_cluster(request).await.unwrap().into_inner();
    let snapshot = watched.message().await.unwrap().unwrap();
    assert_eq!((snapshot.storage_nodes.len(), snapshot.storage_nodes[0].leader_count), (1, 0));
    assert_eq!(snapshot.quorum.unwrap().leader_node_id, Some(1));
    setup.create("t").await;
    let changed = watched.message().await.unwrap().unwrap();
    assert_eq!((changed.storage_nodes[0].leader_count, changed.quorum), (1, None));
    setup.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_without_an_error_when_the_controller_stops() {
    let setup = Setup::new().await;
    let mut watched = setup.watch_topics("").await;
    let empty = watched.message().await.unwrap().unwrap();
    assert!(empty.is_complete && empty.topics.is_empty());
    setup.running.stop().await.unwrap();
    assert_eq!(watched.message().await.unwrap(), None);
}

/// Has one message, and then none for ever.
struct Silent(bool);

impl Watch for Silent {
    type Message = ();

    async fn next(&mut self) -> Result<Option<()>, AdminError> {
        match std::mem::replace(&mut self.0, true) {
            false => Ok(Some(())),
            true => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn so_many_streams_are_open_at_most_and_one_that_ends_makes_room() {
    let watches = Watches::default();
    let mut open: Vec<_> =
        (0..MAX_WATCHES).map(|_| watches.watch(Silent(false)).unwrap()).collect();
    let Err(refused) = watches.watch(Silent(false)) else { panic!("one too many") };
    assert_eq!(Status::from(refused).code(), tonic::Code::ResourceExhausted);
    assert!(open[0].next().await.unwrap().is_ok());
    drop(open.remove(0));
    let mut next = watches.watch(Silent(false)).unwrap();
    assert!(next.next().await.unwrap().is_ok());
    watches.drain();
    assert!(next.next().await.is_none());
}
