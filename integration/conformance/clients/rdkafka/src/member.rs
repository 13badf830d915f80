//! A member of a group, which tells what happens to it and does as it is told.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::{ClientContext, Message};
use serde_json::json;

use crate::contract::{Command, tell};

/// The partitions it has now.
#[derive(Default)]
struct Share {
    assigned: Mutex<BTreeSet<i32>>,
}

impl ClientContext for Share {}

impl ConsumerContext for Share {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let mut assigned = self.assigned.lock().expect("no holder panics");
        match rebalance {
            Rebalance::Assign(list) => {
                assigned.extend(list.elements().iter().map(|each| each.partition()))
            }
            Rebalance::Revoke(list) => list.elements().iter().for_each(|each| {
                assigned.remove(&each.partition());
            }),
            Rebalance::Error(error) => {
                return tell(json!({ "event": "error", "error": error.to_string() }));
            }
        }
        tell(json!({ "event": "assigned", "partitions": *assigned }));
    }
}

pub fn run(command: &Command, told: &Receiver<String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = command.config();
    config
        .set("group.id", command.text("group"))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", command.number("session_ms").to_string())
        .set("heartbeat.interval.ms", "500");
    if let Some(instance) = command.maybe_text("instance") {
        config.set("group.instance.id", instance);
    }
    let consumer: BaseConsumer<Share> = config.create_with_context(Share::default())?;
    consumer.subscribe(&[command.text("topic")])?;
    loop {
        match told.try_recv().as_deref() {
            // Dropping the consumer leaves the group.
            Ok("close") => return Ok(()),
            Ok("commit") => {
                consumer.commit_consumer_state(CommitMode::Sync)?;
                tell(json!({ "event": "committed" }));
            }
            _ => {}
        }
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message?;
            tell(
                json!({ "event": "record", "partition": message.partition(), "offset": message.offset() }),
            );
        }
    }
}
