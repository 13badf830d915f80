"""The programs of the clients as the driver sees them: sessions that answer commands, and members of groups.

Every wait is for a condition and has an end. Whatever is started here is ended by its id, with its whole process group.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time

# A wait that takes longer has failed. Above what a program allows itself for one command.
PATIENCE_S = 90


class Unsupported(Exception):
    """The client said that it cannot do this."""


class Failed(Exception):
    """What went wrong, in words for a table."""


def wait_until(condition, what, patience_s=PATIENCE_S):
    """Waits for a true result of `condition` and returns it; `what` names it when it does not come."""
    end = time.monotonic() + patience_s
    while not (result := condition()):
        if time.monotonic() > end:
            raise Failed(f"not within {patience_s} s: {what() if callable(what) else what}")
        time.sleep(0.02)
    return result


class Process:
    """A program with lines of JSON in and out; its log, for a failure's last words."""

    def __init__(self, argv, log):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True)

    def send(self, **command):
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failed("the program has ended") from error

    def kill(self):
        """kill -9, of the program and of what it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()


class Session(Process):
    """A program that answers one command after the other."""

    def __init__(self, argv, log, bootstrap):
        super().__init__(argv, log)
        self.bootstrap = bootstrap
        self.answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put({"error": "the program ended"})

    def ask(self, op, **fields):
        """The answer to a command; raises what the program says against it."""
        self.send(op=op, bootstrap=self.bootstrap, **fields)
        try:
            answer = self.answers.get(timeout=PATIENCE_S)
        except queue.Empty:
            self.kill()
            raise Failed(f"{op} has no answer within {PATIENCE_S} s") from None
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        if "error" in answer:
            raise Failed(f"{op}: {answer['error']}")
        return answer

    def is_alive(self):
        return self.process.poll() is None


class Member(Process):
    """A program that is a member of a group, and what it has told so far."""

    def __init__(self, argv, log, **command):
        super().__init__(argv, log)
        self.assigned = set()
        self.assignments = 0
        self.records = []
        self.told = {}
        self.send(op="member", **command)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            kind = event.get("event", "unsupported" if "unsupported" in event else "error")
            if kind == "assigned":
                self.assigned = set(event["partitions"])
                self.assignments += 1
            elif kind == "record":
                self.records.append((event["partition"], event["offset"]))
            else:
                self.told[kind] = event.get(kind, True)

    def _expect(self, kind):
        def heard():
            # Asked before what was told: a program that has ended may have said it last.
            has_ended = not self.reader.is_alive()
            if "unsupported" in self.told:
                raise Unsupported(self.told["unsupported"])
            if "error" in self.told and kind != "error":
                raise Failed(f"a member: {self.told['error']}")
            if kind not in self.told and has_ended:
                raise Failed(f"a member ended with {self.process.wait(PATIENCE_S)}")
            return kind in self.told
        wait_until(heard, f"a member tells “{kind}”")
        return self.told.pop(kind)

    def supported(self):
        """Fails when the program has said already that it cannot."""
        if "unsupported" in self.told:
            raise Unsupported(self.told["unsupported"])
        if "error" in self.told:
            raise Failed(f"a member: {self.told['error']}")
        return True

    def commit(self):
        self.send(op="commit")
        self._expect("committed")

    def close(self):
        self.send(op="close")
        self._expect("closed")
        self.process.wait(PATIENCE_S)

    def error(self):
        return str(self._expect("error"))
