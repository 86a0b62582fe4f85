"""Compares the alert core of two versions of the code: the same output, and how many times faster it is.

    python tests/bench/alerting/compare_speed.py OLD [--signals LOG] [--rounds N]

OLD is a folder with `services/` of another version, such as the output of `git archive`. Each round runs both versions,
one after the other, each in a separate process; the ratio of a round compares their processor times, and the median
of the rounds is printed. The signals are those of a back-test (`signals-….jsonl.zst` in its cache, whole or in part),
else a simulated stream. Exits with 1 if any alert, trend, near miss or change of the state differs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path

import zstandard

from riskwire.alerting.book import Book, BookStep
from riskwire.app.garbage_collection import settle_garbage_collector
from riskwire.records import SIGNALS, Mark, Signal, read_record
from riskwire.settings import AlertingSettings

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from synthetic_stream import StreamShape, SyntheticStream

ROOT = Path(__file__).parents[3]
BATCH = 256


def logged_records(path: Path, most: int) -> Iterator[Signal | Mark]:
    """Yields at most `most` records of a log of signals; a log that is still being written ends at its last block."""
    unfinished_line = b""
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while most > 0 and (block := file.read(1 << 16)):
            *lines, unfinished_line = (unfinished_line + unpacker.decompress(block)).split(b"\n")
            for line in lines[:most]:
                yield read_record(SIGNALS, line, str(path))
            most -= len(lines)


def digest_of(step: BookStep) -> bytes:
    """Returns the bytes of all that a step publishes and stores."""
    records = [*step.trends, *step.alerts, *step.near_misses]
    return b"\n".join([record.to_bytes() for record in records]) + repr(list(step.state.items())).encode()


def measure(records: list[Signal | Mark]) -> dict[str, float | str | int]:
    """Runs a book over records in batches. Returns the processor time and a hash of the output."""
    book = Book(AlertingSettings(), 1, {})
    digest = sha256()
    seconds = 0.0
    waiting = iter(records)
    while batch := list(islice(waiting, BATCH)):
        started = time.process_time()
        for record in batch:
            book.take(record)
        step = book.close()
        seconds += time.process_time() - started
        digest.update(digest_of(step))
    signals = sum(isinstance(record, Signal) for record in records)
    return {"signals": signals, "seconds": seconds, "digest": digest.hexdigest()}


def measured_in(tree: Path, arguments: list[str]) -> dict[str, float]:
    """Returns what `measure` says of the code under a folder, in a separate process."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "services")}
    command = [sys.executable, __file__, str(tree), "--child", *arguments]
    measured: dict[str, float] = json.loads(subprocess.check_output(command, env=environment))
    return measured


def main() -> int:
    """Prints signals a second of both versions and their ratio. Returns 1 if the output differs, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("--signals", type=Path, help="the log of signals of a back-test")
    parser.add_argument("--most", type=int, default=40_000, help="records of the log that are read")
    parser.add_argument("--days", type=int, default=10, help="days of the simulated stream")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        if options.signals:
            records = list(logged_records(options.signals, options.most))
        else:
            shape = StreamShape(targets=400, days=options.days, stories_per_day=1.0, other_stories=4_000)
            records = list(SyntheticStream(shape, seed=1).records())
        settle_garbage_collector()
        print(json.dumps(measure(records)))
        return 0
    arguments = ["--days", str(options.days), "--most", str(options.most)]
    arguments += ["--signals", str(options.signals)] if options.signals else []
    rounds = [(measured_in(options.old, arguments), measured_in(ROOT, arguments)) for _ in range(options.rounds)]
    for name, position in (("old", 0), ("new", 1)):
        speed = statistics.median([both[position]["signals"] / both[position]["seconds"] for both in rounds])
        print(f"{name}: {speed:,.0f} signals/s")
    print(f"new / old: {statistics.median([old['seconds'] / new['seconds'] for old, new in rounds]):.2f} times as fast")
    same = len({measured["digest"] for both in rounds for measured in both}) == 1
    print("the same output" if same else "DIFFERENT OUTPUT")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
