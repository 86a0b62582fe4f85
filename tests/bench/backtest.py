"""Back-test of alerting: notifications per target and month, and known events caught, from a replayed data directory.

    RISKWIRE_BUS__KEEP_PROCESSED=10000000 riskwire replay ARCHIVE --data DIR
    python tests/bench/backtest.py DIR [--events FILE] [--alerts]

Reads the signals that the replay published on the embedded bus, and runs the book of the alert stage over them once for
each budget. So detectors can be compared in seconds on the same signals.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from riskwire.alerting.book import Book
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Alert, Mark, Signal, read_record
from riskwire.settings import AlertingSettings, Budget, BusSettings

CATCH_WITHIN = timedelta(days=4)
"""An alert catches an event if it comes between a day before the date of the event and this long after it."""
MIN_ARTICLES = 10
"""Targets with fewer articles are counted together, not as companies."""
BATCH = 256
"""Records between two steps of the book."""


async def read_signals(data: Path) -> list[list[Signal | Mark]]:
    """Returns the records of each partition of `signals` on the embedded bus in `data`, in order.

    A signal is the sentiment of an article toward a target; a mark says how far `articles` had been read.
    """
    bus = await EmbeddedBus.open(data, BusSettings())
    try:
        partitions = []
        for partition in range(bus.partitions(Topic.SIGNALS)):
            records: list[Signal | Mark] = []
            start = 0
            while messages := await bus.read(Topic.SIGNALS, partition, start, 5_000):
                records += [read_record(SIGNALS, message.value, message.where) for message in messages]
                start = messages[-1].offset + 1
            partitions.append(records)
        return partitions
    finally:
        await bus.close()


def alerts_of(partitions: list[list[Signal | Mark]], settings: AlertingSettings) -> Iterator[Alert]:
    """Yields every alert record that a book, the state of the alert stage, produces from each partition.

    Args:
        partitions: the records of each partition of `signals`, in order.
    """
    for records in partitions:
        book = Book(settings, article_partitions=len(partitions), state={})
        for start in range(0, len(records), BATCH):
            for record in records[start : start + BATCH]:
                book.take(record)
            yield from book.close().alerts


def main() -> None:
    """Prints a row for each budget: how many notifications there are, and how many known events they catch.

    A budget is how many notices (and, half as many, pages) are allowed per target and month. `--events` names a file of
    known events; without it none is caught.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--events", type=Path)
    parser.add_argument("--alerts", action="store_true", help="print the alerts at the default budget")
    options = parser.parse_args()
    partitions = asyncio.run(read_signals(options.data))
    signals = [record for records in partitions for record in records if isinstance(record, Signal)]
    times = [signal.seen_at for signal in signals]
    first, last = min(times), max(times)
    months = (last - first) / timedelta(days=30)
    articles = Counter(target for target, _ in {(signal.target, signal.article) for signal in signals})
    frequent = {target for target, count in articles.items() if count >= MIN_ARTICLES}
    companies = {target for target in frequent if target.startswith("entity:")}
    events = [json.loads(line) for line in options.events.read_text().splitlines()] if options.events else []
    events = [event for event in events if _date(event) < last]
    table = Table(
        "budget (notice / page)", "fires", "escalations", "per entity and month", "rare per month", "events caught",
        title=f"{len(signals)} signals, {months:.1f} months, {len(companies)} entities with {MIN_ARTICLES}+ articles",
    )  # fmt: skip
    for notice in (0.005, 0.01, 0.02, 0.05):
        settings = AlertingSettings(budget=Budget(notice=notice, page=notice / 2))
        notified = [alert for alert in alerts_of(partitions, settings) if alert.status != "resolved"]
        on_companies = [alert for alert in notified if alert.target in companies]
        on_rare_targets = [alert for alert in notified if alert.target not in frequent]
        caught = [event for event in events if any(_caught(event, alert) for alert in notified)]
        table.add_row(
            f"{notice} / {notice / 2}",
            str(sum(alert.status == "firing" for alert in notified)),
            str(sum(alert.status == "escalated" for alert in notified)),
            f"{len(on_companies) / len(companies) / months:.4f} ({len(on_companies)})",
            f"{len(on_rare_targets) / months:.1f} ({len(on_rare_targets)})",
            f"{len(caught)} of {len(events)}",
        )
        if options.alerts and notice == AlertingSettings().budget.notice:
            for alert in sorted(notified, key=lambda alert: alert.at):
                print(f"{alert.at:%Y-%m-%d %H:%M} {alert.status:<9} {alert.severity:<8} {alert.target} {alert.summary}")
            for event in events:
                print("caught" if event in caught else "missed", event["date"], event["target"], event["what"])
    Console(width=140).print(table)


def _date(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["date"]).replace(tzinfo=UTC)


def _caught(event: dict[str, str], alert: Alert) -> bool:
    in_time = timedelta(days=-1) <= alert.at - _date(event) <= CATCH_WITHIN
    return in_time and event["target"].casefold() in alert.name.casefold()


if __name__ == "__main__":
    main()
