"""kcat, in the words of contract.py: what it can do is told by its own arguments and read from its own output."""

import json
import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from contract import PATIENCE_S, Unsupported, serve, tell

# What kcat says of a member's partitions on standard error.
REBALANCED = re.compile(r"% Group .* rebalanced .*: (assigned|revoked): ?(.*)")


def kcat(command, *arguments, stdin=None):
    """The output of one kcat; its words on standard error when it fails."""
    run = subprocess.run(["kcat", "-b", command["bootstrap"], *map(str, arguments)], stdin=stdin, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr.decode(errors="replace").strip()[-300:])
    return run.stdout


def version(_):
    text = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
    return {"version": "kcat {}, librdkafka {}".format(*re.search(r"Version (\S+) .*librdkafka (\S+)", text, re.S).groups())}


def produce(command):
    with open(command["file"], "rb") as file:
        kcat(command, "-P", "-t", command["topic"], "-p", command["partition"], "-z", command["codec"], "-K", "\t", "-X", "acks=all",
             "-X", "linger.ms=20", "-X", f"enable.idempotence={str(command['idempotent']).lower()}", stdin=file)


def consume(command):
    lines = kcat(command, "-C", "-t", command["topic"], "-p", command["partition"], "-o", command["offset"],
                 "-c", command["count"], "-K", "\t", "-q")
    pathlib.Path(command["file"]).write_bytes(lines)


def read_assignments(stream, errors):
    assigned = set()
    for line in stream:
        if found := REBALANCED.match(line):
            partitions = {int(each) for each in re.findall(r"\[(\d+)\]", found[2])}
            assigned = assigned | partitions if found[1] == "assigned" else assigned - partitions
            tell(event="assigned", partitions=sorted(assigned))
        elif "ERROR" in line or "FATAL" in line.upper():
            errors.append(line.strip())


def read_records(stream):
    for line in stream:
        partition, offset = line.split()
        tell(event="record", partition=int(partition), offset=int(offset))


def member(command, commands):
    options = ["auto.offset.reset=earliest", f"session.timeout.ms={command['session_ms']}", "heartbeat.interval.ms=500"]
    if command["instance"]:
        options.append(f"group.instance.id={command['instance']}")
    arguments = [word for option in options for word in ("-X", option)]
    run = subprocess.Popen(["kcat", "-b", command["bootstrap"], *arguments, "-u", "-f", "%p %o\n", "-G", command["group"], command["topic"]],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    errors = []
    readers = [threading.Thread(target=read_assignments, args=(run.stderr, errors)),
               threading.Thread(target=read_records, args=(run.stdout,))]
    for reader in readers:
        reader.start()
    while (told := commands.next()) != "close" and run.poll() is None:
        if told == "commit":
            tell(event="unsupported", unsupported="kcat commits on a timer and when it ends, not when told")
        try:
            run.wait(0.05)
        except subprocess.TimeoutExpired:
            pass
    ended_by_itself = run.poll() is not None
    run.terminate()
    run.wait(PATIENCE_S)
    for reader in readers:
        reader.join()
    if ended_by_itself:
        raise RuntimeError(errors[-1] if errors else f"kcat ended with {run.returncode}")


def listing(command):
    arguments = ["-t", command["topic"]] if "topic" in command else []
    return json.loads(kcat(command, "-L", "-J", *arguments))["topics"]


def topic_describe(command):
    (topic,) = listing(command)
    return {"partitions": len(topic["partitions"])}


def offsets_list(command):
    def at(time):
        answer = kcat(command, "-Q", "-t", f"{command['topic']}:{command['partition']}:{time}").decode()
        return int(answer.rsplit(" ", 1)[1])
    return {"earliest": at(-2), "latest": at(-1)}


def lacks(what):
    def operation(_):
        raise Unsupported(f"kcat cannot {what}")
    return operation


serve({
    "version": version,
    "produce": produce,
    "consume": consume,
    "topic-create": lacks("create topics (beyond auto-creation) or delete them"),
    "topic-list": lambda command: {"topics": [topic["topic"] for topic in listing(command)]},
    "topic-describe": topic_describe,
    "topic-delete": lacks("delete topics"),
    "partitions-create": lacks("add partitions"),
    "configs-describe": lacks("describe configs"),
    "configs-alter": lacks("alter configs"),
    "offsets-list": offsets_list,
    "groups-list": lacks("list, describe or delete groups"),
    "group-describe": lacks("describe groups"),
    "group-delete": lacks("delete groups"),
    "group-offsets": lacks("read or set a group's offsets"),
    "group-offsets-alter": lacks("set a group's offsets"),
    "records-delete": lacks("delete records"),
}, member)
