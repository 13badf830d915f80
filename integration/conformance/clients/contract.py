"""What every program of this folder speaks, for the three that are Python.

A program reads commands from standard input, one JSON object a line, and answers each with one line:
    {"op": NAME, "bootstrap": "HOST:PORT,…", …}   →   {"ok": true, …}, {"error": "…"} or {"unsupported": "why the client cannot"}
Operations and their fields:
    version                                           → version: the client's name and version; fence_is_told: "commit" where
                                                        a static member hears of its end only when it commits
    produce topic partition codec idempotent file     each line of file is KEY, tab, VALUE
    consume topic partition offset count file         offset: "beginning" or a number, sought; file gets the lines back
    topic-create topic partitions configs · topic-list → topics · topic-describe topic → partitions · topic-delete topic
    partitions-create topic total
    configs-describe topic → configs · configs-alter topic key value
    offsets-list topic partition → earliest, latest
    groups-list → groups · group-describe group → state, members · group-delete group
    group-offsets group topic → offsets (partition → offset) · group-offsets-alter group topic partition offset
    records-delete topic partition offset
and one that keeps the process, as a member of a group that never commits by itself:
    member topic group session_ms instance (or null)
It tells what happens, a line each: {"event": "assigned", "partitions": all it has now}, {"event": "record", "partition": …,
"offset": …}, {"event": "error", "error": …} (then it exits with 1), and takes {"op": "commit"} → {"event": "committed"} and
{"op": "close"} → leaves the group, {"event": "closed"}. The end of standard input is a close as well.
"""

import json
import os
import queue
import sys
import threading
import time

# A command that takes longer has failed.
PATIENCE_S = 60


class Unsupported(Exception):
    """The client has no such operation; the text says so."""


def tell(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def lines_of(path):
    """Key and value of each line, as bytes."""
    with open(path, "rb") as file:
        for line in file.read().split(b"\n")[:-1]:
            yield line.split(b"\t", 1)


def write_lines(path, records):
    with open(path, "wb") as file:
        for key, value in records:
            file.write((key or b"") + b"\t" + (value or b"") + b"\n")


def collect(poll, count, path):
    """Polls for lists of (key, value) until there are `count`, and writes them."""
    records, end = [], time.monotonic() + PATIENCE_S
    while len(records) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(records)} of {count} records after {PATIENCE_S} s")
        records += poll()
    write_lines(path, records[:count])


class Commands:
    """The commands to a member, which is busy polling: read by a thread of their own."""

    def __init__(self):
        self.waiting = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in sys.stdin:
            self.waiting.put(json.loads(line)["op"])
        self.waiting.put("close")

    def next(self):
        """The next command, or None when there is none."""
        try:
            return self.waiting.get_nowait()
        except queue.Empty:
            return None


def serve(operations, member):
    """Answers commands until the end of standard input, or becomes a member."""
    while line := sys.stdin.readline():
        command = json.loads(line)
        if command["op"] == "member":
            try:
                member(command, Commands())
            except Exception as error:
                tell(event="error", error=f"{type(error).__name__}: {error}")
                code = 1
            else:
                tell(event="closed")
                code = 0
            sys.stdout.flush()
            os._exit(code)
        try:
            tell(ok=True, **(operations[command["op"]](command) or {}))
        except Unsupported as reason:
            tell(unsupported=str(reason))
        except Exception as error:
            tell(error=f"{type(error).__name__}: {error}")
