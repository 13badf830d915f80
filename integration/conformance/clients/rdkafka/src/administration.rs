//! The admin operations: those of the crate's admin client, and what a consumer can ask about groups.

use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Map, Value, json};

use crate::contract::{Answer, Command, PATIENCE};

type Admin = AdminClient<DefaultClientContext>;

pub fn run(command: &Command) -> Answer {
    match command.text("op") {
        "topic-create" => topic_create(command),
        "topic-list" => topic_list(command),
        "topic-describe" => topic_describe(command),
        "topic-delete" => {
            let deleted =
                block_on(admin(command)?.delete_topics(&[command.text("topic")], &options()))?;
            only(deleted)
        }
        "partitions-create" => {
            let wanted =
                NewPartitions::new(command.text("topic"), command.number("total").try_into()?);
            only(block_on(admin(command)?.create_partitions(&[wanted], &options()))?)
        }
        "configs-describe" => configs_describe(command),
        "configs-alter" => {
            let topic = ResourceSpecifier::Topic(command.text("topic"));
            let change = AlterConfig::new(topic).set(command.text("key"), command.text("value"));
            let altered = block_on(admin(command)?.alter_configs(&[change], &options()))?;
            only(
                altered
                    .into_iter()
                    .map(|each| each.map_err(|(whose, code)| (format!("{whose:?}"), code))),
            )
        }
        "offsets-list" => {
            let (earliest, latest) = consumer(command, "none")?.fetch_watermarks(
                command.text("topic"),
                command.partition(),
                PATIENCE,
            )?;
            Ok(json!({ "earliest": earliest, "latest": latest }))
        }
        "records-delete" => records_delete(command),
        _ => of_groups(command),
    }
}

fn of_groups(command: &Command) -> Answer {
    match command.text("op") {
        "groups-list" => {
            let listed = consumer(command, "none")?.fetch_group_list(None, PATIENCE)?;
            let names: Vec<_> =
                listed.groups().iter().map(|group| group.name().to_owned()).collect();
            Ok(json!({ "groups": names }))
        }
        "group-describe" => {
            let listed = consumer(command, "none")?
                .fetch_group_list(Some(command.text("group")), PATIENCE)?;
            let group = listed.groups().first().ok_or("the group is not told of")?;
            Ok(json!({ "state": group.state(), "members": group.members().len() }))
        }
        "group-delete" => {
            only(block_on(admin(command)?.delete_groups(&[command.text("group")], &options()))?)
        }
        "group-offsets" => group_offsets(command),
        "group-offsets-alter" => {
            let to = at(command, Offset::Offset(command.number("offset")))?;
            consumer(command, command.text("group"))?.commit(&to, CommitMode::Sync)?;
            Ok(json!({}))
        }
        other => Err(format!("no operation {other}").into()),
    }
}

fn admin(command: &Command) -> Result<Admin, Box<dyn std::error::Error>> {
    Ok(command.config().create()?)
}

fn consumer(command: &Command, group: &str) -> Result<BaseConsumer, Box<dyn std::error::Error>> {
    Ok(command.config().set("group.id", group).set("enable.auto.commit", "false").create()?)
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// The one result of a call.
fn only<T>(results: impl IntoIterator<Item = Result<T, (String, RDKafkaErrorCode)>>) -> Answer {
    match results.into_iter().next().ok_or("the answer is empty")? {
        Ok(_) => Ok(json!({})),
        Err((name, code)) => Err(format!("{name}: {code:?}: {code}").into()),
    }
}

fn at(command: &Command, offset: Offset) -> Result<TopicPartitionList, Box<dyn std::error::Error>> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(command.text("topic"), command.partition(), offset)?;
    Ok(list)
}

fn topic_create(command: &Command) -> Answer {
    let partitions = command.number("partitions").try_into()?;
    let mut topic = NewTopic::new(command.text("topic"), partitions, TopicReplication::Fixed(1));
    for (key, value) in command.configs() {
        topic = topic.set(key, value);
    }
    only(block_on(admin(command)?.create_topics(&[topic], &options()))?)
}

fn topic_list(command: &Command) -> Answer {
    let metadata = consumer(command, "none")?.fetch_metadata(None, PATIENCE)?;
    let names: Vec<_> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    Ok(json!({ "topics": names }))
}

fn topic_describe(command: &Command) -> Answer {
    let metadata =
        consumer(command, "none")?.fetch_metadata(Some(command.text("topic")), PATIENCE)?;
    let topic = metadata.topics().first().ok_or("the topic is not told of")?;
    match topic.error() {
        Some(error) => Err(format!("{:?}", RDKafkaErrorCode::from(error)).into()),
        None => Ok(json!({ "partitions": topic.partitions().len() })),
    }
}

fn configs_describe(command: &Command) -> Answer {
    let topic = ResourceSpecifier::Topic(command.text("topic"));
    let described = block_on(admin(command)?.describe_configs(&[topic], &options()))?;
    let resource = described.into_iter().next().ok_or("the answer is empty")??;
    let configs: Map<String, Value> =
        resource.entries.into_iter().map(|entry| (entry.name, entry.value.into())).collect();
    Ok(json!({ "configs": configs }))
}

fn records_delete(command: &Command) -> Answer {
    let before = at(command, Offset::Offset(command.number("offset")))?;
    let deleted = block_on(admin(command)?.delete_records(&before, &options()))?;
    for each in deleted.elements() {
        each.error()?;
    }
    Ok(json!({}))
}

/// The committed offsets of all partitions of the topic: the crate wants them named.
fn group_offsets(command: &Command) -> Answer {
    let consumer = consumer(command, command.text("group"))?;
    let topic = command.text("topic");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut wanted = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        wanted.add_partition(topic, partition.id());
    }
    let committed = consumer.committed_offsets(wanted, PATIENCE)?;
    let mut offsets = Map::new();
    for each in committed.elements() {
        each.error()?;
        if let Offset::Offset(offset) = each.offset() {
            offsets.insert(each.partition().to_string(), offset.into());
        }
    }
    Ok(json!({ "offsets": offsets }))
}
