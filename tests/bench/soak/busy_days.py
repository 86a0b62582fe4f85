"""Busy days in a few minutes: what the alert stage holds after each day, with the signals of real news.

    riskwire replay ARCHIVE --limit 5000 --data DIR
    python tests/bench/soak/busy_days.py DIR [--days 4] [--rate 2000] [--trace]

The signals that the replay left in DIR are repeated, at `--rate` articles an hour of event time. Each time an
article has a new id and a new story, so that no story is known. What the stage remembers for three days is full on the
fourth. The exit code is 1 if memory still grows then.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sqlite3
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, cycle, groupby
from pathlib import Path
from random import Random

import orjson
from memory import allocations, own_memory_mb
from rich.console import Console
from rich.table import Table

from riskwire.alerting import AlertStage
from riskwire.app.garbage_collection import settle_garbage_collector
from riskwire.bus import Message
from riskwire.bus.embedded.bus import FILE as BUS_FILE
from riskwire.logs import configure_logging
from riskwire.pipeline import Topic
from riskwire.records import Mark
from riskwire.settings import LogSettings, Settings

START = datetime(2030, 1, 7, tzinfo=UTC)
HOURS = 6
"""Hours of event time between two measurements."""
BATCH = 256
BUCKET_S = 15
MAX_GROWTH = 0.05
"""Growth in the last half day that still counts as full: the allocator does that."""


def real_signals(data: Path) -> list[list[dict[str, object]]]:
    """Returns the signals of each article that a replay left on the bus, as JSON values."""
    with sqlite3.connect(f"file:{data / BUS_FILE}?mode=ro", uri=True) as connection:
        slots = connection.execute("SELECT slot FROM partitions WHERE topic = ?", (Topic.SIGNALS,)).fetchall()
        records = [
            orjson.loads(value)
            for (slot,) in slots
            for (value,) in connection.execute(
                "SELECT value FROM records WHERE id >= ? AND id < ?", (slot << 40, slot + 1 << 40)
            )
        ]
    signals = sorted((record for record in records if record["kind"] != "mark"), key=lambda record: record["article"])
    return [list(of_article) for _, of_article in groupby(signals, key=lambda record: record["article"])]


def messages(real: list[list[dict[str, object]]], hours: float, rate: float) -> Iterator[tuple[float, Message]]:
    """Yields the hour of event time and the message of each signal and mark."""
    chance = Random(12)
    chance.shuffle(real)
    offset = count()
    stories: dict[int, int] = {}
    for number, signals in enumerate(cycle(real)):
        hour = number / rate
        seen = START + timedelta(hours=hour)
        if hour > hours:
            return
        article, story, at = chance.randbytes(16).hex(), chance.randbytes(32).hex(), seen.isoformat()
        for signal in signals:
            new = signal | {"article": article, "story": story, "seen_at": at, "published_at": at, "backfill": False}
            yield hour, Message(Topic.SIGNALS, 0, next(offset), str(signal["target"]), orjson.dumps(new))
        start_s = int(seen.timestamp()) // BUCKET_S * BUCKET_S
        stories[start_s] = stories.get(start_s, 0) + 1
        if number % 16 == 0:
            mark = Mark(**{"from": 0}, seen_at=seen, stories=sum(stories.values()), buckets=stories)  # type: ignore[arg-type]
            stories = {}
            yield hour, Message(Topic.SIGNALS, 0, next(offset), None, mark.to_bytes())


async def run(options: argparse.Namespace, console: Console) -> bool:
    """Runs the stage over the days and prints what it holds. Returns whether it holds no more in the end."""
    configure_logging(LogSettings(level="error"))
    real = real_signals(options.data)
    signals = sum(map(len, real))
    console.print(f"{len(real):,} articles with {signals / len(real):.1f} signals each, {options.rate:,.0f} an hour")
    task = AlertStage(Settings().alerting, 1).open(0, {})
    book = task._book
    settle_garbage_collector()
    if options.trace:
        tracemalloc.start(1)
    empty = own_memory_mb()
    table = Table("day", "articles", "targets", "stories", "memory, MiB", "KiB an article", box=None)
    samples: list[float] = []
    batch: list[Message] = []
    due = float(HOURS)
    for hour, message in messages(real, options.days * 24, options.rate):
        if hour >= due:
            gc.collect()
            memory = own_memory_mb() - empty
            samples.append(memory)
            stories = sum(len(target.window) for target in book.targets.values())
            articles = due * options.rate
            table.add_row(
                f"{due / 24:.2f}",
                f"{articles:,.0f}",
                f"{len(book.targets):,}",
                f"{stories:,}",
                f"{memory:,.0f}",
                f"{memory * 1024 / min(articles, 72 * options.rate):.1f}",
            )
            sys.stderr.write(f"day {due / 24:.2f}: {memory:,.0f} MiB, {stories:,} stories\n")
            due += HOURS
        batch.append(message)
        if len(batch) == BATCH:
            await task.process(batch)
            batch = []
    console.print(table)
    if options.trace:
        for line in allocations(20):
            console.print(line, soft_wrap=True, highlight=False)
    console.print(f"load of the machine {os.getloadavg()[1]:.1f}")
    before, after = samples[-3:][0], samples[-1]
    return after <= before * (1 + MAX_GROWTH)


def main() -> None:
    """Runs the days and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--days", type=float, default=4.0)
    parser.add_argument("--rate", type=float, default=2_000, help="articles an hour of event time")
    parser.add_argument("--trace", action="store_true", help="print the places that allocated what is held (slow)")
    options = parser.parse_args()
    if not asyncio.run(run(options, Console(width=160))):
        sys.exit(1)


if __name__ == "__main__":
    main()
