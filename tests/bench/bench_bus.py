"""How fast the embedded bus is, beside bare sqlite3 doing the same inserts: `python tests/bench/bench_bus.py`.

`publish`: a publisher writing batches. `step`: fetch a batch, publish `RESULTS` results for each record, change one
state key, move the position. Bare sqlite3 does the inserts of each batch with `executemany` in one transaction a batch,
on the same kind of file with the same pragmas, and for `step` also reads the batch.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from riskwire.bus import Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.embedded import schema
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings

RESULTS = 4


async def bus_figures(data: Path, records: int, batch: int, value: bytes) -> tuple[float, float]:
    """Returns the seconds that the embedded bus takes to publish the records, and to copy them in steps.

    A step reads a batch, writes four results for each record, and commits them with a counter as state.

    Args:
        records: a multiple of `batch`, the records of a step.
        value: the content of each record.
    """
    bus = await EmbeddedBus.open(data, BusSettings(partitions=1, backlog=10_000_000, keep_processed=20_000))
    articles = [Outgoing(Topic.ARTICLES, f"article-{n}", value) for n in range(batch)]
    started = time.perf_counter()
    async with bus.publisher("bench") as publisher:
        for _ in range(0, records, batch):
            await publisher.publish(articles, {})
    published = time.perf_counter() - started

    assignment = await anext(bus.assignments("bench", Topic.ARTICLES))
    await assignment.restore()
    started = time.perf_counter()
    done = 0
    while done < records:
        messages = await assignment.fetch(batch, 5)
        results = [
            Outgoing(topic, message.key, message.value)
            for message in messages
            for topic in (Topic.ANALYSES, Topic.SIGNALS, Topic.SIGNALS, Topic.SIGNALS)
        ]
        done = messages[-1].offset + 1
        await assignment.commit(done, results, {"count": b"%d" % done})
    stepped = time.perf_counter() - started
    await wait_until_drained(bus)
    await bus.close()
    return published, stepped


def bare_figures(file: Path, records: int, batch: int, value: bytes) -> tuple[float, float]:
    """Returns the seconds of the same inserts, and of the same reads and inserts, in bare SQLite, for comparison.

    The second part has one transaction a batch as well, and no state.

    Args:
        records: a multiple of `batch`, the records of a transaction.
        value: the content of each record.
    """
    connection = schema.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT, value BLOB NOT NULL)")
    insert = "INSERT INTO records VALUES (?, ?, ?)"

    def append(start: int, rows: list[tuple[str, bytes]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, [(n, key, body) for n, (key, body) in enumerate(rows, start)])
        connection.execute("COMMIT")

    started = time.perf_counter()
    for start in range(0, records, batch):
        append(start, [(f"article-{n}", value) for n in range(batch)])
    published = time.perf_counter() - started
    started = time.perf_counter()
    for start in range(0, records, batch):
        select = "SELECT key, value FROM records WHERE id >= ? ORDER BY id LIMIT ?"
        read = connection.execute(select, (start, batch)).fetchall()
        append(10 * records + start * RESULTS, read * RESULTS)
    stepped = time.perf_counter() - started
    connection.close()
    return published, stepped


def main() -> None:
    """Prints records per second of the bus beside those of bare SQLite: for each, the best of several runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=51_200)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, in turn; the best counts")
    parser.add_argument("--bytes", type=int, default=800, help="size of a record")
    asked = parser.parse_args()
    records = asked.records // asked.batch * asked.batch
    value = b"x" * asked.bytes
    of_bus, of_bare = [], []
    for _ in range(asked.repeat):
        with tempfile.TemporaryDirectory() as folder:
            of_bus.append(asyncio.run(bus_figures(Path(folder), records, asked.batch, value)))
            of_bare.append(bare_figures(Path(folder) / "bare.sqlite", records, asked.batch, value))
    bus, bare = ([min(times) for times in zip(*runs, strict=True)] for runs in (of_bus, of_bare))
    table = Table(
        title=f"{records:,} records of {asked.bytes} bytes in batches of {asked.batch}; SQLite {sqlite3.sqlite_version}"
    )
    for column in ("", "bus, records/s", "bare sqlite3, records/s", "bus / bare"):
        table.add_column(column, justify="right" if column else "left")
    for name, ours, theirs in zip(("publish", f"step (x{RESULTS} results)"), bus, bare, strict=True):
        table.add_row(name, f"{records / ours:,.0f}", f"{records / theirs:,.0f}", f"{theirs / ours:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
