//! What groups commit and fetch, by name and by id, in every version.

use ottla_kafka_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_kafka_wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_kafka_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_kafka_wire::messages::offset_fetch_response::OffsetFetchResponse;
use ottla_metadata::Command;
use ottla_metadata::command::TopicRef;
use ottla_types::{ErrorCode, TopicPartition, Uuid};

use crate::groups::with_groups;
use crate::member::Member;

/// Commits of a group of the partition and the one behind it, outside of any generation.
pub(crate) fn commit(
    version: i16,
    at: TopicPartition,
    group: &str,
    offset: i64,
) -> OffsetCommitRequest {
    let partition = |partition_index, note: Option<&str>| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: 7,
        committed_metadata: note.map(str::to_owned),
    };
    let by_id = version >= 10;
    OffsetCommitRequest {
        group_id: group.into(),
        topics: vec![OffsetCommitRequestTopic {
            name: if by_id { String::new() } else { "t".into() },
            topic_id: if by_id { at.topic.0 } else { Uuid::ZERO },
            partitions: vec![
                partition(at.partition.0, Some("a note")),
                partition(at.partition.0 + 1, None),
            ],
        }],
        ..Default::default()
    }
}

/// Asks for what [`commit`] commits.
pub(crate) fn fetch_offsets(version: i16, at: TopicPartition, group: &str) -> OffsetFetchRequest {
    let partition_indexes = vec![at.partition.0, at.partition.0 + 1];
    if version < 8 {
        return OffsetFetchRequest {
            group_id: group.into(),
            topics: Some(vec![OffsetFetchRequestTopic { name: "t".into(), partition_indexes }]),
            ..Default::default()
        };
    }
    let by_id = version >= 10;
    let topic = OffsetFetchRequestTopics {
        name: if by_id { String::new() } else { "t".into() },
        topic_id: if by_id { at.topic.0 } else { Uuid::ZERO },
        partition_indexes,
    };
    of_groups(vec![asked(group, Some(vec![topic]))])
}

fn of_groups(groups: Vec<OffsetFetchRequestGroup>) -> OffsetFetchRequest {
    OffsetFetchRequest { groups, ..Default::default() }
}

fn asked(group: &str, topics: Option<Vec<OffsetFetchRequestTopics>>) -> OffsetFetchRequestGroup {
    OffsetFetchRequestGroup { group_id: group.into(), topics, ..Default::default() }
}

/// Everything that the group has.
fn fetch_all(version: i16, group: &str) -> OffsetFetchRequest {
    match version {
        8.. => of_groups(vec![asked(group, None)]),
        _ => OffsetFetchRequest { group_id: group.into(), topics: None, ..Default::default() },
    }
}

/// A partition with its offset, epoch, note and code.
type Fetched = (i32, i64, i32, Option<String>, i16);

/// The code of the only group, and its partitions.
fn fetched(version: i16, response: OffsetFetchResponse) -> (i16, Vec<Fetched>) {
    if version < 8 {
        let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
        let told = partitions.map(|p| {
            (
                p.partition_index,
                p.committed_offset,
                p.committed_leader_epoch,
                p.metadata,
                p.error_code,
            )
        });
        return (response.error_code, told.collect());
    }
    let group = response.groups.into_iter().next().unwrap();
    let partitions = group.topics.into_iter().flat_map(|topic| topic.partitions);
    let told = partitions.map(|p| {
        (p.partition_index, p.committed_offset, p.committed_leader_epoch, p.metadata, p.error_code)
    });
    (group.error_code, told.collect())
}

#[tokio::test]
async fn offsets_are_committed_and_fetched_in_every_version() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut client = cluster.client().await;
    for commit_version in 2..=10 {
        let offset = i64::from(commit_version);
        let request = commit(commit_version, at, "g", offset);
        let topic = client.ask(commit_version, &request).await.topics.pop().unwrap();
        let codes: Vec<_> =
            topic.partitions.iter().map(|p| (p.partition_index, p.error_code)).collect();
        assert_eq!(codes, [(0, 0), (1, 0)]);
        assert_eq!(topic.topic_id, request.topics[0].topic_id);
        assert_eq!(topic.name, request.topics[0].name);
        for version in 1..=10 {
            let response = client.ask(version, &fetch_offsets(version, at, "g")).await;
            let epoch = if version >= 5 && commit_version >= 6 { 7 } else { -1 };
            let expected = |index, note: &str| (index, offset, epoch, Some(note.to_owned()), 0);
            let all = (0, vec![expected(0, "a note"), expected(1, "")]);
            assert_eq!(fetched(version, response), all, "{commit_version}, {version}");
            if version >= 2 {
                let response = client.ask(version, &fetch_all(version, "g")).await;
                assert_eq!(fetched(version, response), all, "{commit_version}, {version}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_committed_is_no_error() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut client = cluster.client().await;
    for version in 1..=10 {
        for group in ["g", ""] {
            let response = client.ask(version, &fetch_offsets(version, at, group)).await;
            let nothing = |index| (index, -1, -1, Some(String::new()), 0);
            assert_eq!(fetched(version, response), (0, vec![nothing(0), nothing(1)]));
        }
        if version >= 2 {
            let response = client.ask(version, &fetch_all(version, "g")).await;
            assert_eq!(fetched(version, response), (0, vec![]));
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_refused_and_the_rest_is_committed() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    for version in 2..=10 {
        let by_id = version >= 10;
        let mut request = commit(version, at, "g", 5);
        let there = request.topics[0].clone();
        let nowhere = OffsetCommitRequestTopic {
            name: if by_id { String::new() } else { "nope".into() },
            topic_id: if by_id { Uuid::from_random(7) } else { Uuid::ZERO },
            ..there.clone()
        };
        request.topics = vec![nowhere.clone(), there];
        let response = client.ask(version, &request).await;
        let codes = |at: usize| {
            let topic = &response.topics[at];
            topic.partitions.iter().map(|p| p.error_code).collect::<Vec<_>>()
        };
        let missing = ErrorCode::UnknownTopicOrPartition.code();
        let no_topic = if by_id { ErrorCode::UnknownTopicId.code() } else { missing };
        assert_eq!((codes(0), codes(1)), (vec![no_topic; 2], vec![0, missing]));
        let before = cluster.storage.calls.lock().unwrap()["coordinate"];
        request.topics = vec![nowhere];
        let response = client.ask(version, &request).await;
        assert_eq!(response.topics[0].partitions[1].error_code, no_topic);
        let after = cluster.storage.calls.lock().unwrap()["coordinate"];
        assert_eq!(after, before, "nothing is left to ask a coordinator");
    }
    let response = client.ask(9, &fetch_all(9, "g")).await;
    let kept = vec![(0, 5, 7, Some("a note".to_owned()), 0)];
    assert_eq!(fetched(9, response), (0, kept));
}

#[tokio::test]
async fn offsets_of_a_topic_that_went_are_told_by_name_only() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut client = cluster.client().await;
    client.ask(9, &commit(9, at, "g", 3)).await;
    let request = fetch_offsets(10, at, "g");
    let named = client.ask(10, &fetch_all(10, "g")).await;
    assert_eq!(named.groups[0].topics[0].topic_id, at.topic.0, "found by its name");
    let topics = vec![TopicRef::Id(at.topic)];
    cluster.controller.command(Command::DeleteTopics { topics });
    cluster.known().await;
    let (code, found) = fetched(9, client.ask(9, &fetch_all(9, "g")).await);
    assert_eq!((code, found.len()), (0, 2));
    assert_eq!(fetched(10, client.ask(10, &fetch_all(10, "g")).await), (0, vec![]));
    let (code, found) = fetched(10, client.ask(10, &request).await);
    let unknown = ErrorCode::UnknownTopicId.code();
    let expected = [0, 1].map(|index| (index, -1, -1, Some(String::new()), unknown));
    assert_eq!((code, found), (0, expected.to_vec()));
}

#[tokio::test]
async fn what_was_committed_of_a_topic_is_not_that_of_a_later_one_of_its_name() {
    let cluster = with_groups().await;
    let before = cluster.topic("t", 2).await;
    let mut client = cluster.client().await;
    client.ask(10, &commit(10, before, "by id", 3)).await;
    client.ask(9, &commit(9, before, "by name", 3)).await;
    cluster.controller.command(Command::DeleteTopics { topics: vec![TopicRef::Id(before.topic)] });
    let after = cluster.topic("t", 2).await;
    for group in ["by id", "by name"] {
        let (_, found) = fetched(10, client.ask(10, &fetch_offsets(10, after, group)).await);
        assert_eq!(found[0].1, -1, "{group}");
    }
}

#[tokio::test]
async fn many_groups_are_answered_in_one_request() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut client = cluster.client().await;
    for version in 8..=10 {
        let names: Vec<String> = (0..100).map(|n| format!("v{version}-{n}")).collect();
        for (name, offset) in names.iter().zip(0..) {
            client.ask(9, &commit(9, at, name, offset)).await;
        }
        let mut request = of_groups(Vec::new());
        for name in &names {
            request.groups.extend(fetch_offsets(version, at, name).groups);
        }
        let response = client.ask(version, &request).await;
        let told = response
            .groups
            .iter()
            .map(|group| (group.group_id.clone(), group.topics[0].partitions[1].committed_offset));
        assert_eq!(told.collect::<Vec<_>>(), names.into_iter().zip(0..).collect::<Vec<_>>());
    }
    let twice = of_groups(vec![asked("v8-1", None), asked("v8-1", None)]);
    let codes: Vec<_> =
        client.ask(9, &twice).await.groups.into_iter().map(|group| group.error_code).collect();
    assert_eq!(codes, [0, ErrorCode::InvalidRequest.code()], "a large answer once only");
}

#[tokio::test]
async fn a_zombie_writes_no_offsets() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut member = Member::alone(&cluster, "g").await;
    for version in 2..=10 {
        let commit_as = |group: &str, id: &str, generation| OffsetCommitRequest {
            member_id: id.into(),
            generation_id_or_member_epoch: generation,
            ..commit(version, at, group, 1)
        };
        let nowhere = match version {
            9.. => ErrorCode::GroupIdNotFound,
            _ => ErrorCode::IllegalGeneration,
        };
        for (request, code) in [
            (commit_as("g", &member.id, 1), ErrorCode::None),
            (commit_as("g", &member.id, 0), ErrorCode::IllegalGeneration),
            (commit_as("g", "zombie", 1), ErrorCode::UnknownMemberId),
            (commit_as("g", "", -1), ErrorCode::UnknownMemberId),
            (commit_as("none", "zombie", 1), nowhere),
        ] {
            let topics = member.client.ask(version, &request).await.topics;
            let codes = topics[0].partitions.iter().map(|p| ErrorCode::from_code(p.error_code));
            assert_eq!(codes.collect::<Vec<_>>(), [code; 2], "version {version}");
        }
    }
}

#[tokio::test]
async fn a_note_that_is_too_long_refuses_its_own_partition() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut client = cluster.client().await;
    let mut request = commit(9, at, "g", 1);
    request.topics[0].partitions[0].committed_metadata = Some("n".repeat(4_097));
    let topics = client.ask(9, &request).await.topics;
    let codes: Vec<_> = topics[0].partitions.iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ErrorCode::OffsetMetadataTooLarge.code(), 0]);
}

#[tokio::test]
async fn offsets_are_deleted_one_by_one() {
    let cluster = with_groups().await;
    let at = cluster.topic("t", 2).await;
    let mut client = cluster.client().await;
    client.ask(9, &commit(9, at, "g", 3)).await;
    let topic = |name: &str, partitions: &[i32]| OffsetDeleteRequestTopic {
        name: name.into(),
        partitions: partitions
            .iter()
            .map(|&partition_index| OffsetDeleteRequestPartition { partition_index })
            .collect(),
    };
    let delete = |group: &str| OffsetDeleteRequest {
        group_id: group.into(),
        topics: vec![topic("nope", &[0]), topic("t", &[5, 1])],
    };
    let response = client.ask(0, &delete("g")).await;
    let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
    let codes: Vec<_> = codes.map(|p| (p.partition_index, p.error_code)).collect();
    let missing = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(response.error_code, 0);
    assert_eq!(codes, [(0, missing), (5, missing), (1, 0)]);
    let (_, left) = fetched(9, client.ask(9, &fetch_all(9, "g")).await);
    assert_eq!(left.len(), 1);
    for (group, code) in [("other", ErrorCode::GroupIdNotFound), ("", ErrorCode::InvalidGroupId)] {
        let refused = client.ask(0, &delete(group)).await;
        assert_eq!((refused.error_code, refused.topics.len()), (code.code(), 0));
    }
}
