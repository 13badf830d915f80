//! What a gateway's log says of topics that could not be created automatically.

use std::sync::{Arc, Mutex};

use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use ottla_metadata::Command;
use ottla_types::NodeId;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::cluster::Cluster;

/// The warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0.lock().unwrap().push(message.0);
        }
    }
}

fn ask_for(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: true,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_refused_automatic_creation_is_one_warning_with_its_reason() {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    assert_eq!(client.ask(12, &ask_for("good")).await.topics[0].error_code, 0);
    let node = NodeId(1);
    let fence = Command::BrokerHeartbeat {
        node,
        broker_epoch: cluster.controller.image().brokers[&node].epoch,
        caught_up_to: cluster.controller.image().offset,
        want_fence: true,
        want_shutdown: false,
    };
    cluster.controller.command(fence);
    cluster.known().await;
    for _ in 0..3 {
        assert_ne!(client.ask(12, &ask_for("bad")).await.topics[0].error_code, 0);
    }
    let warnings = warnings.0.lock().unwrap();
    let about: Vec<_> = warnings.iter().filter(|line| line.contains("automatically")).collect();
    let [line] = &about[..] else { panic!("{warnings:?}") };
    assert!(
        line.starts_with(
            "the topic bad was not created automatically: INVALID_REPLICATION_FACTOR: "
        ),
        "{line}"
    );
}
