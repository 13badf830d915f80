//! What callers are told, whatever the coordinator does.

use std::task::Poll;

use ottla_coordinator::command::List;
use ottla_coordinator::{Token, reply::ListedGroups};

use super::*;

fn list() -> Command {
    let (states, types) = (Vec::new(), Vec::new());
    Command::List(List { token: Token(0), states, types, after: None })
}

#[tokio::test]
async fn only_a_loaded_coordinator_is_asked() {
    let (inbox, mut taker) = inbox(1);
    let ask = || inbox.ask(list(), Span::none());
    assert_eq!(ask().await, Err(ErrorCode::CoordinatorLoadInProgress));
    taker.shared.set_standing(Standing::Unreadable);
    assert_eq!(ask().await, Err(ErrorCode::CoordinatorNotAvailable));
    assert!(taker.questions.try_recv().is_err());
    taker.shared.set_standing(Standing::Serving);
    let listed = Reply::List(ListedGroups { groups: Vec::new(), next: None });
    let answering = async {
        let question = taker.questions.recv().await.unwrap();
        question.answer.send(Ok(listed.clone())).unwrap();
    };
    assert_eq!(tokio::join!(ask(), answering).0, Ok(listed.clone()));
}

#[tokio::test]
async fn what_a_coordinator_does_on_its_own_account_is_nobodys_to_ask_for() {
    let (inbox, taker) = inbox(1);
    taker.shared.set_standing(Standing::Serving);
    assert_eq!(inbox.ask(Command::Tick, Span::none()).await, Err(ErrorCode::InvalidRequest));
}

#[tokio::test]
async fn who_comes_while_it_is_full_is_told_to_come_again_and_nobody_is_forgotten() {
    let (inbox, taker) = inbox(1);
    taker.shared.set_standing(Standing::Serving);
    let mut asked: Vec<_> =
        (0..INBOX_QUESTIONS).map(|_| Box::pin(inbox.ask(list(), Span::none()))).collect();
    for question in &mut asked {
        assert_eq!(futures::poll!(question), Poll::Pending);
    }
    let refused = inbox.ask(list(), Span::none()).await;
    assert_eq!(refused, Err(ErrorCode::CoordinatorNotAvailable));
    drop(taker);
    for question in asked {
        assert_eq!(question.await, Err(ErrorCode::NotCoordinator));
    }
    assert_eq!(inbox.ask(list(), Span::none()).await, Err(ErrorCode::NotCoordinator));
}

#[test]
fn deleted_topics_are_told_once_and_are_bounded() {
    let (inbox, taker) = inbox(1);
    let topic = (TopicName::new("t").unwrap(), TopicId::default());
    inbox.topics_deleted(std::iter::repeat_n(topic, MAX_DELETED_TOPICS + 5));
    assert_eq!(taker.shared.take_deleted().len(), MAX_DELETED_TOPICS);
    assert!(taker.shared.take_deleted().is_empty());
}
