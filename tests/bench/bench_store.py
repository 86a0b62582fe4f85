"""Measures reads and writes of the store on SQLite: `python tests/bench/bench_store.py`.

Writes are in records per second, in batches of the size that the sink uses; reads are in milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import fictional

from riskwire.bus import Message
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Analysis, read_record
from riskwire.settings import Settings
from riskwire.store import Store


def rate(
    write: Callable[[list[Any]], None], read: Callable[[Message], Any], log: Sequence[Message], batch: int
) -> tuple[float, float]:
    """Writes all records to the store, and returns how many per second, and per second of CPU time.

    The second figure is the rate of an otherwise idle machine. Decoding is included.

    Args:
        write: writes a batch of decoded records.
        read: decodes a record.
        log: the records of a topic, of which `batch` are written at once.
    """
    start, cpu_start = time.perf_counter(), time.process_time()
    for first in range(0, len(log), batch):
        write([read(message) for message in log[first : first + batch]])
    return len(log) / (time.perf_counter() - start), len(log) / (time.process_time() - cpu_start)


def main() -> None:
    """Prints the rates at which the store writes signals, analyses and trends, and the times of its reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    names = [f"entity:company-{number}" for number in range(2_000)]
    signals = [
        fictional.signal(
            f"a{number // 3}",
            target="market" if number % 3 == 0 else names[number * 7 % len(names)],
            at=fictional.NOON + timedelta(seconds=number),
            story=f"story-{number // 9}",
        )
        for number in range(options.signals)
    ]
    analyses = [
        fictional.analysis(f"a{number}", at=fictional.NOON + timedelta(seconds=number))
        for number in range(options.signals // 3)
    ]
    trends = [
        fictional.trend(fictional.NOON + timedelta(minutes=number // 500), target=names[number % 500])
        for number in range(options.signals)
    ]

    def signal_of(message: Message) -> Any:
        return read_record(SIGNALS, message.value, message.where)

    def analysis_of(message: Message) -> Any:
        return Analysis.model_validate_json(message.value)

    def trend_of(message: Message) -> Any:
        return fictional.TrendPoint.model_validate_json(message.value)

    with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data=Path(folder))) as store:
        rows = [
            (
                "signals",
                rate(store.write_signals, signal_of, fictional.messages(Topic.SIGNALS, signals), options.batch),
            ),
            (
                "repeated signals",
                rate(store.write_signals, signal_of, fictional.messages(Topic.SIGNALS, signals), options.batch),
            ),
            (
                "analyses",
                rate(store.write_analyses, analysis_of, fictional.messages(Topic.ANALYSES, analyses), options.batch),
            ),
            ("trends", rate(store.write_trends, trend_of, fictional.messages(Topic.TRENDS, trends), options.batch)),
        ]
        reads: list[tuple[str, Callable[[], object]]] = [
            ("targets, 50 with sparks", lambda: store.targets(limit=50, spark=True)),
            ("stories of market, 50", lambda: store.stories("market", limit=50)),
            ("trend of one target, all", lambda: store.trend(names[0], step_s=3_600)),
            ("counts", store.counts),
            ("changes, none new", lambda: store.changes(store.last_change())),
        ]
        milliseconds = []
        for name, read in reads:
            start = time.perf_counter()
            for _ in range(10):
                read()
            milliseconds.append((name, (time.perf_counter() - start) * 100))
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6
    print(f"{'write, batches of ' + str(options.batch):<28}{'records/s':>12}{'per CPU s':>12}")
    for name, (per_second, per_cpu_second) in rows:
        print(f"{name:<28}{per_second:>12,.0f}{per_cpu_second:>12,.0f}")
    print(f"\n{'read':<28}{'ms':>12}")
    for name, value in milliseconds:
        print(f"{name:<28}{value:>12.2f}")
    print(f"\nsize {size:.1f} MB")


if __name__ == "__main__":
    main()
