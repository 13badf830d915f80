//! What the log of the active controller says of storage nodes.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use ottla_metadata::Command;
use ottla_types::{BrokerEpoch, MetadataOffset};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::cluster::{Cluster, STORAGE_NODE, register, simulate};

/// Lines about storage nodes, each after its level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").unwrap();
        }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        if message.0.contains("storage node") {
            let line = format!("{} {}", event.metadata().level(), message.0);
            self.0.lock().unwrap().push(line);
        }
    }
}

fn lines_of(test: impl AsyncFnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::with_default(subscriber, || simulate(test()));
    let lines = lines.0.lock().unwrap();
    lines.clone()
}

fn heartbeat(broker_epoch: BrokerEpoch, want_fence: bool, want_shutdown: bool) -> Command {
    let caught_up_to = MetadataOffset(u64::MAX / 2);
    let node = STORAGE_NODE;
    Command::BrokerHeartbeat { node, broker_epoch, caught_up_to, want_fence, want_shutdown }
}

const REGISTERED: &str =
    "INFO storage node 100 registered at s:9094, fenced until it has caught up";

#[test]
fn each_fencing_is_one_warning_of_the_quorum_with_its_cause_and_what_it_cost() {
    let lines = lines_of(async || {
        let cluster = Cluster::start(3, 1);
        let epoch = cluster.live_storage_node().await;
        cluster.create_topic("t").await;
        cluster.must(heartbeat(epoch, true, false)).await;
        cluster.must(heartbeat(epoch, false, false)).await;
        cluster.must(heartbeat(epoch, false, true)).await;
        cluster.must(register(STORAGE_NODE, 2)).await;
        cluster.agreed_hash().await;
    });
    let back = |count| {
        format!(
            "INFO storage node 100 takes part: it caught up with its registration; \
             partitions that have a leader again: {count}"
        )
    };
    let fenced = |why| {
        format!(
            "WARN storage node 100 was fenced: {why}; \
             partitions that lost their leader: 3, of them without any now: 3"
        )
    };
    let expected = [
        REGISTERED.to_owned(),
        back(0),
        fenced("it asked for it"),
        back(3),
        fenced("it shut down in order"),
        REGISTERED.to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_member_that_starts_again_does_not_tell_old_news() {
    let lines = lines_of(async || {
        let mut cluster = Cluster::start(1, 1);
        let epoch = cluster.live_storage_node().await;
        cluster.must(heartbeat(epoch, true, false)).await;
        let me = cluster.leader().await;
        cluster.members[&me].stop().await;
        cluster.members[&me].ended().await.unwrap();
        cluster.start_member(me).unwrap();
        cluster.leader().await;
    });
    assert_eq!(lines.len(), 3, "{lines:?}");
}
