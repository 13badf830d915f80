//! Metadata arrive as they were said, and whose stream breaks is told.

use std::sync::Arc;

use futures::StreamExt;
use ottla_metadata::{Changes, Command, Event, Image};
use ottla_types::{BrokerEpoch, ClusterId, MetadataOffset, NodeId};

use super::Quorum;
use crate::controller::{Controller, MetadataUpdate};

fn event(text: &str) -> Event {
    Event::ClusterFormatted { cluster_id: ClusterId::new(text) }
}

#[tokio::test]
async fn snapshots_events_and_signs_of_life_arrive() {
    let quorum = Quorum::new(1).await;
    let mut stream = quorum.client(&[1], true).watch_metadata(MetadataOffset(4)).await.unwrap();
    let fake = quorum.fake(1);
    assert_eq!(*fake.watched.borrow(), [4]);

    let mut image = Image::default();
    image.replay(&event(&"x".repeat(3 << 20)), &mut Changes::default());
    fake.say(Some(MetadataUpdate::Snapshot(Arc::new(image.clone()))));
    let Some(Ok(MetadataUpdate::Snapshot(arrived))) = stream.next().await else { panic!("image") };
    assert!(*arrived == image);

    let events = vec![event("a"), event("b")];
    let first = MetadataOffset(10);
    fake.say(Some(MetadataUpdate::Events { first, events: events.clone() }));
    let Some(Ok(MetadataUpdate::Events { first: at, events: arrived })) = stream.next().await
    else {
        panic!("events")
    };
    assert_eq!((at, arrived), (first, events));

    fake.say(Some(MetadataUpdate::Heartbeat(MetadataOffset(11))));
    let Some(Ok(MetadataUpdate::Heartbeat(beat))) = stream.next().await else { panic!("beat") };
    assert_eq!(beat.0, 11);
    fake.say(None);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_broken_stream_of_a_registered_node_is_reported() {
    let quorum = Quorum::new(1).await;
    let client = quorum.client(&[1], true);
    client.identify(NodeId(5), BrokerEpoch(77));
    let mut stream = client.watch_metadata(MetadataOffset(0)).await.unwrap();
    quorum.members[0].loopback.cut();
    assert!(matches!(stream.next().await, Some(Err(_))));
    let mut begun = quorum.fake(1).begun.subscribe();
    let begun = begun.wait_for(|begun| !begun.is_empty()).await.unwrap();
    let broken = Command::ControlStreamBroken { node: NodeId(5), broker_epoch: BrokerEpoch(77) };
    assert_eq!(*begun, [broken]);
}

#[tokio::test]
async fn a_stream_that_the_member_ends_is_not_reported() {
    let quorum = Quorum::new(1).await;
    let client = quorum.client(&[1], true);
    client.identify(NodeId(5), BrokerEpoch(77));
    let mut stream = client.watch_metadata(MetadataOffset(0)).await.unwrap();
    quorum.fake(1).say(None);
    assert!(stream.next().await.is_none());
    let mut stream = client.watch_metadata(MetadataOffset(0)).await.unwrap();
    quorum.members[0].server.drain();
    assert!(stream.next().await.is_none());
    assert!(client.watch_metadata(MetadataOffset(0)).await.is_err(), "it drains");
    // Whatever the ends would have reported comes before this.
    quorum.activate(1);
    client.submit(super::patient(), Command::Tick).await.unwrap();
    assert_eq!(*quorum.fake(1).begun.borrow(), [Command::Tick]);
}

#[tokio::test]
async fn naming_the_watcher_ends_the_nameless_stream() {
    let quorum = Quorum::new(1).await;
    let client = quorum.client(&[1], true);
    let mut stream = client.watch_metadata(MetadataOffset(0)).await.unwrap();
    client.identify(NodeId(5), BrokerEpoch(77));
    assert!(stream.next().await.is_none());
}
