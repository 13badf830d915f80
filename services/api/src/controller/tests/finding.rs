//! The client finds the active member, and says what it does not know.

use std::time::Duration;

use futures::FutureExt;
use ottla_metadata::Command;
use ottla_metadata::command::TopicRef;
use ottla_types::NodeId;

use super::{Quorum, patient};
use crate::context::{CallError, RequestContext};
use crate::controller::{Controller, HistoryQuery};

fn delete() -> Command {
    Command::DeleteTopics { topics: vec![TopicRef::Name("t".to_owned())] }
}

#[tokio::test]
async fn the_active_member_is_found_and_followed() {
    let quorum = Quorum::new(3).await;
    let client = quorum.client(&[1, 2, 3], true);
    for active in [2, 3, 1] {
        quorum.activate(active);
        let submitted = client.submit(patient(), delete()).await.unwrap();
        assert_eq!(submitted.offset.0, active as u64);
    }
    assert_eq!(quorum.fake(2).begun.borrow().len(), 1);
}

#[tokio::test]
async fn a_member_that_nobody_told_of_is_learned() {
    let quorum = Quorum::new(3).await;
    quorum.activate(3);
    let client = quorum.client(&[1], false);
    assert_eq!(client.submit(patient(), delete()).await.unwrap().offset.0, 3);
    assert_eq!(client.statuses().await.len(), 3);
}

#[tokio::test]
async fn without_an_active_member_the_client_waits_for_one() {
    let quorum = Quorum::new(2).await;
    let client = quorum.client(&[1, 2], true);
    let submitting = client.submit(patient(), delete());
    let electing = async {
        quorum.seams.clock.sleep(Duration::from_millis(100)).await;
        quorum.activate(2);
    };
    let (submitted, ()) = tokio::join!(submitting, electing);
    assert_eq!(submitted.unwrap().offset.0, 2);
    quorum.activate(0);
    let hurry = RequestContext::internal(Duration::from_millis(200));
    let error = client.submit(hurry, delete()).await.unwrap_err();
    assert_eq!(error, CallError::NotActive { active: None });
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again_unless_that_does_no_harm() {
    let quorum = Quorum::new(1).await;
    quorum.activate(1);
    quorum.fake(1).answers.send_replace(false);
    let client = quorum.client(&[1], true);
    let mut submitting = client.submit(patient(), delete());
    assert!((&mut submitting).now_or_never().is_none());
    let cutting = async {
        quorum.fake(1).begun.subscribe().wait_for(|begun| !begun.is_empty()).await.unwrap();
        quorum.members[0].loopback.cut();
    };
    let (lost, ()) = tokio::join!(submitting, cutting);
    assert!(matches!(lost, Err(CallError::Unreachable { .. })), "{lost:?}");
    assert_eq!(quorum.fake(1).begun.borrow().len(), 1);

    let mut ticking = client.submit(patient(), Command::Tick);
    assert!((&mut ticking).now_or_never().is_none());
    let cutting = async {
        quorum.fake(1).begun.subscribe().wait_for(|begun| begun.len() == 2).await.unwrap();
        quorum.fake(1).answers.send_replace(true);
        quorum.members[0].loopback.cut();
    };
    let (ticked, ()) = tokio::join!(ticking, cutting);
    ticked.unwrap();
}

#[tokio::test]
async fn a_member_that_is_gone_does_not_stop_the_others() {
    let mut quorum = Quorum::new(3).await;
    quorum.activate(3);
    let client = quorum.client(&[1, 2, 3], true);
    for gone in [0, 1] {
        quorum.members[gone].loopback.vanish().await;
    }
    assert_eq!(client.submit(patient(), delete()).await.unwrap().offset.0, 3);
    assert_eq!(client.quorum_status().await.unwrap().leader, Some(NodeId(3)));
    let query = HistoryQuery { limit: 9, ..HistoryQuery::default() };
    assert_eq!(client.history(query).await.unwrap().next.unwrap().0, 9);
    let statuses = client.statuses().await;
    assert_eq!(statuses.iter().filter(|(_, status)| status.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_quorum_that_is_gone_is_unreachable_and_named() {
    let mut quorum = Quorum::new(1).await;
    let client = quorum.client(&[1], true);
    quorum.members[0].loopback.vanish().await;
    let hurry = RequestContext::internal(Duration::from_millis(200));
    let error = client.submit(hurry, delete()).await.unwrap_err();
    assert!(error.to_string().contains("controller 1 at 127.0.0.1:"), "{error}");
}
