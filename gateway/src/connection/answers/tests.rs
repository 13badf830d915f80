//! What an account grants, and when.

use futures::FutureExt;

use super::*;

fn memory(limit: usize) -> AnswerMemory {
    AnswerMemory::new(limit, 0, Gauge::default())
}

fn held(memory: &AnswerMemory) -> i64 {
    memory.shared.held.get()
}

#[test]
fn an_answer_is_counted_until_it_is_sent() {
    let memory = memory(100);
    let (one, other) = (memory.account(), memory.account());
    let first = one.hold(70);
    let more = other.hold(70);
    assert_eq!((one.unsent(), other.unsent(), held(&memory)), (70, 70, 140));
    drop(first);
    drop(more);
    assert_eq!((one.unsent(), other.unsent(), held(&memory)), (0, 0, 0));
}

#[test]
fn a_reservation_is_never_more_than_is_left_and_shrinks_with_it() {
    let memory = memory(1_000);
    let account = memory.account();
    let grants: Vec<_> = std::iter::from_fn(|| account.reserve(100, 600).now_or_never()).collect();
    let bytes: Vec<_> = grants.iter().map(HeldAnswer::bytes).collect();
    assert_eq!(bytes, [500, 250, 125, 100]);
    assert!(account.try_reserve(26).is_none());
    assert!(account.try_reserve(25).is_some());
}

#[test]
fn what_is_given_back_goes_to_the_one_who_waits_longest() {
    let memory = memory(100);
    let (one, other) = (memory.account(), memory.account());
    let taken = one.hold(100);
    let mut first = Box::pin(other.reserve(60, 60));
    let mut second = Box::pin(other.reserve(10, 10));
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    assert!(one.is_scarce());
    let small = one.hold(20);
    drop(taken);
    // Not by one who came later, although there would be room.
    assert!(one.try_reserve(1).is_none());
    assert!((&mut second).now_or_never().is_none());
    let first = first.now_or_never().unwrap();
    let second = second.now_or_never().unwrap();
    assert_eq!((first.bytes(), second.bytes(), held(&memory)), (60, 10, 90));
    assert!(!one.is_scarce());
    drop(small);
}

#[test]
fn a_waiter_that_goes_away_leaves_its_turn_to_the_next() {
    let memory = memory(100);
    let account = memory.account();
    let taken = account.hold(100);
    let mut gone = Box::pin(account.reserve(1, 1));
    let mut next = Box::pin(account.reserve(1, 1));
    assert!((&mut gone).now_or_never().is_none() && (&mut next).now_or_never().is_none());
    drop(gone);
    drop(taken);
    assert_eq!(next.now_or_never().unwrap().bytes(), 1);
}

#[test]
fn answers_behind_others_leave_half_of_the_memory_to_those_in_front() {
    let memory = memory(100);
    let account = memory.account();
    let half = account.hold(50);
    assert!(account.room(false).now_or_never().is_none());
    assert!(account.room(true).now_or_never().is_some());
    let all = account.hold(50);
    assert!(account.room(true).now_or_never().is_none());
    drop((half, all));
    assert!(account.room(false).now_or_never().is_some());
}

#[test]
fn a_reservation_becomes_what_came() {
    let memory = memory(100);
    let account = memory.account();
    let mut reserved = account.try_reserve(80).unwrap();
    assert!(reserved.resize(30));
    assert_eq!((account.unsent(), held(&memory)), (30, 30));
    assert!(reserved.resize(90) && !reserved.resize(101));
    assert_eq!((account.unsent(), held(&memory)), (90, 90));
    drop(reserved);
    assert_eq!((account.unsent(), held(&memory)), (0, 0));
}

#[test]
fn a_batch_of_the_largest_size_fits() {
    let memory = AnswerMemory::new(10, 100, Gauge::default());
    assert!(memory.account().try_reserve(100).is_some());
}
