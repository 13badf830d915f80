"""The rows of the table: what each client is put through, and what must hold then.

Each operation makes topics and groups of its own. Set-up and cross-checks go through the reference, confluent-kafka, so that a
client's two sides cannot agree on the same mistake.
"""

import filecmp
import glob
import itertools
import os
import random
import re
import struct
import time

from programs import Failed, Member, Session, Unsupported, wait_until

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
# Partitions of a topic that a group reads.
WIDTH = 6
# Session time-outs in ms: one that is not meant to run out, and one that is (Kafka's smallest by default).
LONG_MS, SHORT_MS = 30_000, 6_000
# Lines of the big input, and the length of its longest value in bytes.
LINES, LONGEST = 1_000, 300_000
# FENCED_INSTANCE_ID in the words of each client.
FENCED = re.compile("fenc|same group.instance.id", re.IGNORECASE)

numbers = itertools.count()


def make_input(path):
    """Lines of key, tab, value: text that shrinks, bytes that do not, one empty value, one large one."""
    chance = random.Random(4)
    words = [bytes(chance.choices(range(97, 123), k=8)) for _ in range(50)]
    plain = bytes(each for each in range(256) if each not in b"\n\t")
    with open(path, "wb") as file:
        for line in range(LINES):
            noise = bytes(chance.choices(plain, k=chance.randrange(40)))
            value = b" ".join(chance.choices(words, k=30)) + noise
            value = {500: b"", 700: value * (LONGEST // len(value))}.get(line, value)
            file.write(b"key-%d\t%s\n" % (line, value))


class Trial:
    """One client in front of one cluster, with the reference beside it."""

    def __init__(self, client, argv, reference_argv, place):
        self.client, self.argv, self.place = client, argv, place
        self.log = os.path.join(place.work, f"{client}.log")
        self.reference = Session(reference_argv, os.path.join(place.work, "reference.log"), place.bootstrap)
        self.reference_argv = reference_argv
        self.session = None
        self.members = []

    def ask(self, op, **fields):
        if self.session is None or not self.session.is_alive():
            self.session = Session(self.argv, self.log, self.place.bootstrap)
        return self.session.ask(op, **fields)

    def name(self):
        return f"{self.client}-{next(numbers)}"

    def file(self):
        return os.path.join(self.place.work, self.name())

    def topic(self, partitions=3, configs=None):
        name = self.name()
        self.reference.ask("topic-create", topic=name, partitions=partitions, configs=configs or {})
        return name

    def member(self, topic, group, session_ms=LONG_MS, instance=None, by_reference=False):
        member = Member(self.reference_argv if by_reference else self.argv, self.log, bootstrap=self.place.bootstrap,
                        topic=topic, group=group, session_ms=session_ms, instance=instance)
        self.members.append(member)
        return member

    def feed(self, topic, partition, count):
        """`count` small records by the reference."""
        path = self.file()
        with open(path, "wb") as file:
            for line in range(count):
                file.write(b"k\tv%d\n" % line)
        self.reference.ask("produce", topic=topic, partition=partition, codec="none", idempotent=False, file=path)

    def feed_all(self, topic, count):
        for partition in range(WIDTH):
            self.feed(topic, partition, count)

    def end_members(self):
        for member in self.members:
            member.kill()
        self.members = []

    def end(self):
        self.end_members()
        for session in (self.session, self.reference):
            if session is not None:
                session.kill()


def hold(condition, what):
    if not condition:
        raise Failed(what)


def batches(trial, topic, partition):
    """Codec and producer id of each batch in the partition's segments, wherever in the cluster they are."""
    segments = glob.glob(f"{trial.place.work}/**/{topic}-{partition}/*.log", recursive=True)
    hold(segments, f"no segment of {topic}-{partition} under {trial.place.work}")
    found = []
    for segment in segments:
        with open(segment, "rb") as file:
            while len(header := file.read(61)) == 61 and (length := struct.unpack(">i", header[8:12])[0]) > 0:
                found.append((CODECS[header[22] & 7], struct.unpack(">q", header[43:51])[0]))
                file.seek(length + 12 - 61, 1)
    return found


def in_and_out(trial, codec, idempotent):
    """The client's bytes come out at the client and at the reference, and the reference's at the client."""
    topic, source = trial.topic(), trial.place.input
    trial.ask("produce", topic=topic, partition=1, codec=codec, idempotent=idempotent, file=source)
    trial.reference.ask("produce", topic=topic, partition=2, codec=codec, idempotent=False, file=source)
    for reader, partition in ((trial.reference, 1), (trial, 1), (trial, 2)):
        output = trial.file()
        reader.ask("consume", topic=topic, partition=partition, offset="beginning", count=LINES, file=output)
        hold(filecmp.cmp(source, output, shallow=False), f"what was read from partition {partition} differs from what was written")
        os.remove(output)
    return batches(trial, topic, 1)


def produce_with(codec):
    def operation(trial):
        stored = {each for each, _ in in_and_out(trial, codec, idempotent=False)}
        hold(codec in stored, f"the batches are stored as {sorted(stored)}")
    return operation


def produce_idempotent(trial):
    stored = in_and_out(trial, "none", idempotent=True)
    hold(all(producer >= 0 for _, producer in stored), "a batch is stored without a producer id")


def consume_from_offset(trial):
    topic, output, tail = trial.topic(), trial.file(), trial.file()
    trial.reference.ask("produce", topic=topic, partition=2, codec="lz4", idempotent=False, file=trial.place.input)
    trial.ask("consume", topic=topic, partition=2, offset=650, count=LINES - 650, file=output)
    with open(trial.place.input, "rb") as whole, open(tail, "wb") as file:
        file.writelines(whole.readlines()[650:])
    hold(filecmp.cmp(tail, output, shallow=False), "what was read from offset 650 is not the input's end")


def balanced(*members):
    """Whether all members have partitions, no one the same, and together all."""
    for member in members:
        member.supported()
    shares = [member.assigned for member in members]
    return all(shares) and sum(map(len, shares)) == WIDTH == len(set().union(*shares))


def wait_balanced(*members):
    wait_until(lambda: balanced(*members), lambda: f"partitions shared: {[sorted(member.assigned) for member in members]}")


def wait_records(offsets, *members):
    """Waits until the members together have seen these offsets of every partition."""
    wanted = {(partition, offset) for partition in range(WIDTH) for offset in offsets}

    def missing():
        seen = {record for member in members for record in list(member.records)}
        return all(member.supported() for member in members) and wanted - seen
    wait_until(lambda: not missing(), lambda: f"{len(missing())} of {len(wanted)} records")


def two_members(trial, session_ms, instances=(None, None)):
    """A topic with 20 records a partition, all seen and committed by two members of a group."""
    topic, group = trial.topic(WIDTH), trial.name()
    first = trial.member(topic, group, session_ms, instances[0])
    wait_balanced(first)
    second = trial.member(topic, group, session_ms, instances[1])
    wait_balanced(first, second)
    trial.feed_all(topic, 20)
    wait_records(range(20), first, second)
    return topic, group, first, second


def group_joins_and_leaves(trial):
    topic, _, first, second = two_members(trial, LONG_MS)
    start = time.monotonic()
    second.close()
    wait_balanced(first)
    hold((time.monotonic() - start) * 1000 < LONG_MS * 0.8, "the partitions came only with the session time-out")
    trial.feed_all(topic, 5)
    wait_records(range(20, 25), first)


def group_survives_crash(trial):
    topic, _, first, second = two_members(trial, SHORT_MS)
    second.kill()
    wait_balanced(first)
    trial.feed_all(topic, 5)
    wait_records(range(20, 25), first)


def first_offsets(member):
    """The first offset that a member saw of each partition."""
    first = {}
    for partition, offset in list(member.records):
        first.setdefault(partition, offset)
    return set(first.values())


def resumes_after_close(trial):
    topic, group = trial.topic(WIDTH), trial.name()
    trial.feed_all(topic, 20)
    before = trial.member(topic, group)
    wait_records(range(20), before)
    try:
        before.commit()
    except Unsupported:
        # kcat: commits as it ends.
        before.told.clear()
    before.close()
    trial.feed_all(topic, 10)
    after = trial.member(topic, group)
    wait_records(range(20, 30), after)
    hold(first_offsets(after) == {20}, f"it began again at {first_offsets(after)}, not at 20")


def resumes_after_crash(trial):
    topic, group = trial.topic(WIDTH), trial.name()
    trial.feed_all(topic, 20)
    before = trial.member(topic, group, SHORT_MS)
    wait_records(range(20), before)
    before.commit()
    trial.feed_all(topic, 10)
    wait_records(range(20, 30), before)
    before.kill()
    after = trial.member(topic, group, SHORT_MS)
    wait_records(range(20, 30), after)
    hold(first_offsets(after) == {20}, f"it began again at {first_offsets(after)}, not at what was committed, 20")


def static_returns(trial):
    topic, group, first, second = two_members(trial, LONG_MS, ("one", "two"))
    share, assignments = set(second.assigned), first.assignments
    second.kill()
    again = trial.member(topic, group, LONG_MS, "two")
    wait_balanced(first, again)
    trial.feed_all(topic, 5)
    wait_records(range(20, 25), first, again)
    hold(again.assigned == share, f"it came back to {sorted(again.assigned)}, not to {sorted(share)}")
    hold(first.assignments == assignments, "the other member was rebalanced")


def static_is_fenced(trial):
    topic, group, first, second = two_members(trial, LONG_MS, ("one", "two"))
    share = set(second.assigned)
    twin = trial.member(topic, group, LONG_MS, "two")
    if trial.ask("version").get("fence_is_told") == "commit":
        wait_until(lambda: twin.supported() and twin.assigned == share, "the younger one has the older one's partitions")
        second.send(op="commit")
    error = second.error()
    hold(FENCED.search(error), f"the older of two with one id ended with “{error}”")
    wait_balanced(first, twin)
    trial.feed_all(topic, 5)
    wait_records(range(20, 25), first, twin)


def admin_topics(trial):
    topic = trial.name()
    listed = trial.topic()
    hold(listed in trial.ask("topic-list")["topics"], "a topic is not listed")
    hold(trial.ask("topic-describe", topic=listed)["partitions"] == 3, "a topic is not described with its 3 partitions")
    trial.ask("topic-create", topic=topic, partitions=4, configs={"retention.ms": "12345678"})
    hold(trial.reference.ask("topic-describe", topic=topic)["partitions"] == 4, "the topic has not 4 partitions")
    kept = trial.reference.ask("configs-describe", topic=topic)["configs"]["retention.ms"]
    hold(kept == "12345678", f"the topic has retention.ms={kept}")
    trial.ask("topic-delete", topic=topic)
    wait_until(lambda: topic not in trial.reference.ask("topic-list")["topics"], "the topic is gone")


def admin_partitions(trial):
    topic = trial.topic(2)
    trial.ask("partitions-create", topic=topic, total=5)
    wait_until(lambda: trial.reference.ask("topic-describe", topic=topic)["partitions"] == 5, "the topic has 5 partitions")


def admin_describe_configs(trial):
    topic = trial.topic(configs={"retention.ms": "12345678"})
    configs = trial.ask("configs-describe", topic=topic)["configs"]
    wanted = {"retention.ms": "12345678", "cleanup.policy": "delete", "compression.type": "producer"}
    hold(wanted.items() <= configs.items(), f"described: {({key: configs.get(key) for key in wanted})}")


def admin_alter_configs(trial):
    topic = trial.topic()
    trial.ask("configs-alter", topic=topic, key="max.message.bytes", value="54321")
    wait_until(lambda: trial.reference.ask("configs-describe", topic=topic)["configs"]["max.message.bytes"] == "54321",
               "max.message.bytes is 54321")


def admin_offsets(trial):
    topic = trial.topic()
    trial.feed(topic, 1, 345)
    found = trial.ask("offsets-list", topic=topic, partition=1)
    hold((found["earliest"], found["latest"]) == (0, 345), f"listed: {found}")


def reference_group(trial):
    """A group of the reference with one member that has committed 20 of partition 0; the member is still there."""
    topic, group = trial.topic(WIDTH), trial.name()
    member = trial.member(topic, group, by_reference=True)
    wait_balanced(member)
    trial.feed_all(topic, 20)
    wait_records(range(20), member)
    member.commit()
    return topic, group, member


def admin_groups(trial):
    _, group, member = reference_group(trial)
    hold(group in trial.ask("groups-list")["groups"], "the group is not listed")
    found = trial.ask("group-describe", group=group)
    hold((found["state"].upper(), found["members"]) == ("STABLE", 1), f"described: {found}")
    member.close()
    wait_until(lambda: trial.ask("group-describe", group=group)["state"].upper() == "EMPTY", "the group is empty")
    trial.ask("group-delete", group=group)
    hold(group not in trial.reference.ask("groups-list")["groups"], "the group is still listed")


def admin_group_offsets(trial):
    topic, group, member = reference_group(trial)
    member.close()
    offsets = trial.ask("group-offsets", group=group, topic=topic)["offsets"]
    wanted = {str(partition): 20 for partition in range(WIDTH)}
    hold({str(partition): offset for partition, offset in offsets.items()} == wanted, f"committed: {offsets}")
    trial.ask("group-offsets-alter", group=group, topic=topic, partition=3, offset=7)
    offsets = trial.reference.ask("group-offsets", group=group, topic=topic)["offsets"]
    hold(offsets == wanted | {"3": 7}, f"committed after the change: {offsets}")


def admin_delete_records(trial):
    topic = trial.topic()
    trial.feed(topic, 0, 500)
    trial.ask("records-delete", topic=topic, partition=0, offset=321)
    found = trial.reference.ask("offsets-list", topic=topic, partition=0)
    hold((found["earliest"], found["latest"]) == (321, 500), f"offsets after it: {found}")


OPERATIONS = {
    **{f"produce, {codec}; read back byte-identical": produce_with(codec) for codec in CODECS},
    "idempotent produce": produce_idempotent,
    "consume: assigned, sought to an offset": consume_from_offset,
    "group: a second member joins, leaves": group_joins_and_leaves,
    "group: a member is killed": group_survives_crash,
    "commit, close, resume": resumes_after_close,
    "commit, kill -9, resume": resumes_after_crash,
    "static member: back without a rebalance": static_returns,
    "static member: the older of two is fenced": static_is_fenced,
    "admin: create, list, describe, delete topics": admin_topics,
    "admin: add partitions": admin_partitions,
    "admin: describe configs": admin_describe_configs,
    "admin: alter configs": admin_alter_configs,
    "admin: list offsets": admin_offsets,
    "admin: list, describe, delete groups": admin_groups,
    "admin: read and set a group's offsets": admin_group_offsets,
    "admin: delete records": admin_delete_records,
}
