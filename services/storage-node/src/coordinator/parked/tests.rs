//! Replies leave after what they depend on, and in order.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use tokio::sync::oneshot;

use super::*;

fn reply(token: u64) -> Vec<(Token, Reply)> {
    vec![(Token(token), Reply::Heartbeat(ErrorCode::None))]
}

fn tokens(ended: &Ended) -> Vec<u64> {
    ended.replies.iter().map(|(token, _)| token.0).collect()
}

/// An append that notes when it is begun and ends when it is told.
fn append(
    name: u64,
    begun: &Arc<Mutex<Vec<u64>>>,
) -> (BoxFuture<'static, Appended>, oneshot::Sender<Appended>) {
    let (end, ended) = oneshot::channel();
    let begun = Arc::clone(begun);
    let future = async move {
        begun.lock().unwrap().push(name);
        ended.await.unwrap()
    };
    (future.boxed(), end)
}

#[tokio::test]
async fn a_reply_waits_for_the_last_append_before_it_and_for_each_before_that() {
    let (mut parked, begun) = (Parked::default(), Arc::default());
    assert_eq!(parked.park(reply(0)), Some(reply(0)), "there is nothing to wait for");
    let (first, end_first) = append(1, &begun);
    let (second, end_second) = append(2, &begun);
    parked.push(first, (1, 10), reply(1));
    assert_eq!(parked.park(reply(2)), None);
    parked.push(second, (3, 10), reply(3));
    assert_eq!(*begun.lock().unwrap(), [1, 2], "each is begun when it is pushed");
    end_second.send(Ok(Offset(1))).unwrap();
    let mut next = Box::pin(parked.next());
    assert!(matches!(futures::poll!(&mut next), Poll::Pending));
    drop(next);
    end_first.send(Err(ErrorCode::KafkaStorageError)).unwrap();
    let ended = parked.next().await;
    assert_eq!((ended.appended, tokens(&ended)), (Err(ErrorCode::KafkaStorageError), vec![1, 2]));
    let ended = parked.next().await;
    let found = (ended.appended, ended.records, tokens(&ended));
    assert_eq!(found, (Ok(Offset(1)), 3, vec![3]));
    assert_eq!((parked.bytes, parked.replies), (0, 0));
}

#[tokio::test]
async fn appends_bytes_and_replies_on_their_way_are_bounded() {
    let now = || ready(Ok(Offset(0))).boxed();
    let mut parked = Parked::default();
    parked.push(now(), (1, MAX_APPEND_BYTES), Vec::new());
    assert!(!parked.has_room());
    parked.drain().await;
    for _ in 0..MAX_APPENDS {
        assert!(parked.has_room());
        parked.push(now(), (1, 1), Vec::new());
    }
    assert!(!parked.has_room());
    parked.drain().await;
    parked.push(now(), (1, 1), (0..MAX_PARKED_REPLIES as u64).flat_map(reply).collect());
    assert!(!parked.has_room());
    parked.drain().await;
    assert!(parked.has_room());
}
