"""confluent-kafka for Python, in the words of contract.py."""

import pathlib
import sys

import confluent_kafka
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from contract import PATIENCE_S, collect, lines_of, serve, tell

VERSION = f"confluent-kafka {confluent_kafka.__version__}, librdkafka {confluent_kafka.libversion()[0]}"


def admin(command):
    return AdminClient({"bootstrap.servers": command["bootstrap"]})


def done(command, call):
    """The one result of a call on an admin client, which lives until then."""
    client = admin(command)
    (future,) = call(client).values()
    return future.result(PATIENCE_S)


def produce(command):
    producer = Producer({
        "bootstrap.servers": command["bootstrap"], "compression.type": command["codec"], "acks": "all", "linger.ms": 20,
        "enable.idempotence": command["idempotent"]})
    failures, count = [], 0
    for count, (key, value) in enumerate(lines_of(command["file"]), 1):
        producer.produce(command["topic"], value, key, command["partition"],
                         on_delivery=lambda error, _: error and failures.append(str(error)))
    if left := producer.flush(PATIENCE_S):
        failures.append(f"{left} records are not acknowledged")
    if failures:
        raise RuntimeError(failures[0])
    return {"count": count}


def consume(command):
    consumer = Consumer({"bootstrap.servers": command["bootstrap"], "group.id": "none", "enable.auto.commit": False})
    offset = confluent_kafka.OFFSET_BEGINNING if command["offset"] == "beginning" else command["offset"]
    consumer.assign([TopicPartition(command["topic"], command["partition"], offset)])

    def poll():
        messages = consumer.consume(500, 1)
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
        return [(message.key(), message.value()) for message in messages]

    collect(poll, command["count"], command["file"])
    consumer.close()


def member(command, commands):
    options = {
        "bootstrap.servers": command["bootstrap"], "group.id": command["group"], "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": command["session_ms"], "heartbeat.interval.ms": 500}
    if command["instance"]:
        options["group.instance.id"] = command["instance"]
    consumer = Consumer(options)

    def assigned(_, partitions):
        tell(event="assigned", partitions=[each.partition for each in partitions])

    consumer.subscribe([command["topic"]], on_assign=assigned, on_revoke=lambda *_: tell(event="assigned", partitions=[]))
    while (told := commands.next()) != "close":
        if told == "commit":
            consumer.commit(asynchronous=False)
            tell(event="committed")
        message = consumer.poll(0.1)
        if message is not None and message.error():
            raise KafkaException(message.error())
        if message is not None:
            tell(event="record", partition=message.partition(), offset=message.offset())
    consumer.close()


def topic_create(command):
    topic = NewTopic(command["topic"], command["partitions"], 1, config=command["configs"])
    done(command, lambda client: client.create_topics([topic]))


def topic_describe(command):
    topic = admin(command).list_topics(command["topic"], timeout=PATIENCE_S).topics[command["topic"]]
    if topic.error:
        raise KafkaException(topic.error)
    return {"partitions": len(topic.partitions)}


def partitions_create(command):
    done(command, lambda client: client.create_partitions([NewPartitions(command["topic"], command["total"])]))


def configs_describe(command):
    entries = done(command, lambda client: client.describe_configs([ConfigResource(ResourceType.TOPIC, command["topic"])]))
    return {"configs": {name: entry.value for name, entry in entries.items()}}


def configs_alter(command):
    entry = ConfigEntry(command["key"], command["value"], incremental_operation=AlterConfigOpType.SET)
    done(command, lambda client: client.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, command["topic"], incremental_configs=[entry])]))


def offsets_list(command):
    at = TopicPartition(command["topic"], command["partition"])
    return {"earliest": done(command, lambda client: client.list_offsets({at: OffsetSpec.earliest()})).offset,
            "latest": done(command, lambda client: client.list_offsets({at: OffsetSpec.latest()})).offset}


def groups_list(command):
    client = admin(command)
    listed = client.list_consumer_groups().result(PATIENCE_S)
    if listed.errors:
        raise RuntimeError(str(listed.errors[0]))
    return {"groups": [group.group_id for group in listed.valid]}


def group_describe(command):
    group = done(command, lambda client: client.describe_consumer_groups([command["group"]]))
    return {"state": group.state.name, "members": len(group.members)}


def group_offsets(command):
    group = done(command, lambda client: client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(command["group"])]))
    return {"offsets": {each.partition: each.offset for each in group.topic_partitions if each.topic == command["topic"]}}


def group_offsets_alter(command):
    to = TopicPartition(command["topic"], command["partition"], command["offset"])
    group = done(command, lambda client: client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(command["group"], [to])]))
    for each in group.topic_partitions:
        if each.error:
            raise KafkaException(each.error)


def records_delete(command):
    done(command, lambda client: client.delete_records([TopicPartition(command["topic"], command["partition"], command["offset"])]))


serve({
    "version": lambda _: {"version": VERSION},
    "produce": produce,
    "consume": consume,
    "topic-create": topic_create,
    "topic-list": lambda command: {"topics": list(admin(command).list_topics(timeout=PATIENCE_S).topics)},
    "topic-describe": topic_describe,
    "topic-delete": lambda command: done(command, lambda client: client.delete_topics([command["topic"]])),
    "partitions-create": partitions_create,
    "configs-describe": configs_describe,
    "configs-alter": configs_alter,
    "offsets-list": offsets_list,
    "groups-list": groups_list,
    "group-describe": group_describe,
    "group-delete": lambda command: done(command, lambda client: client.delete_consumer_groups([command["group"]])),
    "group-offsets": group_offsets,
    "group-offsets-alter": group_offsets_alter,
    "records-delete": records_delete,
}, member)
