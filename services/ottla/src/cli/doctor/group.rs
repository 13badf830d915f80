//! An offset committed through a group's coordinator, and read back.

use std::time::Duration;

use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_kafka_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_kafka_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestTopic,
};
use ottla_runtime::seams::{Clock as _, RealClock};
use ottla_types::ErrorCode;

use crate::cli::failure::Failure;
use crate::cli::wire::Wire;

/// The group that the offset is committed for; it never has members.
pub(super) const GROUP: &str = "ottla-doctor";
/// How long a coordinator that is not ready is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Versions in which each API is asked: those of Kafka 2.3, which has all that is needed here.
const FIND_COORDINATOR_VERSION: i16 = 2;
const OFFSET_COMMIT_VERSION: i16 = 7;
const OFFSET_FETCH_VERSION: i16 = 5;

/// Commits an offset and reads it back; who coordinates, for people.
pub(super) async fn commit_and_read_back(
    bootstrap: &str,
    topic: &str,
    offset: i64,
) -> Result<String, Failure> {
    let clock = RealClock::new();
    let give_up = clock.monotonic() + PATIENCE;
    loop {
        match once(bootstrap, topic, offset).await? {
            Ok(coordinator) => return Ok(coordinator),
            Err(error) if error.is_retriable() && clock.monotonic() < give_up => {
                clock.sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(refused(error)),
        }
    }
}

async fn once(
    bootstrap: &str,
    topic: &str,
    offset: i64,
) -> Result<Result<String, ErrorCode>, Failure> {
    let find = FindCoordinatorRequest { key: GROUP.to_owned(), ..Default::default() };
    let found = Wire::connect(bootstrap).await?.call(FIND_COORDINATOR_VERSION, &find).await?;
    if found.error_code != 0 {
        return Ok(Err(ErrorCode::from_code(found.error_code)));
    }
    let coordinator = format!("{}:{}", found.host, found.port);
    let mut wire = Wire::connect(&coordinator).await?;
    let committed = wire.call(OFFSET_COMMIT_VERSION, &commit(topic, offset)).await?;
    let code = committed.topics.iter().flat_map(|topic| &topic.partitions).next();
    if let Some(code) = code.map(|partition| partition.error_code).filter(|code| *code != 0) {
        return Ok(Err(ErrorCode::from_code(code)));
    }
    let fetched = wire.call(OFFSET_FETCH_VERSION, &fetch(topic)).await?;
    let partition = fetched.topics.iter().flat_map(|topic| &topic.partitions).next();
    match (fetched.error_code, partition) {
        (0, Some(found)) if found.error_code == 0 && found.committed_offset == offset => {
            Ok(Ok(coordinator))
        }
        (0, Some(found)) if found.error_code == 0 => Err(Failure::local(format!(
            "offset {offset} was committed, and {} came back; look at the logs",
            found.committed_offset
        ))),
        (0, Some(found)) => Ok(Err(ErrorCode::from_code(found.error_code))),
        (code, _) => Ok(Err(ErrorCode::from_code(code))),
    }
}

fn commit(topic: &str, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_leader_epoch: -1,
        committed_metadata: Some(String::new()),
    };
    OffsetCommitRequest {
        group_id: GROUP.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn fetch(topic: &str) -> OffsetFetchRequest {
    OffsetFetchRequest {
        group_id: GROUP.to_owned(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: topic.to_owned(),
            partition_indexes: vec![0],
        }]),
        ..Default::default()
    }
}

fn refused(error: ErrorCode) -> Failure {
    let message = match error {
        ErrorCode::CoordinatorNotAvailable => {
            "the group has no coordinator; where __consumer_offsets cannot be made the gateway's log says why, mostly \
             offsets.topic.replication.factor"
        }
        ErrorCode::GroupAuthorizationFailed => "the group may not be used; allow it to this client",
        _ => {
            "the coordinator refuses; the log of its storage node says why, `ottla status` shows which are active"
        }
    };
    Failure::refused(error, message.to_owned())
}
