//! Sessions of Kafka's rules: epochs, changes, order, eviction.

use std::collections::BTreeMap;

use ottla_api::storage::{FetchedRecords, topic_partition};
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use ottla_runtime::seams::SimRng;
use ottla_types::{LeaderEpoch, NodeId, Offset, TopicId, Uuid};
use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_secs(1_000);

fn sessions(slots: usize) -> FetchSessions {
    FetchSessions::new(slots, Arc::new(SimRng::new(5)))
}

/// A request of these partitions of topic "t", each at an offset.
fn request((id, epoch): (i32, i32), partitions: &[(i32, i64)]) -> FetchRequest {
    let wanted = |&(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition,
        fetch_offset,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "t".into(),
        partitions: partitions.iter().map(wanted).collect(),
        ..Default::default()
    };
    let topics = if partitions.is_empty() { Vec::new() } else { vec![topic] };
    FetchRequest { session_id: id, session_epoch: epoch, topics, ..Default::default() }
}

fn result(high_watermark: i64, bytes: usize) -> FetchPartitionResult {
    let nowhere = topic_partition(TopicId::default(), 0);
    FetchPartitionResult {
        high_watermark: Offset(high_watermark),
        log_start_offset: Offset(0),
        records: FetchedRecords::Bytes(vec![vec![0; bytes].into()]),
        ..FetchPartitionResult::without_records(nowhere, ErrorCode::None)
    }
}

fn partitions(request: &FetchRequest) -> Vec<(i32, i64)> {
    let all = request.topics.iter().flat_map(|topic| &topic.partitions);
    all.map(|wanted| (wanted.partition, wanted.fetch_offset)).collect()
}

/// A whole exchange: the session that is told, the partitions that were asked, and those that are told.
type Exchange = Result<(i32, Vec<(i32, i64)>, Vec<i32>), ErrorCode>;

fn exchange(
    sessions: &FetchSessions,
    mut request: FetchRequest,
    now: Duration,
    answer: impl Fn(i32) -> FetchPartitionResult,
) -> Exchange {
    let turn = sessions.open(&mut request, false, now)?;
    let asked = partitions(&request);
    let results: Vec<_> = asked.iter().map(|(partition, _)| answer(*partition)).collect();
    let told = sessions.settle(&turn, &request, &results, now);
    let shown = asked.iter().enumerate().filter(|(place, _)| told.tells(*place));
    let shown = shown.map(|(_, (partition, _))| *partition).collect();
    Ok((told.session_id, asked, shown))
}

/// Begins a session of partitions 0, 1, …; its id, or 0.
fn begin(sessions: &FetchSessions, size: i32, now: Duration) -> i32 {
    let all: Vec<_> = (0..size).map(|partition| (partition, 0)).collect();
    exchange(sessions, request((0, 0), &all), now, |_| result(5, 0)).unwrap().0
}

#[test]
fn a_session_is_asked_of_all_its_partitions_and_tells_what_changed() {
    let sessions = sessions(10);
    let id = begin(&sessions, 3, START);
    assert!(id > 0);
    let same = exchange(&sessions, request((id, 1), &[]), START, |_| result(5, 0)).unwrap();
    assert_eq!(same, (id, vec![(0, 0), (1, 0), (2, 0)], vec![]));
    // Records of partition 0; then it stands behind the others.
    let first = |partition| if partition == 0 { result(6, 1) } else { result(5, 0) };
    let told = exchange(&sessions, request((id, 2), &[]), START, first).unwrap();
    assert_eq!(told.2, [0]);
    // The client goes on behind them.
    let gone_on = exchange(&sessions, request((id, 3), &[(0, 6)]), START, |_| result(6, 0));
    assert_eq!(gone_on.unwrap(), (id, vec![(1, 0), (2, 0), (0, 6)], vec![1, 2]));
    let mut forgets = request((id, 4), &[(7, 7)]);
    let forgotten =
        ForgottenTopic { topic: "t".into(), partitions: vec![1, 99], ..Default::default() };
    forgets.forgotten_topics_data = vec![forgotten];
    let changed = exchange(&sessions, forgets, START, |_| result(6, 0)).unwrap();
    assert_eq!(changed, (id, vec![(2, 0), (0, 6), (7, 7)], vec![7]));
}

#[test]
fn what_is_wrong_or_special_is_told_each_time_and_once_more_when_it_is_over() {
    let sessions = sessions(10);
    let id = begin(&sessions, 1, START);
    let mut epoch = 0;
    let mut told = |result: FetchPartitionResult| {
        epoch += 1;
        let request = request((id, epoch), &[]);
        !exchange(&sessions, request, START, |_| result.clone()).unwrap().2.is_empty()
    };
    let plain = result(5, 0);
    assert!(!told(plain.clone()));
    let failed = FetchPartitionResult { error: ErrorCode::KafkaStorageError, ..plain.clone() };
    assert_eq!([told(failed.clone()), told(failed), told(plain.clone())], [true; 3]);
    assert!(!told(plain.clone()));
    let diverging = Some((LeaderEpoch(1), Offset(2)));
    let diverges = FetchPartitionResult { diverging_epoch: diverging, ..plain.clone() };
    assert_eq!([told(diverges.clone()), told(diverges), told(plain.clone())], [true; 3]);
    let elsewhere =
        FetchPartitionResult { preferred_read_replica: Some(NodeId(2)), ..plain.clone() };
    assert_eq!(
        [told(elsewhere.clone()), told(elsewhere), told(plain.clone())],
        [true, true, false]
    );
    let deleted = FetchPartitionResult { log_start_offset: Offset(3), ..plain };
    assert_eq!([told(deleted.clone()), told(deleted)], [true, false]);
}

#[test]
fn requests_that_fit_no_session_get_kafkas_codes() {
    let sessions = sessions(10);
    let id = begin(&sessions, 2, START);
    let ask = |id, epoch| exchange(&sessions, request((id, epoch), &[]), START, |_| result(5, 0));
    assert_eq!(ask(id ^ 1, 1), Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(ask(id, 2), Err(ErrorCode::InvalidFetchSessionEpoch));
    assert!(ask(id, 1).is_ok());
    assert_eq!(ask(id, 1), Err(ErrorCode::InvalidFetchSessionEpoch));
    let by_id = sessions.open(&mut request((id, 2), &[]), true, START);
    assert_eq!(by_id.err(), Some(ErrorCode::FetchSessionTopicIdError));
    // A whole request closes the session that it names; the final epoch begins none.
    let whole = exchange(&sessions, request((id, -1), &[(0, 0)]), START, |_| result(5, 0));
    assert_eq!(whole.unwrap(), (0, vec![(0, 0)], vec![0]));
    assert_eq!(ask(id, 2), Err(ErrorCode::FetchSessionIdNotFound));
    let id = begin(&sessions, 2, START);
    let again = exchange(&sessions, request((id, 0), &[(0, 0)]), START, |_| result(5, 0)).unwrap();
    assert!(again.0 != 0 && again.0 != id);
    assert_eq!(ask(id, 1), Err(ErrorCode::FetchSessionIdNotFound));
}

#[test]
fn a_session_that_forgets_everything_ends() {
    let sessions = sessions(10);
    let id = begin(&sessions, 1, START);
    let mut forgets = request((id, 1), &[]);
    let forgotten = ForgottenTopic { topic: "t".into(), partitions: vec![0], ..Default::default() };
    forgets.forgotten_topics_data = vec![forgotten];
    assert_eq!(exchange(&sessions, forgets, START, |_| result(5, 0)), Ok((0, vec![], vec![])));
    assert_eq!(sessions.locked().counts(), (0, 0));
}

#[test]
fn a_session_answers_one_request_at_a_time() {
    let sessions = sessions(10);
    let id = begin(&sessions, 1, START);
    let mut slow = request((id, 1), &[]);
    let turn = sessions.open(&mut slow, false, START).unwrap();
    let second = || exchange(&sessions, request((id, 2), &[]), START, |_| result(6, 0));
    assert_eq!(second(), Err(ErrorCode::InvalidFetchSessionEpoch));
    let told = sessions.settle(&turn, &slow, &[result(6, 0)], START);
    assert!(told.tells(0));
    drop(turn);
    assert_eq!(second(), Ok((id, vec![(0, 0)], vec![])));
    // One that is given up does not block the session.
    drop(sessions.open(&mut request((id, 3), &[]), false, START).unwrap());
    assert!(exchange(&sessions, request((id, 4), &[]), START, |_| result(6, 0)).is_ok());
}

#[test]
fn topics_go_by_id_or_by_name_and_keep_what_they_are_called() {
    let sessions = sessions(10);
    let topic = |id: u128, partition| FetchTopic {
        topic_id: Uuid::from_random(id),
        partitions: vec![FetchPartition { partition, ..Default::default() }],
        ..Default::default()
    };
    let mut first = FetchRequest {
        topics: vec![topic(1, 0), topic(2, 0), topic(1, 1)],
        session_epoch: 0,
        ..Default::default()
    };
    let turn = sessions.open(&mut first, true, START).unwrap();
    let results = [result(1, 0), result(2, 0), result(3, 0)];
    let id = sessions.settle(&turn, &first, &results, START).session_id;
    let mut next = request((id, 1), &[]);
    sessions.open(&mut next, true, START).unwrap();
    let named: Vec<_> =
        next.topics.iter().map(|topic| (topic.topic_id, topic.partitions.len())).collect();
    let (one, two) = (Uuid::from_random(1), Uuid::from_random(2));
    assert_eq!(named, [(one, 1), (two, 1), (one, 1)]);
    assert!(next.topics.iter().all(|topic| topic.topic.is_empty()));
}

#[test]
fn who_is_evicted_is_kafkas_rule() {
    let sessions = sessions(2);
    let (small, large) = (begin(&sessions, 1, START), begin(&sessions, 5, START));
    let use_it = |id, epoch, now| {
        exchange(&sessions, request((id, epoch), &[]), now, |_| result(5, 0)).map(|told| told.0)
    };
    // Young ones stay, however large the new one is.
    assert_eq!(begin(&sessions, 9, START + EVICTION_AGE), 0);
    // Old ones that are in use give way to a larger one, the smallest first.
    let old = START + EVICTION_AGE + Duration::from_secs(1);
    assert_eq!((use_it(small, 1, old), use_it(large, 1, old)), (Ok(small), Ok(large)));
    assert_eq!(begin(&sessions, 1, old), 0);
    let larger = begin(&sessions, 2, old);
    assert!(larger != 0);
    assert_eq!(use_it(small, 2, old), Err(ErrorCode::FetchSessionIdNotFound));
    // What nobody used for so long goes in any case.
    let later = old + EVICTION_AGE + Duration::from_secs(1);
    assert_eq!(use_it(large, 2, later), Ok(large));
    assert!(begin(&sessions, 1, later) != 0);
    assert_eq!(use_it(larger, 1, later), Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(use_it(large, 3, later), Ok(large));
    assert_eq!(begin(&self::sessions(0), 1, START), 0);
}

#[test]
fn all_sessions_together_hold_no_more_partitions_than_the_limit() {
    let mut sessions = sessions(10);
    sessions.cache = Mutex::new(Cache::new(10, 8));
    let id = begin(&sessions, 5, START);
    assert_eq!(begin(&sessions, 4, START), 0, "nine");
    assert!(begin(&sessions, 3, START) != 0);
    // One that grows beyond the limit ends; its client begins anew.
    let grows = exchange(&sessions, request((id, 1), &[(7, 0)]), START, |_| result(5, 0));
    assert_eq!(grows, Err(ErrorCode::FetchSessionIdNotFound));
    assert_eq!(sessions.locked().counts(), (1, 3));
}

/// A client that keeps what it was told: at each step some partitions change at the broker, and some in what the client wants.
#[derive(Clone, Debug)]
struct Step {
    moved: Vec<(u8, bool)>,
    wants: Vec<u8>,
    forgets: Vec<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let few = || proptest::collection::vec(0_u8..6, 0..4);
    let moved = proptest::collection::vec((0_u8..6, any::<bool>()), 0..4);
    let step = (moved, few(), few());
    let step = step.prop_map(|(moved, wants, forgets)| Step { moved, wants, forgets });
    proptest::collection::vec(step, 1..20)
}

proptest! {
    #[test]
    fn a_client_of_a_session_knows_what_whole_fetches_would_tell(steps in steps()) {
        let sessions = sessions(1);
        let mut broker: BTreeMap<i32, (i64, usize)> = BTreeMap::new();
        let mut known: BTreeMap<i32, i64> = BTreeMap::from([(0, 5)]);
        let id = begin(&sessions, 1, START);
        broker.insert(0, (5, 0));
        for (epoch, step) in (1..).zip(steps) {
            broker.values_mut().for_each(|(_, bytes)| *bytes = 0);
            for (partition, has_records) in step.moved {
                let state = broker.entry(i32::from(partition)).or_default();
                *state = (state.0 + 1, usize::from(has_records));
            }
            let wants: Vec<_> = step.wants.iter().map(|p| (i32::from(*p), 0)).collect();
            let forgotten: Vec<_> = step.forgets.iter().map(|p| i32::from(*p)).collect();
            let mut request = request((id, epoch), &wants);
            request.forgotten_topics_data =
                vec![ForgottenTopic { topic: "t".into(), partitions: forgotten.clone(), ..Default::default() }];
            wants.iter().for_each(|(partition, _)| _ = known.entry(*partition).or_insert(-1));
            known.retain(|partition, _| !forgotten.contains(partition));
            let state = |partition: i32| broker.get(&partition).copied().unwrap_or_default();
            let answer = |partition| result(state(partition).0, state(partition).1);
            let (told_id, asked, shown) = exchange(&sessions, request, START, answer).unwrap();
            let mut asked: Vec<_> = asked.into_iter().map(|(partition, _)| partition).collect();
            asked.sort_unstable();
            prop_assert_eq!(asked, known.keys().copied().collect::<Vec<_>>());
            shown.iter().for_each(|partition| _ = known.insert(*partition, state(*partition).0));
            for (partition, high_watermark) in &known {
                prop_assert_eq!(*high_watermark, state(*partition).0);
                let has_records = state(*partition).1 > 0;
                prop_assert!(!has_records || shown.contains(partition));
            }
            if told_id == 0 {
                break;
            }
        }
    }
}
