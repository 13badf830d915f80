//! The follower against a controller that a test feeds.

use async_trait::async_trait;
use futures::stream::BoxStream;
use ottla_metadata::event::{Assignment, Event};
use ottla_metadata::{Command, command};
use ottla_types::{ClusterId, NodeId, TimestampMs, TopicId, Uuid};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::context::RequestContext;
use crate::controller::{HistoryPage, HistoryQuery, QuorumStatus, Submitted};

type Feed = mpsc::Sender<Result<MetadataUpdate, CallError>>;

/// Hands each caller of `watch_metadata` to the test: the offset asked for, and the sending end of the stream.
struct FedController(mpsc::Sender<(MetadataOffset, Feed)>);

#[async_trait]
impl Controller for FedController {
    async fn submit(&self, _: RequestContext, _: Command) -> Result<Submitted, CallError> {
        Ok(Submitted { reply: command::Reply::Done, offset: MetadataOffset(0) })
    }

    async fn watch_metadata(
        &self,
        from: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError> {
        let (feed, updates) = mpsc::channel(16);
        self.0.send((from, feed)).await.map_err(|_| CallError::Stopping)?;
        Ok(Box::pin(ReceiverStream::new(updates)))
    }

    async fn quorum_status(&self) -> Result<QuorumStatus, CallError> {
        Err(CallError::Stopping)
    }

    async fn history(&self, _: HistoryQuery) -> Result<HistoryPage, CallError> {
        Err(CallError::Stopping)
    }
}

fn follower() -> (MetadataFollower, mpsc::Receiver<(MetadataOffset, Feed)>) {
    let (asked, asks) = mpsc::channel(4);
    (MetadataFollower::start(Arc::new(FedController(asked)), &Seams::real()), asks)
}

fn topic_id(number: u128) -> TopicId {
    TopicId(Uuid::from_bytes(number.to_be_bytes()))
}

fn formatted() -> Event {
    Event::ClusterFormatted { cluster_id: ClusterId::new("c") }
}

fn created(number: u128) -> Event {
    Event::TopicCreated {
        id: topic_id(number),
        name: format!("topic-{number}"),
        configs: vec![],
        assignments: vec![Assignment { replicas: vec![NodeId(1)], isr: vec![NodeId(1)] }],
        at: TimestampMs(0),
    }
}

fn events(first: u64, events: Vec<Event>) -> Result<MetadataUpdate, CallError> {
    Ok(MetadataUpdate::Events { first: MetadataOffset(first), events })
}

#[tokio::test]
async fn a_slow_subscriber_gets_the_newest_image_and_everything_that_was_touched() {
    let (follower, mut asks) = follower();
    let mut subscription = follower.subscribe();
    let (_, feed) = asks.recv().await.unwrap();
    feed.send(events(1, vec![formatted(), created(1)])).await.unwrap();
    feed.send(events(3, vec![created(2)])).await.unwrap();
    feed.send(events(4, vec![Event::TopicDeleted { id: topic_id(1), at: TimestampMs(0) }]))
        .await
        .unwrap();
    follower.wait_for(MetadataOffset(4)).await.unwrap();
    let (image, changes) = subscription.next().await.unwrap();
    assert_eq!(image.offset, MetadataOffset(4));
    assert_eq!(changes.topics.into_iter().collect::<Vec<_>>(), [topic_id(2)]);
    assert_eq!(changes.deleted_topics.into_keys().collect::<Vec<_>>(), [topic_id(1)]);
}

#[tokio::test]
async fn a_new_subscriber_is_told_of_everything_that_exists() {
    let (follower, mut asks) = follower();
    let (_, feed) = asks.recv().await.unwrap();
    feed.send(events(1, vec![formatted(), created(1)])).await.unwrap();
    follower.wait_for(MetadataOffset(2)).await.unwrap();
    let (_, changes) = follower.subscribe().next().await.unwrap();
    assert_eq!(changes.topics.len(), 1);
}

#[tokio::test]
async fn after_a_broken_stream_following_goes_on_from_the_last_offset_seen() {
    let (follower, mut asks) = follower();
    let (from, feed) = asks.recv().await.unwrap();
    assert_eq!(from, MetadataOffset(0));
    feed.send(events(1, vec![formatted(), created(1)])).await.unwrap();
    follower.wait_for(MetadataOffset(2)).await.unwrap();
    feed.send(Err(CallError::Stopping)).await.unwrap();
    let (from, feed) = asks.recv().await.unwrap();
    assert_eq!(from, MetadataOffset(2));
    // Events that are known already are not replayed again.
    feed.send(events(2, vec![created(1), created(2)])).await.unwrap();
    let image = follower.wait_for(MetadataOffset(3)).await.unwrap();
    assert_eq!((image.offset, image.topics.len()), (MetadataOffset(3), 2));
}

#[tokio::test]
async fn events_behind_a_gap_are_not_replayed() {
    let (follower, mut asks) = follower();
    let (_, feed) = asks.recv().await.unwrap();
    feed.send(events(2, vec![created(1)])).await.unwrap();
    let (from, _) = asks.recv().await.unwrap();
    assert_eq!((from, follower.offset()), (MetadataOffset(0), MetadataOffset(0)));
}

#[tokio::test]
async fn a_snapshot_is_told_as_the_difference_to_what_was_there() {
    let (follower, mut asks) = follower();
    let mut subscription = follower.subscribe();
    let (_, feed) = asks.recv().await.unwrap();
    feed.send(events(1, vec![formatted(), created(1), created(2)])).await.unwrap();
    subscription.next().await.unwrap();
    let mut image = Image::clone(&follower.image());
    let mut changes = Changes::default();
    image.replay(&Event::TopicDeleted { id: topic_id(1), at: TimestampMs(0) }, &mut changes);
    image.replay(&created(3), &mut changes);
    feed.send(Ok(MetadataUpdate::Snapshot(Arc::new(image)))).await.unwrap();
    let (_, changes) = subscription.next().await.unwrap();
    assert_eq!(changes.topics.into_iter().collect::<Vec<_>>(), [topic_id(3)]);
    assert_eq!(changes.deleted_topics.into_keys().collect::<Vec<_>>(), [topic_id(1)]);
}

#[tokio::test]
async fn an_image_that_differs_from_the_controllers_ends_following() {
    let (follower, mut asks) = follower();
    let mut subscription = follower.subscribe();
    let (_, feed) = asks.recv().await.unwrap();
    feed.send(events(1, vec![formatted(), Event::StateHash { hash: 0 }])).await.unwrap();
    follower.stopped().await;
    assert!(subscription.next().await.is_none());
    assert_eq!(follower.wait_for(MetadataOffset(1)).await, Err(FollowerStopped));
}

/// An image of a cluster, or of none, with this many topics of its own, one event each.
fn image_of(cluster: Option<&str>, topics: u128) -> Image {
    let (mut image, mut changes) = (Image::default(), Changes::default());
    for number in 1..=topics {
        image.replay(&created(100 + number), &mut changes);
    }
    image.cluster_id = cluster.map(ClusterId::new);
    image
}

#[tokio::test]
async fn an_image_of_another_cluster_is_refused_and_nothing_is_told_of_it() {
    let (follower, mut asks) = follower();
    let mut subscription = follower.subscribe();
    let (_, feed) = asks.recv().await.unwrap();
    feed.send(events(1, vec![formatted(), created(1)])).await.unwrap();
    subscription.next().await.unwrap();
    let offers = [
        MetadataUpdate::Snapshot(Arc::new(image_of(Some("other"), 9))),
        MetadataUpdate::Snapshot(Arc::new(image_of(None, 9))),
        MetadataUpdate::Events {
            first: MetadataOffset(1),
            events: vec![
                Event::ClusterFormatted { cluster_id: ClusterId::new("other") },
                created(7),
                created(8),
            ],
        },
    ];
    let mut feed = feed;
    for offer in offers {
        feed.send(Ok(offer)).await.unwrap();
        // It asks again, from where it is.
        let asked = tokio::select! {
            asked = asks.recv() => asked,
            told = subscription.next() => panic!("told of {:?}", told.map(|(_, changes)| changes)),
        };
        let (from, next) = asked.unwrap();
        assert_eq!((from, follower.offset()), (MetadataOffset(2), MetadataOffset(2)));
        feed = next;
    }
    assert!(follower.image().topics.contains_key(&topic_id(1)));
    // What its own cluster says next is followed, and is all that the subscriber hears.
    feed.send(events(3, vec![created(2)])).await.unwrap();
    let (_, changes) = subscription.next().await.unwrap();
    assert_eq!(changes.topics.into_iter().collect::<Vec<_>>(), [topic_id(2)]);
    assert!(changes.deleted_topics.is_empty());
}

#[test]
fn the_refusal_names_both_clusters_and_the_cure() {
    let own = image_of(Some("c"), 1);
    let update = MetadataUpdate::Snapshot(Arc::new(image_of(Some("other"), 1)));
    let text = check_cluster(&own, &update).unwrap_err().to_string();
    assert!(text.contains("belong to cluster other, and this process to cluster c"), "{text}");
    assert!(text.contains("controller.quorum.bootstrap.servers"), "{text}");
    assert!(check_cluster(&Image::default(), &update).is_ok(), "an empty image follows any");
}
