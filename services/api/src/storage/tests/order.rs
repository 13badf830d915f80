//! In which order requests are begun and answers come.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::fake::{WAITS, fetch, node_configs, produce};
use super::{Setup, patient};
use crate::context::{CallError, RequestContext};
use crate::storage::{
    Acks, DescribeLogDirsRequest, IsolationLevel, ListOffsetsRequest, MAX_OUTSTANDING_REQUESTS,
    ProduceRequest, Storage,
};

const MANY: i32 = 2000;

#[tokio::test]
async fn produce_requests_are_begun_in_the_order_of_their_first_poll() {
    let setup = Setup::new().await;
    let calls = (0..MANY).map(|n| setup.remote.produce(patient(), produce(n, Bytes::new())));
    for answer in join_all(calls).await {
        answer.unwrap();
    }
    assert_eq!(*setup.fake.begun.borrow(), (0..MANY).collect::<Vec<_>>());
}

#[tokio::test]
async fn answers_overtake_each_other() {
    let setup = Setup::new().await;
    setup.fake.answered_from.send_replace(i32::MAX);
    let call = |n| {
        let remote = &setup.remote;
        async move {
            remote.produce(patient(), produce(n, Bytes::new())).await.unwrap();
            n
        }
    };
    let mut calls: FuturesUnordered<_> = (0..100).map(call).collect();
    assert!(calls.next().now_or_never().is_none());
    for expected in (0..100).rev() {
        setup.fake.answered_from.send_replace(expected);
        assert_eq!(calls.next().await, Some(expected));
    }
}

#[tokio::test]
async fn a_fetch_that_waits_holds_nobody_up() {
    let setup = Setup::new().await;
    let mut waiting = setup.remote.fetch(patient(), fetch(WAITS));
    assert!((&mut waiting).now_or_never().is_none());
    setup.remote.produce(patient(), produce(1, Bytes::new())).await.unwrap();
    setup.remote.fetch(patient(), fetch(0)).await.unwrap();
    setup.fake.released.send_replace(true);
    assert_eq!(waiting.await.unwrap().partitions[0].high_watermark.0, 3);
}

#[tokio::test]
async fn acks_0_is_done_when_it_is_sent_and_begun_in_its_turn() {
    let setup = Setup::new().await;
    setup.fake.answered_from.send_replace(i32::MAX);
    let calls: Vec<_> = (0..MANY).map(|n| setup.remote.produce(patient(), silent(n))).collect();
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().partitions[0].base_offset.0, -1);
    }
    let mut begun = setup.fake.begun.subscribe();
    let begun = begun.wait_for(|begun| begun.len() == MANY as usize).await.unwrap();
    assert_eq!(*begun, (0..MANY).collect::<Vec<_>>());
}

#[tokio::test]
async fn acks_0_waits_for_room_and_keeps_its_order() {
    let setup = Setup::new().await;
    setup.fake.answered_from.send_replace(i32::MAX);
    let full = MAX_OUTSTANDING_REQUESTS as i32;
    let mut calls: Vec<_> =
        (0..full).map(|n| setup.remote.produce(patient(), produce(n, Bytes::new()))).collect();
    assert!(calls.iter_mut().all(|call| call.now_or_never().is_none()));
    let mut told: Vec<_> =
        (full..full + 10).map(|n| setup.remote.produce(patient(), silent(n))).collect();
    assert!(told.iter_mut().all(|call| call.now_or_never().is_none()), "neither sent nor refused");
    let hurry = RequestContext::internal(Duration::from_millis(50));
    let late = setup.remote.produce(hurry, silent(-1)).await;
    assert_eq!(late.unwrap_err(), CallError::TimedOut(Duration::from_millis(50)));
    setup.fake.answered_from.send_replace(0);
    let (answers, told) = futures::join!(join_all(calls), join_all(told));
    assert!(answers.into_iter().chain(told).all(|answer| answer.is_ok()));
    let mut begun = setup.fake.begun.subscribe();
    let begun = begun.wait_for(|begun| begun.len() == full as usize + 10).await.unwrap();
    assert_eq!(*begun, (0..full + 10).collect::<Vec<_>>());
}

/// A request that is not answered.
fn silent(n: i32) -> ProduceRequest {
    ProduceRequest { acks: Acks::None, ..produce(n, Bytes::new()) }
}

#[tokio::test]
async fn short_questions_are_answered_and_so_is_a_refusal() {
    let setup = Setup::new().await;
    let list =
        ListOffsetsRequest { isolation: IsolationLevel::ReadUncommitted, partitions: Vec::new() };
    assert!(setup.remote.list_offsets(patient(), list).await.unwrap().partitions.is_empty());
    let configs = setup.remote.describe_node_configs(patient()).await.unwrap();
    assert_eq!(configs, node_configs());
    let all = DescribeLogDirsRequest { partitions: None };
    let described = setup.remote.describe_log_dirs(patient(), all).await;
    let active = Some(ottla_types::NodeId(1));
    assert_eq!(described.unwrap_err(), CallError::NotActive { active });
}
