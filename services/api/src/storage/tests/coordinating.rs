//! Coordinators are asked through the same stream, and answer in their own bytes.

use ottla_coordinator::command::{Caller, Heartbeat};
use ottla_coordinator::{Command, Generation, GroupId, MemberId, Reply, Token};
use ottla_types::{ErrorCode, PartitionIndex};

use super::{Setup, patient};
use crate::storage::{CoordinateRequest, CoordinateResponse, Storage};

fn asking(command: Command) -> CoordinateRequest {
    CoordinateRequest { partition: PartitionIndex(49), command }
}

#[tokio::test]
async fn a_coordinator_in_another_process_replies_or_says_that_it_is_none() {
    let setup = Setup::new().await;
    let heartbeat = Command::Heartbeat(Heartbeat {
        token: Token(1),
        caller: Caller {
            group: GroupId::new("group").unwrap(),
            member: MemberId::new("member").unwrap(),
            instance: None,
        },
        generation: Generation(3),
    });
    let answer = setup.remote.coordinate(patient(), asking(heartbeat)).await.unwrap();
    assert_eq!(answer.outcome, Ok(Reply::Heartbeat(ErrorCode::RebalanceInProgress)));
    let describe = Command::Describe { token: Token(2), groups: Vec::new() };
    let answer = setup.remote.coordinate(patient(), asking(describe)).await.unwrap();
    assert_eq!(answer, CoordinateResponse { outcome: Err(ErrorCode::NotCoordinator) });
}
