//! Groups as administrators see them, in every version.

use ottla_coordinator::command::{Caller, CommitOffsets, CommitPartition, CommitTopic};
use ottla_coordinator::{Command, Generation, GroupId, MemberId, Text, Token, TopicName};
use ottla_kafka_wire::messages::delete_groups_request::DeleteGroupsRequest;
use ottla_kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_kafka_wire::messages::list_groups_request::ListGroupsRequest;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::groups::with_groups;
use crate::member::{Member, NEWEST};
use crate::offsets::commit;

#[tokio::test]
async fn groups_are_described_in_every_version() {
    let cluster = with_groups().await;
    let mut member = Member::new(&cluster, "g", NEWEST).await;
    member.instance = Some("one".into());
    member.join().await;
    let id = member.id.clone();
    member.sync(&[(&id, "all")]).await;
    for version in 0..=6 {
        let request = DescribeGroupsRequest {
            groups: ["nope", "g", "", "g"].map(str::to_owned).to_vec(),
            include_authorized_operations: version >= 3,
        };
        let groups = member.client.ask(version, &request).await.groups;
        let [missing, found, nameless] = &groups[..] else { panic!("{groups:?}") };
        let told = (found.error_code, found.group_state.as_str(), found.protocol_type.as_str());
        assert_eq!(told, (0, "Stable", "consumer"));
        let [described] = &found.members[..] else { panic!("{found:?}") };
        let expected = (version >= 4).then_some("one");
        assert_eq!(described.group_instance_id.as_deref(), expected);
        assert_eq!((&described.member_id, described.client_id.as_str()), (&id, "test"));
        assert_eq!(described.client_host, "/127.0.0.1");
        let bytes = (&described.member_metadata[..], &described.member_assignment[..]);
        assert_eq!(bytes, (&b"wants g"[..], &b"all"[..]));
        let asked = if version >= 3 { 0b1101_0100_1000 } else { i32::MIN };
        assert_eq!(found.authorized_operations, asked);
        for (dead, name) in [(missing, "nope"), (nameless, "")] {
            assert_eq!((dead.group_id.as_str(), dead.group_state.as_str()), (name, "Dead"));
            let code = if version >= 6 { ErrorCode::GroupIdNotFound } else { ErrorCode::None };
            let text = (version >= 6).then(|| format!("Group {name} not found."));
            assert_eq!((dead.error_code, &dead.error_message), (code.code(), &text));
        }
    }
    let request = DescribeGroupsRequest { groups: vec!["g".into()], ..Default::default() };
    let groups = member.client.ask(5, &request).await.groups;
    assert_eq!(groups[0].authorized_operations, i32::MIN, "not asked");
}

#[tokio::test]
async fn groups_are_listed_in_every_version() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut member = Member::alone(&cluster, "joined").await;
    member.client.ask(9, &commit(9, at, "simple", 3)).await;
    let list = |states: &[&str], types: &[&str]| ListGroupsRequest {
        states_filter: states.iter().map(|&name| name.to_owned()).collect(),
        types_filter: types.iter().map(|&name| name.to_owned()).collect(),
    };
    for version in 0..=5 {
        let response = member.client.ask(version, &list(&[], &[])).await;
        let mut groups = response.groups;
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        let told = |at: usize| {
            let group = &groups[at];
            [&group.group_id, &group.protocol_type, &group.group_state, &group.group_type]
                .map(String::as_str)
        };
        let has = |first: i16, text| if version >= first { text } else { "" };
        assert_eq!((response.error_code, groups.len()), (0, 2));
        assert_eq!(told(0), ["joined", "consumer", has(4, "Stable"), has(5, "classic")]);
        assert_eq!(told(1), ["simple", "", has(4, "Empty"), has(5, "classic")]);
        let mut names = async |request: ListGroupsRequest| {
            let groups = member.client.ask(version, &request).await.groups;
            groups.into_iter().map(|group| group.group_id).collect::<Vec<_>>()
        };
        if version >= 4 {
            assert_eq!(names(list(&["sTaBle", "Dead"], &[])).await, ["joined"]);
            assert_eq!(names(list(&["No such state"], &[])).await, [""; 0]);
        }
        if version >= 5 {
            assert_eq!(names(list(&["Empty"], &["Classic"])).await, ["simple"]);
            assert_eq!(names(list(&[], &["consumer", "share"])).await, [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_list_of_many_pages_is_one_answer() {
    let cluster = with_groups().await;
    let partition = PartitionIndex(1);
    for n in 0..20_001 {
        let note = CommitPartition {
            partition: PartitionIndex(0),
            offset: Offset(n),
            leader_epoch: LeaderEpoch::NONE,
            metadata: Some(Text::empty()),
        };
        let topic = CommitTopic {
            name: TopicName::new("t").unwrap(),
            id: TopicId::default(),
            partitions: vec![note],
        };
        let commit = Command::CommitOffsets(CommitOffsets {
            token: Token(0),
            caller: Caller {
                group: GroupId::new(format!("g{n}")).unwrap(),
                member: MemberId::empty(),
                instance: None,
            },
            generation: Generation::NONE,
            retention_ms: -1,
            knows_group_id_not_found: true,
            topics: vec![topic],
        });
        cluster.storage.coordinators.command(partition, commit).await.unwrap();
    }
    let mut client = cluster.client().await;
    let response = client.ask(5, &ListGroupsRequest::default()).await;
    assert_eq!((response.error_code, response.groups.len()), (0, 20_001));
    // Four partitions, one of them in three pages.
    assert_eq!(cluster.storage.calls.lock().unwrap()["coordinate"], 6);
}

#[tokio::test]
async fn groups_are_deleted_in_every_version() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut member = Member::alone(&cluster, "joined").await;
    for version in 0..=2 {
        let names: Vec<String> = (0..150).map(|n| format!("g{n}")).collect();
        for name in &names {
            member.client.ask(9, &commit(9, at, name, 3)).await;
        }
        let mut request = DeleteGroupsRequest { groups_names: names.clone() };
        request.groups_names.extend(["joined", "nope", "g0", "g0"].map(str::to_owned));
        let results = member.client.ask(version, &request).await.results;
        let told: Vec<_> = results.iter().map(|r| (r.group_id.as_str(), r.error_code)).collect();
        let mut expected: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
        expected.push(("joined", ErrorCode::NonEmptyGroup.code()));
        expected.push(("nope", ErrorCode::GroupIdNotFound.code()));
        assert_eq!(told, expected);
        let left: usize =
            (0..4).map(|at| cluster.storage.coordinators.groups_in(PartitionIndex(at))).sum();
        assert_eq!(left, 1);
    }
}
