"""kafka-python, in the words of contract.py."""

import pathlib
import sys

import kafka
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.structs import OffsetAndMetadata

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from contract import PATIENCE_S, collect, lines_of, serve, tell

# Wire values of ListOffsets.
LATEST, EARLIEST = -1, -2


def at(command):
    return TopicPartition(command["topic"], command["partition"])


def with_admin(call):
    """An operation from `call(admin, command)`."""
    def operation(command):
        client = KafkaAdminClient(bootstrap_servers=command["bootstrap"].split(","))
        try:
            return call(client, command)
        finally:
            client.close()
    return operation


def quiet(call):
    """An admin operation whose result is of no interest beyond its error, which is raised."""
    return with_admin(lambda client, command: call(client, command) and None)


def produce(command):
    producer = KafkaProducer(
        bootstrap_servers=command["bootstrap"].split(","), acks="all", linger_ms=20, enable_idempotence=command["idempotent"],
        compression_type=None if command["codec"] == "none" else command["codec"])
    sent = [producer.send(command["topic"], value, key, partition=command["partition"])
            for key, value in lines_of(command["file"])]
    for future in sent:
        future.get(PATIENCE_S)
    producer.close()
    return {"count": len(sent)}


def consume(command):
    consumer = KafkaConsumer(bootstrap_servers=command["bootstrap"].split(","), enable_auto_commit=False)
    consumer.assign([at(command)])
    if command["offset"] == "beginning":
        consumer.seek_to_beginning(at(command))
    else:
        consumer.seek(at(command), command["offset"])
    collect(lambda: [(each.key, each.value) for each in consumer.poll(1000).get(at(command), [])], command["count"], command["file"])
    consumer.close()


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        tell(event="assigned", partitions=[])

    def on_partitions_assigned(self, assigned):
        tell(event="assigned", partitions=sorted(each.partition for each in assigned))


def member(command, commands):
    consumer = KafkaConsumer(
        bootstrap_servers=command["bootstrap"].split(","), group_id=command["group"], auto_offset_reset="earliest",
        enable_auto_commit=False, session_timeout_ms=command["session_ms"], heartbeat_interval_ms=500,
        group_instance_id=command["instance"])
    consumer.subscribe([command["topic"]], listener=Listener())
    while (told := commands.next()) != "close":
        if told == "commit":
            consumer.commit()
            tell(event="committed")
        for partition, records in consumer.poll(100).items():
            for record in records:
                tell(event="record", partition=partition.partition, offset=record.offset)
    consumer.close(autocommit=False)


def topic_create(client, command):
    client.create_topics({command["topic"]: {
        "num_partitions": command["partitions"], "replication_factor": 1, "configs": command["configs"]}})


def configs_describe(client, command):
    resource = ConfigResource(ConfigResourceType.TOPIC, command["topic"])
    described = client.describe_configs([resource], config_filter="all")["topic"][command["topic"]]
    return {"configs": {name: entry["value"] for name, entry in described.items()}}


def configs_alter(client, command):
    return client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, command["topic"], {command["key"]: command["value"]})])


def offsets_list(client, command):
    listed = {name: client.list_partition_offsets({at(command): spec}) for name, spec in
              (("earliest", EARLIEST), ("latest", LATEST))}
    return {name: found[at(command)].offset for name, found in listed.items()}


def group_describe(client, command):
    group = client.describe_groups([command["group"]])[command["group"]]
    return {"state": str(group["group_state"]), "members": len(group["members"])}


def group_offsets(client, command):
    offsets = client.list_group_offsets({command["group"]: None})[command["group"]]
    return {"offsets": {each.partition: found.offset for each, found in offsets.items() if each.topic == command["topic"]}}


def group_offsets_alter(client, command):
    results = client.alter_group_offsets(command["group"], {at(command): OffsetAndMetadata(command["offset"], "", -1)})
    for error in results.values():
        if error.errno:
            raise error()


serve({
    # Its heartbeats stop without a word when it is fenced; a commit tells.
    "version": lambda _: {"version": f"kafka-python {kafka.__version__}", "fence_is_told": "commit"},
    "produce": produce,
    "consume": consume,
    "topic-create": with_admin(topic_create),
    "topic-list": with_admin(lambda client, _: {"topics": client.list_topics()}),
    "topic-describe": with_admin(lambda client, command: {
        "partitions": len(client.describe_topics([command["topic"]])[0]["partitions"])}),
    "topic-delete": quiet(lambda client, command: client.delete_topics([command["topic"]])),
    "partitions-create": quiet(lambda client, command: client.create_partitions({command["topic"]: command["total"]})),
    "configs-describe": with_admin(configs_describe),
    "configs-alter": quiet(configs_alter),
    "offsets-list": with_admin(offsets_list),
    "groups-list": with_admin(lambda client, _: {"groups": [group["group_id"] for group in client.list_groups()]}),
    "group-describe": with_admin(group_describe),
    "group-delete": quiet(lambda client, command: client.delete_groups([command["group"]])),
    "group-offsets": with_admin(group_offsets),
    "group-offsets-alter": with_admin(group_offsets_alter),
    "records-delete": quiet(lambda client, command: client.delete_records({at(command): command["offset"]})),
}, member)
