//! Both stores with the same events.

use std::io::IoSlice;
use std::sync::Arc;

use ottla_api::controller::HistoryQuery;
use ottla_metadata::event::{Assignment, BrokerRegistration, ElectionRules, Endpoint, FenceReason};
use ottla_metadata::{Event, Image};
use ottla_runtime::seams::{Disk, OpenMode, RealDisk};
use ottla_types::{
    BrokerEpoch, ClusterId, DirectoryId, IncarnationId, NodeId, TimestampMs, TopicId, Uuid,
};

use super::*;

/// A history of events with the image that they make.
#[derive(Default)]
struct Story {
    image: Image,
    applied: Vec<Applied>,
}

impl Story {
    fn tell(&mut self, event: Event) -> MetadataOffset {
        self.applied.push(Applied::replay(&mut self.image, event));
        self.image.offset
    }

    fn broker(&mut self, node: i32) -> BrokerEpoch {
        let registration = BrokerRegistration {
            node: NodeId(node),
            incarnation: IncarnationId(Uuid::from_random(node as u128)),
            rack: None,
            directories: vec![DirectoryId(Uuid::from_random(5))],
            storage_endpoint: Endpoint { host: "s".into(), port: 9094 },
        };
        let offset = self.tell(Event::BrokerRegistered(registration));
        let broker_epoch = BrokerEpoch(offset.0 as i64);
        let rules = ElectionRules(1);
        self.tell(Event::BrokerUnfenced { node: NodeId(node), broker_epoch, rules });
        broker_epoch
    }

    fn fence(&mut self, node: i32, broker_epoch: BrokerEpoch) -> MetadataOffset {
        let reason = FenceReason::SessionExpired { silent_ms: 9_001 };
        let (node, rules, at) = (NodeId(node), ElectionRules(1), TimestampMs(77));
        self.tell(Event::BrokerFenced { node, broker_epoch, reason, at, rules })
    }

    fn topic(&mut self, name: &str, partitions: usize) -> TopicId {
        let id = TopicId(Uuid::from_random(self.image.offset.0.into()));
        let replicas = vec![NodeId(1)];
        let assignment = Assignment { replicas: replicas.clone(), isr: replicas };
        self.tell(Event::TopicCreated {
            id,
            name: name.into(),
            configs: Vec::new(),
            assignments: vec![assignment; partitions],
            at: TimestampMs(5),
        });
        id
    }
}

fn on_both(test: impl Fn(&dyn StateStore)) {
    test(&MemoryStore::new());
    let dir = tempfile::tempdir().unwrap();
    test(&SledStore::open(&RealDisk, &dir.path().join("state")).unwrap());
}

fn names(page: TopicPage) -> Vec<String> {
    page.iter().map(|topic| topic.name.clone()).collect()
}

fn kinds(store: &dyn StateStore, query: HistoryQuery) -> Vec<String> {
    store.history(&query).unwrap().entries.into_iter().map(|entry| entry.kind).collect()
}

fn query() -> HistoryQuery {
    HistoryQuery { limit: 100, ..HistoryQuery::default() }
}

#[test]
fn topics_are_listed_by_name_in_pages_and_by_prefix() {
    on_both(|store| {
        let mut story = Story::default();
        story.broker(1);
        for name in ["b", "a", "ab", "a.b", "c"] {
            story.topic(name, 1);
        }
        store.apply(&story.applied).unwrap();
        assert_eq!(names(store.topics("", "", 10).unwrap()), ["a", "a.b", "ab", "b", "c"]);
        assert_eq!(names(store.topics("", "a.b", 2).unwrap()), ["ab", "b"]);
        assert_eq!(names(store.topics("a", "", 10).unwrap()), ["a", "a.b", "ab"]);
        assert_eq!(names(store.topics("a", "a", 10).unwrap()), ["a.b", "ab"]);
        assert_eq!(names(store.topics("d", "", 10).unwrap()), [""; 0]);
    });
}

#[test]
fn a_name_that_is_taken_again_belongs_to_the_new_topic() {
    on_both(|store| {
        let mut story = Story::default();
        story.broker(1);
        let old = story.topic("t", 1);
        store.apply(&story.applied).unwrap();
        story.applied.clear();
        story.tell(Event::TopicDeleted { id: old, at: TimestampMs(6) });
        let new = story.topic("t", 2);
        store.apply(&story.applied).unwrap();
        let page = store.topics("", "", 10).unwrap();
        assert_eq!((page.len(), page[0].id), (1, new));
        let history = kinds(store, HistoryQuery { topic: Some("t".into()), ..query() });
        assert_eq!(history, ["TOPIC_CREATED", "TOPIC_DELETED", "TOPIC_CREATED"]);
    });
}

#[test]
fn a_fencing_is_told_by_node_and_by_partition_with_its_evidence() {
    on_both(|store| {
        let mut story = Story::default();
        let epoch = story.broker(1);
        story.broker(2);
        story.topic("t", 2);
        let fenced = story.fence(1, epoch);
        store.apply(&story.applied).unwrap();
        let of_partition = HistoryQuery { topic: Some("t".into()), partition: Some(1), ..query() };
        let page = store.history(&of_partition).unwrap();
        let change = &page.entries[0];
        assert_eq!((change.kind.as_str(), change.offset), ("LEADER_CHANGED", fenced));
        assert!(change.detail.contains("1 -> nobody") && change.detail.contains("9001 ms"));
        assert_eq!(change.at, TimestampMs(77));
        let of_node = kinds(store, HistoryQuery { node: Some(NodeId(1)), ..query() });
        assert!(of_node.contains(&"BROKER_FENCED".to_owned()), "{of_node:?}");
        let of_other = kinds(store, HistoryQuery { node: Some(NodeId(2)), ..query() });
        assert_eq!(of_other, ["BROKER_UNFENCED", "BROKER_REGISTERED"]);
    });
}

#[test]
fn pages_of_history_end_between_offsets_and_leave_nothing_out() {
    on_both(|store| {
        let mut story = Story::default();
        for _ in 0..4 {
            let epoch = story.broker(1);
            if story.image.topics.is_empty() {
                story.topic("t", 3);
            }
            story.fence(1, epoch);
        }
        store.apply(&story.applied).unwrap();
        let all = store.history(&query()).unwrap();
        assert_eq!(all.next, None);
        let (mut paged, mut before) = (Vec::new(), None);
        loop {
            let page = store.history(&HistoryQuery { before, limit: 2, ..query() }).unwrap();
            paged.extend(page.entries);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(paged, all.entries);
    });
}

#[test]
fn the_history_is_bounded_and_the_oldest_goes_first() {
    let store = MemoryStore::new();
    let mut story = Story::default();
    for _ in 0..MAX_HISTORY_ENTRIES / 2 + 100 {
        story.broker(1);
        if story.applied.len() >= 5_000 {
            store.apply(&std::mem::take(&mut story.applied)).unwrap();
        }
    }
    store.apply(&story.applied).unwrap();
    let old = HistoryQuery { before: Some(MetadataOffset(300)), ..query() };
    let left = store.history(&old).unwrap().entries;
    assert_eq!(left.last().unwrap().offset, MetadataOffset(201));
}

#[test]
fn a_rebuild_replaces_lists_and_keeps_the_history_of_its_past() {
    on_both(|store| {
        let mut story = Story::default();
        story.broker(1);
        story.topic("old", 1);
        store.apply(&story.applied).unwrap();
        story.topic("new", 1);
        store.rebuild(&story.image).unwrap();
        assert_eq!(names(store.topics("", "", 10).unwrap()), ["new", "old"]);
        assert_eq!(kinds(store, query()).len(), 3);
        assert_eq!(store.mark().unwrap().unwrap().offset, story.image.offset);
        store.rebuild(&Image::default()).unwrap();
        assert_eq!(names(store.topics("", "", 10).unwrap()), [""; 0]);
        assert_eq!(kinds(store, query()), [""; 0]);
    });
}

#[test]
fn nodes_and_gateways_are_listed_by_id() {
    on_both(|store| {
        let mut story = Story::default();
        for node in [300, 2, 10] {
            story.broker(node);
        }
        store.apply(&story.applied).unwrap();
        let ids = |after: Option<i32>, limit| -> Vec<i32> {
            let page = store.brokers(after.map(NodeId), limit).unwrap();
            page.iter().map(|broker| broker.registration.node.0).collect()
        };
        assert_eq!(ids(None, 10), [2, 10, 300]);
        assert_eq!(ids(Some(2), 1), [10]);
        assert!(store.gateways(None, 10).unwrap().is_empty());
    });
}

#[test]
fn a_database_that_is_damaged_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let mut story = Story::default();
    story.broker(1);
    SledStore::open(&RealDisk, &path).unwrap().apply(&story.applied).unwrap();
    let conf = RealDisk.open(&path.join("conf"), OpenMode::ReadWrite).unwrap();
    conf.write_all_at(&[IoSlice::new(b"not what sled wrote")], 0).unwrap();
    let store = SledStore::open(&RealDisk, &path).unwrap();
    assert_eq!(store.mark().unwrap(), None);
    store.apply(&story.applied).unwrap();
}

/// Lets a writer work on what is queued, to the end.
async fn write_all(store: &Arc<MemoryStore>, queue: StoreQueue) {
    queue.close();
    StoreWriter::new(store.clone(), queue).run().await;
}

#[tokio::test]
async fn a_writer_goes_on_where_the_store_is_and_rebuilds_what_is_of_another_past() {
    let store = Arc::new(MemoryStore::new());
    let mut story = Story::default();
    story.tell(Event::ClusterFormatted { cluster_id: ClusterId::new("c") });
    let snapshot = story.image.clone();
    story.broker(1);
    story.topic("t", 1);
    // The first life.
    let queue = StoreQueue::new();
    queue.start_from(&Image::default());
    queue.push(story.applied.clone(), &story.image);
    write_all(&store, queue).await;
    // The second begins from a snapshot, and replays what the store has already.
    story.topic("u", 1);
    let queue = StoreQueue::new();
    queue.start_from(&snapshot);
    queue.push(story.applied[1..].to_vec(), &story.image);
    write_all(&store, queue).await;
    assert_eq!(names(store.topics("", "", 10).unwrap()), ["t", "u"]);
    assert_eq!(kinds(store.as_ref(), query()).len(), 4);
    // The third has another past behind the same snapshot.
    let mut other = Story { image: snapshot.clone(), applied: Vec::new() };
    for node in [2, 3, 4] {
        other.broker(node);
    }
    let queue = StoreQueue::new();
    queue.start_from(&snapshot);
    queue.push(other.applied.clone(), &other.image);
    write_all(&store, queue).await;
    assert_eq!(names(store.topics("", "", 10).unwrap()), [""; 0]);
    assert_eq!(store.mark().unwrap().unwrap().hash, other.image.hash());
}

#[tokio::test]
async fn a_gap_leads_to_a_rebuild() {
    let store = Arc::new(MemoryStore::new());
    let mut story = Story::default();
    story.broker(1);
    story.topic("t", 1);
    let queue = StoreQueue::new();
    queue.start_from(&Image::default());
    queue.push(story.applied[1..].to_vec(), &story.image);
    write_all(&store, queue).await;
    assert_eq!(names(store.topics("", "", 10).unwrap()), ["t"]);
    assert_eq!(store.brokers(None, 10).unwrap().len(), 1);
}
