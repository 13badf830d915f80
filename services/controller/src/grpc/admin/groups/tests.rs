//! Groups over the admin API, with a storage node whose coordinators are the real core.

mod node;

use ottla_coordinator::event::{CommittedOffset, OffsetKey, StoredGroup, StoredMember};
use ottla_coordinator::{Event, Generation, GroupId, MemberId, Text, TopicName};
use ottla_metadata::event::Endpoint;
use ottla_proto::admin::v1 as wire;
use ottla_proto::admin::v1::group_service_client::GroupServiceClient;
use ottla_proto::admin::v1::reset_group_offsets_request::Target;
use ottla_proto::admin::v1::topic_service_client::TopicServiceClient;
use ottla_runtime::Seams;
use ottla_runtime::grpc::channel;
use ottla_runtime::seams::HostPort;
use ottla_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::service::tests::{Running, config, free_ports, live_storage_node_at, run};
use node::{LOG_END, LOG_START, Node};

/// Partitions of `__consumer_offsets`.
const COORDINATORS: i32 = 3;

struct Setup {
    running: Running,
    node: Node,
    channel: Channel,
    _dir: tempfile::TempDir,
}

impl Setup {
    /// A cluster with a topic `t` of two partitions, and coordinators.
    async fn new() -> Self {
        let setup = Self::without_coordinators().await;
        setup.create(ottla_coordinator::OFFSETS_TOPIC, COORDINATORS).await;
        setup
    }

    async fn without_coordinators() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let seams = Seams::real();
        let node = Node::serve(&seams, COORDINATORS as u32).await;
        let ports = free_ports(&seams, 1).await;
        let running = run(config(dir.path(), 1, &ports)).await.unwrap();
        running.handle.formatted().await;
        let endpoint = Endpoint { host: "127.0.0.1".into(), port: node.port };
        live_storage_node_at(running.handle.controller().as_ref(), endpoint).await;
        let admin = running.handle.admin_address.unwrap();
        let admin = HostPort::new(admin.ip().to_string(), admin.port());
        let channel = channel(&seams.net, &admin);
        let setup = Self { running, node, channel, _dir: dir };
        setup.create("t", 2).await;
        setup
    }

    async fn create(&self, name: &str, partitions: i32) {
        let request = wire::CreateTopicRequest {
            name: name.into(),
            partitions: Some(partitions),
            ..Default::default()
        };
        TopicServiceClient::new(self.channel.clone()).create_topic(request).await.unwrap();
    }

    fn client(&self) -> GroupServiceClient<Channel> {
        GroupServiceClient::new(self.channel.clone())
    }

    async fn reset(
        &self,
        id: &str,
        topics: &[&str],
        target: Target,
    ) -> Result<Vec<wire::ResetOffset>, tonic::Status> {
        let scope =
            |topic: &&str| wire::TopicPartitions { topic: (*topic).into(), partitions: vec![] };
        let request = wire::ResetGroupOffsetsRequest {
            id: id.into(),
            scope: topics.iter().map(scope).collect(),
            target: Some(target),
            ..Default::default()
        };
        let answered = self.client().reset_group_offsets(request).await;
        answered.map(|answer| answer.into_inner().offsets)
    }

    async fn offsets(&self, id: &str) -> Vec<(i32, Option<i64>, Option<i64>)> {
        let request = wire::ListGroupOffsetsRequest { id: id.into(), ..Default::default() };
        let answer = self.client().list_group_offsets(request).await.unwrap().into_inner();
        let shown =
            |offset: wire::GroupOffset| (offset.partition, offset.committed_offset, offset.lag);
        answer.offsets.into_iter().map(shown).collect()
    }

    async fn end(self) {
        self.running.stop().await.unwrap();
        self.node.end().await;
    }
}

fn group(id: &str) -> GroupId {
    GroupId::new(id).unwrap()
}

fn committed(id: &str, partition: i32, offset: i64) -> Event {
    Event::OffsetCommitted {
        at: OffsetKey {
            group: group(id),
            topic: TopicName::new("t").unwrap(),
            partition: PartitionIndex(partition),
        },
        offset: CommittedOffset {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: Text::new("note").unwrap(),
            committed_at: TimestampMs(1),
            expires_at: TimestampMs::NONE,
            topic_id: TopicId::default(),
        },
    }
}

/// A stable group with one member, which reads `t-1`.
fn stable(id: &str) -> Event {
    let member = MemberId::new("m").unwrap();
    let stored = StoredGroup {
        protocol_type: Some(Text::new("consumer").unwrap()),
        generation: Generation(1),
        protocol: Some(Text::new("range").unwrap()),
        leader: Some(member.clone()),
        state_timestamp: TimestampMs(1),
        members: vec![StoredMember {
            id: member,
            instance: None,
            client_id: Text::new("c").unwrap(),
            client_host: Text::new("/127.0.0.1").unwrap(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 60_000,
            subscription: [].into(),
            assignment: (*b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff").into(),
        }],
    };
    Event::GroupStored { group: group(id), stored }
}

fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, tonic::Status>, code: Code, reason: &str) {
    let status = outcome.unwrap_err();
    let info = status.get_details_error_info().expect("every error carries an ErrorInfo");
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status}");
    assert!(status.message().contains("; "), "cause and cure: {status}");
}

fn position(position: wire::ResetPosition) -> Target {
    Target::Position(position.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_all_coordinators_are_listed_in_pages() {
    let setup = Setup::new().await;
    let names: Vec<_> = (0..7).map(|n| format!("g{n}")).collect();
    names.iter().for_each(|name| setup.node.replay(name, &[committed(name, 0, 1)]));
    setup.node.replay("other", &[stable("other")]);
    let (mut found, mut pages, mut page_token) = (Vec::new(), 0, String::new());
    loop {
        let request = wire::ListGroupsRequest {
            page_size: 2,
            page_token,
            id_prefix: "g".into(),
            ..Default::default()
        };
        let page = setup.client().list_groups(request).await.unwrap().into_inner();
        assert!(page.groups.len() <= 2 && page.unavailable_partitions.is_empty());
        found.extend(page.groups.into_iter().map(|group| group.id));
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    found.sort();
    assert_eq!((found, pages), (names, 4));
    let states = vec![wire::GroupState::Stable.into()];
    let request = wire::ListGroupsRequest { states, ..Default::default() };
    let stable = setup.client().list_groups(request).await.unwrap().into_inner().groups;
    assert_eq!((stable.len(), stable[0].id.as_str()), (1, "other"));
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_does_not_answer_is_named_and_hides_no_other_ones_groups() {
    let setup = Setup::new().await;
    setup.node.replay("a", &[committed("a", 0, 1)]);
    let silent = setup.node.silence_all_but("a");
    let request = wire::ListGroupsRequest::default();
    let page = setup.client().list_groups(request).await.unwrap().into_inner();
    assert_eq!(page.groups.len(), 1);
    assert_eq!(page.unavailable_partitions, silent);
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_shown_with_its_members_and_how_far_it_is_behind() {
    let setup = Setup::new().await;
    setup.node.replay("g", &[stable("g"), committed("g", 0, LOG_END - 3)]);
    let request = wire::GetGroupRequest { id: "g".into(), ..Default::default() };
    let shown = setup.client().get_group(request).await.unwrap().into_inner();
    assert_eq!(shown.group.unwrap().state(), wire::GroupState::Stable);
    assert_eq!(shown.members[0].assignment[0].partitions, [1]);
    assert_eq!(setup.offsets("g").await, [(0, Some(LOG_END - 3), Some(3)), (1, None, None)]);
    let missing = wire::GetGroupRequest { id: "h".into(), ..Default::default() };
    assert_refused(setup.client().get_group(missing).await, Code::NotFound, "GROUP_ID_NOT_FOUND");
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_set_back_and_only_planned_where_that_is_asked() {
    let setup = Setup::new().await;
    setup.node.replay("g", &[committed("g", 0, 50), committed("g", 1, 60)]);
    let plan = wire::ResetGroupOffsetsRequest {
        id: "g".into(),
        target: Some(position(wire::ResetPosition::Earliest)),
        validate_only: true,
        ..Default::default()
    };
    let planned = setup.client().reset_group_offsets(plan).await.unwrap().into_inner().offsets;
    assert_eq!((planned.len(), planned[0].offset), (2, LOG_START));
    assert_eq!(setup.offsets("g").await[0].1, Some(50));
    let shifted = setup.reset("g", &[], Target::Shift(-7)).await.unwrap();
    assert_eq!((shifted[0].previous_offset, shifted[0].offset), (Some(50), 43));
    let offsets: Vec<_> = setup.offsets("g").await.iter().map(|one| one.1).collect();
    assert_eq!(offsets, [Some(43), Some(53)]);
    let time = prost_types::Timestamp { seconds: 77, nanos: 0 };
    setup.reset("g", &["t"], Target::Time(time)).await.unwrap();
    assert_eq!(setup.offsets("g").await[0].1, Some(77));
    let made = setup.reset("new", &["t"], position(wire::ResetPosition::Latest)).await.unwrap();
    assert_eq!((made[1].previous_offset, made[1].offset), (None, LOG_END));
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_set_where_a_member_lives_or_a_partition_has_no_plan() {
    let setup = Setup::new().await;
    setup.node.replay("live", &[stable("live"), committed("live", 0, 50)]);
    let earliest = || position(wire::ResetPosition::Earliest);
    let refused = setup.reset("live", &["t"], earliest()).await;
    assert_refused(refused, Code::FailedPrecondition, "NON_EMPTY_GROUP");
    setup.node.replay("half", &[committed("half", 0, 50)]);
    let refused = setup.reset("half", &["t"], Target::Shift(1)).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST");
    assert_eq!(setup.offsets("half").await, [(0, Some(50), Some(LOG_END - 50))]);
    let refused = setup.reset("half", &["nowhere"], earliest()).await;
    assert_refused(refused, Code::NotFound, "UNKNOWN_TOPIC_OR_PARTITION");
    let refused = setup.reset("new", &[], earliest()).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST");
    let refused = setup.reset("", &["t"], earliest()).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_GROUP_ID");
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_deleted_unless_a_member_lives() {
    let setup = Setup::new().await;
    setup.node.replay("live", &[stable("live")]);
    setup.node.replay("g", &[committed("g", 0, 1)]);
    let delete = |id: &str| wire::DeleteGroupRequest { id: id.into(), ..Default::default() };
    let refused = setup.client().delete_group(delete("live")).await;
    assert_refused(refused, Code::FailedPrecondition, "NON_EMPTY_GROUP");
    setup.client().delete_group(delete("g")).await.unwrap();
    let again = setup.client().delete_group(delete("g")).await;
    assert_refused(again, Code::NotFound, "GROUP_ID_NOT_FOUND");
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_there_was_any_group_lists_are_empty_and_the_cure_is_told() {
    let setup = Setup::without_coordinators().await;
    let listed = setup.client().list_groups(wire::ListGroupsRequest::default()).await.unwrap();
    assert!(listed.into_inner().groups.is_empty());
    let request = wire::GetGroupRequest { id: "g".into(), ..Default::default() };
    assert_refused(setup.client().get_group(request).await, Code::NotFound, "GROUP_ID_NOT_FOUND");
    let refused = setup.reset("g", &["t"], position(wire::ResetPosition::Earliest)).await;
    assert_refused(refused, Code::Unavailable, "COORDINATOR_NOT_AVAILABLE");
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_of_groups_sees_them_come_change_and_go() {
    let setup = Setup::new().await;
    setup.node.replay("a", &[committed("a", 0, 50)]);
    let request = wire::WatchGroupsRequest { interval_ms: 100, ..Default::default() };
    let mut groups = setup.client().watch_groups(request).await.unwrap().into_inner();
    let first = groups.message().await.unwrap().unwrap();
    assert_eq!((first.groups.len(), first.groups[0].state()), (1, wire::GroupState::Empty));
    let request =
        wire::WatchGroupOffsetsRequest { id: "a".into(), interval_ms: 100, ..Default::default() };
    let mut offsets = setup.client().watch_group_offsets(request).await.unwrap().into_inner();
    let first = offsets.message().await.unwrap().unwrap();
    assert_eq!(first.offsets[0].lag, Some(LOG_END - 50));
    setup.reset("a", &["t"], Target::Offset(90)).await.unwrap();
    let moved = offsets.message().await.unwrap().unwrap();
    assert_eq!((moved.offsets.len(), moved.offsets[0].lag), (2, Some(LOG_END - 90)));
    setup.node.replay("a", &[stable("a")]);
    let joined = groups.message().await.unwrap().unwrap();
    assert_eq!(joined.groups[0].state(), wire::GroupState::Stable);
    setup.node.replay("a", &[Event::GroupRemoved { group: group("a") }]);
    let gone = groups.message().await.unwrap().unwrap();
    assert_eq!(gone.deleted_ids, ["a"]);
    let ended = loop {
        match offsets.message().await {
            // The member that came, where the watcher looked before the group was gone.
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_refused(ended, Code::NotFound, "GROUP_ID_NOT_FOUND");
    setup.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_falls_silent_takes_no_group_from_a_watcher() {
    let setup = Setup::new().await;
    ["a", "b", "c", "d"].iter().for_each(|id| setup.node.replay(id, &[committed(id, 0, 1)]));
    let request = wire::WatchGroupsRequest { interval_ms: 100, ..Default::default() };
    let mut groups = setup.client().watch_groups(request).await.unwrap().into_inner();
    assert_eq!(groups.message().await.unwrap().unwrap().groups.len(), 4);
    let silent = setup.node.silence_all_but("a");
    let told = groups.message().await.unwrap().unwrap();
    assert_eq!((told.unavailable_partitions, told.deleted_ids), (silent, vec![]));
    let request = wire::WatchGroupsRequest { interval_ms: 5, ..Default::default() };
    let refused = setup.client().watch_groups(request).await.map(drop);
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST");
    setup.end().await;
}
