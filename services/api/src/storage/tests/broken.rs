//! What callers see when the other side is gone, full or slow.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use ottla_runtime::seams::HostPort;
use ottla_types::{NodeId, ProducerEpoch, ProducerId};

use super::fake::{WAITS, fetch, produce};
use super::{NODE, Setup, patient};
use crate::context::{CallError, RequestContext};
use crate::storage::{
    InitProducerIdRequest, MAX_OUTSTANDING_BYTES, MAX_OUTSTANDING_REQUESTS, RemoteStorage, Storage,
};

fn any_id() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch(-1),
    }
}

#[tokio::test]
async fn a_broken_stream_answers_all_that_is_pending_and_the_next_one_works() {
    let setup = Setup::new().await;
    setup.fake.answered_from.send_replace(i32::MAX);
    let calls = (0..100).map(|n| setup.remote.produce(patient(), produce(n, Bytes::new())));
    let pending = join_all(calls);
    let cutting = async {
        setup.fake.begun.subscribe().wait_for(|begun| begun.len() == 100).await.unwrap();
        setup.loopback.cut();
    };
    let (answers, ()) = tokio::join!(pending, cutting);
    for answer in answers {
        assert!(matches!(answer, Err(CallError::Unreachable { .. })), "{answer:?}");
    }
    setup.fake.answered_from.send_replace(0);
    // Calls between two connections wait for the next one, in their order.
    let calls = (100..200).map(|n| setup.remote.produce(patient(), produce(n, Bytes::new())));
    for answer in join_all(calls).await {
        answer.unwrap();
    }
    let begun = setup.fake.begun.borrow().clone();
    assert_eq!(begun, (0..200).collect::<Vec<_>>(), "nothing is sent twice");
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable_and_named() {
    let setup = Setup::new().await;
    let nowhere = HostPort::new("127.0.0.1", 1);
    let remote = RemoteStorage::new(&setup.seams, NODE, &nowhere);
    let error = remote.init_producer_id(patient(), any_id()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CallError::Unreachable { .. }), "{text}");
    assert!(text.contains("storage node 7 at 127.0.0.1:1"), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn another_node_at_the_address_refuses() {
    let setup = Setup::new().await;
    let remote = RemoteStorage::new(&setup.seams, NodeId(8), &setup.loopback.address);
    let error = remote.init_producer_id(patient(), any_id()).await.unwrap_err();
    assert!(error.to_string().contains("this is storage node 7, not 8"), "{error}");
}

#[tokio::test]
async fn more_than_fits_is_refused_and_fits_again_later() {
    let setup = Setup::new().await;
    setup.fake.answered_from.send_replace(i32::MAX);
    let mut calls: Vec<_> = (0..MAX_OUTSTANDING_REQUESTS as i32)
        .map(|n| setup.remote.produce(patient(), produce(n, Bytes::new())))
        .collect();
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    let refused = setup.remote.produce(patient(), produce(1, Bytes::new())).await;
    assert!(matches!(refused, Err(CallError::Overloaded(_))), "{refused:?}");
    // A caller that goes away gives its place back.
    drop(calls.pop());
    setup.fake.answered_from.send_replace(0);
    setup.remote.produce(patient(), produce(1, Bytes::new())).await.unwrap();
    for answer in join_all(calls).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn more_bytes_than_fit_are_refused() {
    let setup = Setup::new().await;
    let large = Bytes::from(vec![0; MAX_OUTSTANDING_BYTES + 1]);
    let refused = setup.remote.produce(patient(), produce(1, large)).await;
    assert!(matches!(refused, Err(CallError::Overloaded(_))), "{refused:?}");
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let setup = Setup::new().await;
    let hurry = RequestContext::internal(Duration::from_millis(50));
    let error = setup.remote.fetch(hurry, fetch(WAITS)).await.unwrap_err();
    assert_eq!(error, CallError::TimedOut(Duration::from_millis(50)));
    setup.fake.running.subscribe().wait_for(|running| *running == 0).await.unwrap();
}

#[tokio::test]
async fn draining_answers_what_was_begun_and_ends_the_streams() {
    let mut setup = Setup::new().await;
    let remote = std::sync::Arc::clone(&setup.remote);
    let mut waiting = remote.fetch(patient(), fetch(WAITS));
    assert!((&mut waiting).now_or_never().is_none());
    setup.fake.running.subscribe().wait_for(|running| *running == 1).await.unwrap();
    setup.server.drain();
    let released = async {
        setup.fake.released.send_replace(true);
        setup.loopback.stop().await;
    };
    let (answer, ()) = tokio::join!(waiting, released);
    answer.unwrap();
    let late = remote.fetch(patient(), fetch(0)).await;
    assert!(matches!(late, Err(CallError::Unreachable { .. })), "{late:?}");
}
