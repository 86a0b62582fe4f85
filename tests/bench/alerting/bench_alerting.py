"""Speed of the alert core on one core, and the state of a quiet target, on a simulated stream.

    python tests/bench/alerting/bench_alerting.py [--targets N] [--days N] [--profile]

Signals a second count the time of this process alone, so that other work on the machine hardly matters. `decode` reads
the records from bytes as the stage does, `core` takes them and closes buckets in batches of 256 records.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from itertools import islice
from pathlib import Path

from riskwire.alerting.book import Book
from riskwire.app.garbage_collection import settle_garbage_collector
from riskwire.records import SIGNALS, Mark, Signal, read_record
from riskwire.settings import AlertingSettings

sys.path.insert(0, str(Path(__file__).parents[2] / "support"))
from synthetic_stream import StreamShape, SyntheticStream

BATCH = 256


def run(records: list[Signal | Mark]) -> dict[str, bytes]:
    """Runs a book over records in batches, and returns its state."""
    book = Book(AlertingSettings(), 1, {})
    state: dict[str, bytes] = {}
    waiting = iter(records)
    while batch := list(islice(waiting, BATCH)):
        for record in batch:
            book.take(record)
        for key, value in book.close().state.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    return state


def bytes_by_target(state: dict[str, bytes]) -> dict[str, int]:
    """Returns the size of the state of each target: its keys and values, stories and event memory included."""
    sizes: dict[str, int] = {}
    for key, value in state.items():
        kind, _, target_key = key.partition("/")
        if kind in ("target", "events"):
            sizes[target_key] = sizes.get(target_key, 0) + len(key) + len(value)
        elif kind == "stories":
            target = target_key.partition("/")[2]
            sizes[target] = sizes.get(target, 0) + len(key) + len(value)
    return sizes


def main() -> None:
    """Prints signals a second and bytes a target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=400)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--busy", action="store_true", help="twenty stories a day and target, all the day")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    shape = StreamShape(
        targets=options.targets, days=options.days, stories_per_day=20.0 if options.busy else 1.0,
        other_stories=10 * options.targets,
    )  # fmt: skip
    records = list(SyntheticStream(shape, seed=1).records())
    encoded = [record.to_bytes() for record in records]
    signals = sum(isinstance(record, Signal) for record in records)
    settle_garbage_collector()  # as every process of riskwire does
    started = time.process_time()
    for value in encoded:
        read_record(SIGNALS, value, "bench")
    decoded = time.process_time()
    if options.profile:
        profiler = cProfile.Profile(time.process_time)
        state = profiler.runcall(run, records)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)
    else:
        state = run(records)
    done = time.process_time()
    print(f"{signals} signals, {len(records) - signals} marks, {shape.targets} targets, {shape.days} days")
    for name, seconds in (("decode", decoded - started), ("core", done - decoded), ("both", done - started)):
        print(f"{name}: {signals / seconds:,.0f} signals/s")
    sizes = sorted(bytes_by_target(state).values())
    print(f"state of a target: median {statistics.median(sizes):,.0f} B, largest {sizes[-1]:,} B")


if __name__ == "__main__":
    main()
