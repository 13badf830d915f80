//! Whole lives of groups, in every version.

use std::sync::Arc;
use std::time::Duration;

use ottla_gateway::ConnectionLimits;
use ottla_kafka_wire::messages::heartbeat_request::HeartbeatRequest;
use ottla_kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_kafka_wire::messages::metadata_request::MetadataRequest;
use ottla_kafka_wire::messages::sync_group_request::SyncGroupRequest;
use ottla_runtime::Seams;
use ottla_runtime::seams::SimClock;
use ottla_types::ErrorCode;

use crate::cluster::Cluster;
use crate::member::{Member, NEWEST};

pub(crate) async fn with_groups() -> Cluster {
    let cluster = Cluster::start().await;
    cluster.topic("__consumer_offsets", 4).await;
    cluster
}

/// Waits until so many joins and syncs wait.
pub(crate) async fn until_waiting(cluster: &Cluster, count: usize) {
    while cluster.storage.coordinators.waiting() != count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_member_joins_syncs_beats_and_leaves_in_every_version() {
    let cluster = with_groups().await;
    for version in 0..=NEWEST {
        let mut member = Member::new(&cluster, &format!("g{version}"), version).await;
        let joined = member.join().await;
        assert_eq!((joined.error_code, joined.generation_id), (0, 1));
        assert_eq!(joined.protocol_name.as_deref(), Some("range"));
        let expected = (version >= 7).then_some("consumer");
        assert_eq!(joined.protocol_type.as_deref(), expected);
        assert_eq!(joined.leader, joined.member_id);
        let [described] = &joined.members[..] else { panic!("{:?}", joined.members) };
        assert_eq!(described.member_id, member.id);
        assert_eq!(described.metadata, format!("wants g{version}"));
        let id = member.id.clone();
        let synced = member.sync(&[(&id, "all of it")]).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"all of it"[..]));
        let expected = (version >= 5).then_some("range");
        assert_eq!(synced.protocol_name.as_deref(), expected);
        assert_eq!(member.beat().await, ErrorCode::None);
        assert_eq!(member.leave().await, ErrorCode::None);
        assert_eq!(member.beat().await, ErrorCode::UnknownMemberId);
        assert_eq!(member.leave().await, ErrorCode::UnknownMemberId);
    }
}

/// The second of two members comes, is given its part, and then has all.
async fn share_with_another(cluster: &Cluster, version: i16) {
    let mut first = Member::new(cluster, &format!("g{version}"), version).await;
    first.join().await;
    let id = first.id.clone();
    first.sync(&[(&id, "all")]).await;
    let mut second = Member::new(cluster, &format!("g{version}"), version).await;
    second.get_id().await;
    let joining = second.send_join().await;
    until_waiting(cluster, 1).await;
    assert_eq!(first.beat().await, ErrorCode::RebalanceInProgress);
    assert_eq!(first.sync(&[]).await.error_code, ErrorCode::RebalanceInProgress.code());
    let led = first.join().await;
    let followed = second.joined(joining).await;
    assert_eq!((led.generation_id, followed.generation_id), (2, 2));
    assert_eq!((&led.leader, &followed.leader), (&first.id, &first.id));
    assert_eq!((led.members.len(), followed.members.len()), (2, 0));
    let syncing = second.send_sync(&[]).await;
    until_waiting(cluster, 1).await;
    let ids = [first.id.clone(), second.id.clone()];
    let led = first.sync(&[(&ids[0], "left"), (&ids[1], "right")]).await;
    let followed = second.synced(syncing).await;
    assert_eq!((&led.assignment[..], &followed.assignment[..]), (&b"left"[..], &b"right"[..]));
    assert_eq!(first.leave().await, ErrorCode::None);
    assert_eq!(second.beat().await, ErrorCode::RebalanceInProgress);
    let joined = second.join().await;
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
}

#[tokio::test]
async fn two_members_share_and_one_takes_over_in_every_version() {
    let cluster = with_groups().await;
    for version in 0..=NEWEST {
        share_with_another(&cluster, version).await;
    }
}

#[tokio::test]
async fn a_group_comes_together_across_processes() {
    let cluster = Cluster::apart(ConnectionLimits::default()).await;
    cluster.topic("__consumer_offsets", 4).await;
    share_with_another(&cluster, NEWEST).await;
}

#[tokio::test]
async fn a_join_that_waits_holds_up_only_what_is_behind_it() {
    let cluster = with_groups().await;
    let mut first = Member::alone(&cluster, "g").await;
    let mut second = Member::new(&cluster, "g", NEWEST).await;
    second.get_id().await;
    let before = second.client.send(9, &MetadataRequest::default()).await;
    let joining = second.send_join().await;
    let beat = second.beat_request();
    let behind = second.client.send(4, &beat).await;
    let last = second.client.send(9, &MetadataRequest::default()).await;
    second.client.receive::<MetadataRequest>(9, before).await;
    until_waiting(&cluster, 1).await;
    assert_eq!(first.beat().await, ErrorCode::RebalanceInProgress);
    first.join().await;
    assert_eq!(second.joined(joining).await.error_code, 0);
    // Asked before its answer could be known, as a generation that is none.
    let beat = second.client.receive::<HeartbeatRequest>(4, behind).await;
    assert_eq!(beat.error_code, ErrorCode::IllegalGeneration.code());
    second.client.receive::<MetadataRequest>(9, last).await;
}

#[tokio::test]
async fn one_connection_parks_one_join() {
    let cluster = with_groups().await;
    let mut first = [Member::alone(&cluster, "a").await, Member::alone(&cluster, "b").await];
    let mut second = Member::new(&cluster, "b", NEWEST).await;
    second.get_id().await;
    let id_in_b = std::mem::take(&mut second.id);
    second.group = "a".into();
    second.get_id().await;
    let in_a = second.send_join().await;
    (second.group, second.id) = ("b".into(), id_in_b);
    let in_b = second.send_join().await;
    until_waiting(&cluster, 1).await;
    // Nobody calls the members of the other group while the first join waits.
    for _ in 0..10 {
        assert_eq!(first[1].beat().await, ErrorCode::None);
    }
    first[0].join().await;
    second.joined(in_a).await;
    until_waiting(&cluster, 1).await;
    first[1].join().await;
    assert_eq!(second.joined(in_b).await.error_code, 0);
}

async fn with_paused_time() -> Cluster {
    let seams = Seams { clock: Arc::new(SimClock::new()), ..Seams::real() };
    let cluster = Cluster::with_limits(seams, ConnectionLimits::default()).await;
    cluster.topic("__consumer_offsets", 4).await;
    cluster
}

#[tokio::test(start_paused = true)]
async fn a_member_waits_as_long_as_the_slowest_may_take() {
    let cluster = with_paused_time().await;
    let mut leader = Member::new(&cluster, "g", NEWEST).await;
    let mut slow = Member::new(&cluster, "g", NEWEST).await;
    for member in [&mut leader, &mut slow] {
        member.rebalance_timeout_ms = 1_200_000;
        member.get_id().await;
    }
    leader.join().await;
    let joining = slow.send_join().await;
    until_waiting(&cluster, 1).await;
    leader.join().await;
    slow.joined(joining).await;
    leader.sync(&[]).await;
    let joining = leader.send_join().await;
    until_waiting(&cluster, 1).await;
    // It works on its last records, and lives.
    for _ in 0..100 {
        assert_eq!(slow.beat().await, ErrorCode::RebalanceInProgress);
        cluster.seams.clock.sleep(Duration::from_secs(5)).await;
    }
    slow.join().await;
    assert_eq!(leader.joined(joining).await.members.len(), 2);
}

#[tokio::test]
async fn a_member_that_goes_without_a_word_is_missed_when_its_time_is_up() {
    let cluster = with_paused_time().await;
    let first = Member::alone(&cluster, "g").await;
    let mut second = Member::new(&cluster, "g", NEWEST).await;
    second.get_id().await;
    let joining = second.send_join().await;
    until_waiting(&cluster, 1).await;
    drop(first);
    tokio::time::pause();
    let joined = second.joined(joining).await;
    assert_eq!((joined.generation_id, joined.members.len()), (2, 1));
}

#[tokio::test]
async fn a_static_member_comes_back_and_the_one_before_is_fenced() {
    let cluster = with_groups().await;
    for version in 5..=NEWEST {
        let group = format!("g{version}");
        let mut before = Member::new(&cluster, &group, version).await;
        before.instance = Some("one".into());
        assert_eq!(before.join().await.error_code, 0);
        let id = before.id.clone();
        before.sync(&[(&id, "all")]).await;
        let mut after = Member::new(&cluster, &group, version).await;
        after.instance = Some("one".into());
        let joined = after.join().await;
        assert_eq!((joined.error_code, joined.generation_id), (0, 1), "no rebalance");
        assert_eq!(joined.skip_assignment, version >= 9);
        assert_ne!(after.id, before.id);
        assert_eq!(before.beat().await, ErrorCode::FencedInstanceId);
        assert_eq!(before.leave().await, ErrorCode::FencedInstanceId);
        assert_eq!(after.sync(&[]).await.assignment, "all");
        // An administrator removes it by its instance id.
        let named = |name: &str| MemberIdentity {
            group_instance_id: Some(name.into()),
            ..Default::default()
        };
        let request = LeaveGroupRequest {
            group_id: group,
            members: vec![named("one"), named("two")],
            ..Default::default()
        };
        let left = after.client.ask(5, &request).await.members;
        let told = left.iter().map(|one| (one.group_instance_id.as_deref(), one.error_code));
        let unknown = ErrorCode::UnknownMemberId.code();
        assert_eq!(told.collect::<Vec<_>>(), [(Some("one"), 0), (Some("two"), unknown)]);
    }
}

#[tokio::test]
async fn a_sync_must_say_its_protocol_where_the_version_has_it() {
    let cluster = with_groups().await;
    let mut member = Member::new(&cluster, "g", NEWEST).await;
    member.join().await;
    let sync = |protocol_type: Option<&str>, name: Option<&str>| SyncGroupRequest {
        group_id: "g".into(),
        generation_id: 1,
        member_id: member.id.clone(),
        protocol_type: protocol_type.map(str::to_owned),
        protocol_name: name.map(str::to_owned),
        ..Default::default()
    };
    let inconsistent = ErrorCode::InconsistentGroupProtocol.code();
    let kind = Some("consumer");
    for request in [sync(None, None), sync(kind, None), sync(kind, Some("sticky"))] {
        assert_eq!(member.client.ask(5, &request).await.error_code, inconsistent);
    }
    assert_eq!(member.client.ask(4, &sync(None, None)).await.error_code, 0);
}

#[tokio::test]
async fn an_empty_group_id_is_none() {
    let cluster = with_groups().await;
    let mut member = Member::new(&cluster, "", 3).await;
    member.id = "someone".into();
    let invalid = ErrorCode::InvalidGroupId;
    let sent = member.send_join().await;
    let refused = member.joined(sent).await;
    assert_eq!((refused.error_code, refused.member_id.as_str()), (invalid.code(), "someone"));
    assert_eq!(member.sync(&[]).await.error_code, invalid.code());
    assert_eq!(member.beat().await, invalid);
    let request = LeaveGroupRequest { member_id: "someone".into(), ..Default::default() };
    assert_eq!(member.client.ask(0, &request).await.error_code, invalid.code());
}
