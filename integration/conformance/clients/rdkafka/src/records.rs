//! Lines of a file into a partition, and back.

use std::sync::Mutex;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use serde_json::json;

use crate::contract::{Answer, Command, PATIENCE};

/// Keeps the first failed delivery.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.failed.lock().expect("no holder panics").get_or_insert(error.clone());
        }
    }
}

pub fn produce(command: &Command) -> Answer {
    let input = std::fs::read(command.text("file"))?;
    let mut config = command.config();
    config
        .set("compression.type", command.text("codec"))
        .set("acks", "all")
        .set("linger.ms", "20")
        .set("enable.idempotence", command.truth("idempotent").to_string());
    let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries::default())?;
    let mut count = 0;
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let tab = line.iter().position(|byte| *byte == b'\t').ok_or("a line has no tab")?;
        send(&producer, command, &line[..tab], &line[tab + 1..line.len() - 1])?;
        count += 1;
    }
    producer.flush(PATIENCE)?;
    match producer.context().failed.lock().expect("no holder panics").take() {
        Some(error) => Err(error.into()),
        None => Ok(json!({ "count": count })),
    }
}

fn send(
    producer: &BaseProducer<Deliveries>,
    command: &Command,
    key: &[u8],
    value: &[u8],
) -> Result<(), KafkaError> {
    let mut record = BaseRecord::to(command.text("topic"))
        .partition(command.partition())
        .key(key)
        .payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(PATIENCE);
                record = again;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

pub fn consume(command: &Command) -> Answer {
    let mut config = command.config();
    config.set("group.id", "none").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create()?;
    let mut from = TopicPartitionList::new();
    let offset = command.maybe_number("offset").map_or(Offset::Beginning, Offset::Offset);
    from.add_partition_offset(command.text("topic"), command.partition(), offset)?;
    consumer.assign(&from)?;
    let (mut lines, count, start) = (Vec::new(), command.number("count"), Instant::now());
    for seen in 0..count {
        let left = PATIENCE.saturating_sub(start.elapsed());
        let Some(message) = consumer.poll(left) else {
            return Err(format!("{seen} of {count} records after {PATIENCE:?}").into());
        };
        let message = message?;
        lines.extend_from_slice(message.key().unwrap_or_default());
        lines.push(b'\t');
        lines.extend_from_slice(message.payload().unwrap_or_default());
        lines.push(b'\n');
    }
    std::fs::write(command.text("file"), lines)?;
    Ok(json!({}))
}
