"""Runs clients × operations and keeps the outcome of each cell; writes them as a table.

    table.py try --work DIR --bootstrap HOST:PORT,… --results FILE [--clients A,B] [--operations WORD,…] [--again FILE] [--jobs N] NAME=ARGV…
    table.py write --results FILE [--kafka FILE] [--to FILE]

A cell is ok, unsupported (the client's own word) or failed (with its reason). `try --again FILE` takes only the failed cells of
another run: those of Ottla, put to Apache Kafka, so that a limit of the client is told from a fault of ours.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import shlex
import sys
import time

from operations import OPERATIONS, Trial, make_input
from programs import Failed, Session, Unsupported

REFERENCE = "confluent-kafka"
Place = collections.namedtuple("Place", "work bootstrap input")


def outcome(trial, operation):
    """The cell of one operation, with its time in s."""
    start = time.monotonic()
    try:
        OPERATIONS[operation](trial)
        cell = {"state": "ok"}
    except Unsupported as reason:
        cell = {"state": "unsupported", "reason": str(reason)}
    except Failed as reason:
        cell = {"state": "failed", "reason": str(reason)}
    except Exception as error:  # A mistake of the driver is a failure of the cell, with its name.
        cell = {"state": "failed", "reason": f"{type(error).__name__}: {error}"}
    finally:
        trial.end_members()
    return cell | {"seconds": round(time.monotonic() - start, 1)}


def try_client(client, argv, reference_argv, operations, place):
    """All wanted operations of a client, in turn; tells each as it ends."""
    trial = Trial(client, argv, reference_argv, place)
    try:
        version, cells = trial.ask("version")["version"], {}
        for operation in operations:
            cell = cells[operation] = outcome(trial, operation)
            mark = {"ok": "ok  ", "unsupported": "–   ", "failed": "FAIL"}[cell["state"]]
            print(f"{mark} {client:16} {operation:48} {cell['seconds']:5} s  {cell.get('reason', '')}", flush=True)
            if not trial.reference.is_alive():
                trial.reference = Session(reference_argv, os.path.join(place.work, "reference.log"), place.bootstrap)
        return {"version": version, "cells": cells}
    finally:
        trial.end()


def wanted_cells(options, names):
    """Operations for each client."""
    if options.again:
        with open(options.again, encoding="utf-8") as file:
            before = json.load(file)
        return {name: [operation for operation, cell in tried["cells"].items() if cell["state"] == "failed"]
                for name, tried in before.items()}
    words = options.operations.split(",") if options.operations else [""]
    operations = [each for each in OPERATIONS if any(word in each for word in words)]
    clients = options.clients.split(",") if options.clients else names
    for client in clients:
        if client not in names:
            sys.exit(f"no client {client}; one of {' '.join(names)}")
    return {client: operations for client in clients}


def try_all(options):
    programs = {name: shlex.split(argv) for name, argv in (each.split("=", 1) for each in options.programs)}
    place = Place(options.work, options.bootstrap, os.path.join(options.work, "input"))
    make_input(place.input)
    wanted = {client: operations for client, operations in wanted_cells(options, list(programs)).items() if operations}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tried = {client: pool.submit(try_client, client, programs[client], programs[REFERENCE], operations, place)
                 for client, operations in wanted.items()}
    results = {client: future.result() for client, future in tried.items()}
    with open(options.results, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


def written(results, kafka):
    """The table in Markdown, with the reasons below it."""
    reasons, clients = [], list(results)

    def noted(text):
        if text not in reasons:
            reasons.append(text)
        return reasons.index(text) + 1

    def cell(client, operation):
        found = results[client]["cells"].get(operation)
        if found is None:
            return ""
        if found["state"] == "ok":
            return "✓"
        if found["state"] == "unsupported":
            return f"– {noted(found['reason'])}"
        beside = kafka.get(client, {"cells": {}})["cells"].get(operation, {"state": "unknown"})
        same = "as with Kafka: " if beside["state"] == "failed" else ""
        return f"{'(✗)' if same else '✗'} {noted(same + found['reason'])}"

    lines = ["| operation | " + " | ".join(clients) + " |", "| --- |" + " --- |" * len(clients)]
    operations = [each for each in OPERATIONS if any(each in tried["cells"] for tried in results.values())]
    for operation in operations:
        lines.append(f"| {operation} | " + " | ".join(cell(client, operation) for client in clients) + " |")
    lines += ["", *(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))] if reasons else []
    versions = "; ".join(f"{client}: {tried['version']}" for client, tried in results.items())
    return "\n".join([*lines, "", f"Versions: {versions}.", ""])


HEAD = """# Clients on Ottla

Written by `integration/conformance/clients/run`; not to be edited. ✓: done, and checked by another client where it leaves something.
–: the client has no such thing. ✗: failed; in brackets: Apache Kafka's server answers the same to this client.

"""


def write(options):
    with open(options.results, encoding="utf-8") as file:
        results = json.load(file)
    kafka = {}
    if options.kafka and os.path.exists(options.kafka):
        with open(options.kafka, encoding="utf-8") as file:
            kafka = json.load(file)
    text = written(results, kafka)
    print(text)
    if options.to:
        with open(options.to, "w", encoding="utf-8") as file:
            file.write(HEAD + text)
    states = collections.Counter(cell["state"] for tried in results.values() for cell in tried["cells"].values())
    print(f"{states['unsupported']} not offered by the client")
    print(f"{states['ok']} passed, {states['failed']} failed")
    sys.exit(states["failed"] > 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    trying = commands.add_parser("try")
    for name in ("--work", "--bootstrap", "--results"):
        trying.add_argument(name, required=True)
    for name in ("--clients", "--operations", "--again"):
        trying.add_argument(name)
    trying.add_argument("--jobs", type=int, default=6)
    trying.add_argument("programs", nargs="+")
    trying.set_defaults(call=try_all)
    writing = commands.add_parser("write")
    writing.add_argument("--results", required=True)
    for name in ("--kafka", "--to"):
        writing.add_argument(name)
    writing.set_defaults(call=write)
    options = parser.parse_args()
    options.call(options)


main()
