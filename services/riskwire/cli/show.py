"""`riskwire alerts|targets|stories|status`: what the store and the bus hold, for people or as JSON lines."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from riskwire import __version__
from riskwire.bus import Bus, Lag, lag_by_group, lag_by_partition
from riskwire.bus.embedded.bus import FILE
from riskwire.bus.open import open_bus
from riskwire.cli.terminal import print_table, printable
from riskwire.errors import RiskwireError, SettingsError
from riskwire.inference.model.bundle import Bundle
from riskwire.records import Sentiment, to_json
from riskwire.settings import Settings
from riskwire.store import Store


def alerts(settings: Settings, json: bool, limit: int) -> None:
    """The newest record of each alert."""
    with opened_store(settings) as store:
        rows = store.alerts(limit=limit)
    if json:
        print_lines(rows)
        return
    print_table(
        ("at", "status", "severity", "name", "what"),
        [(f"{row.at:%Y-%m-%d %H:%M}", row.status, row.severity, row.name, row.summary) for row in rows],
        empty="No alerts yet.",
    )


def targets(settings: Settings, json: bool, limit: int) -> None:
    """The targets followed."""
    with opened_store(settings) as store:
        rows = store.targets(limit=limit)
    if json:
        print_lines(rows)
        return
    print_table(
        ("target", "name", "stories", "articles", "score", "surprise"),
        [
            (row.target, row.name, str(row.stories), str(row.articles), _signed(row.score), f"{row.surprise:.1f}")
            for row in rows
        ],
        empty="No targets yet.",
    )


def stories(settings: Settings, target: str, json: bool, limit: int) -> None:
    """The stories of a target.

    Raises:
        SettingsError: the target is no text.
    """
    if not target.isprintable():
        raise SettingsError("--target: not a target", value=target, do="`riskwire targets` lists what there is")
    with opened_store(settings) as store:
        rows = store.stories(target, limit=limit)
    if json:
        print_lines(rows)
        return
    print_table(
        ("seen", "source", "negative", "title"),
        [(f"{row.seen_at:%Y-%m-%d %H:%M}", row.source, _negative(row.sentiment), row.title) for row in rows],
        empty=f"No stories of {target}; `riskwire targets` lists what there is.",
    )


async def status(settings: Settings, json: bool, partitions: bool) -> int:
    """Records per topic, lag per group and partition, bundle, version.

    Args:
        partitions: also those of which everything has been read.
    """
    async with opened_bus(settings) as bus:
        topics = await bus.records()
        lags = await bus.lag()
    try:
        bundle = Bundle.load(settings.inference.bundle).label
    except RiskwireError as error:
        bundle = f"unusable: {error}"
    if json:
        print_lines(
            [
                {
                    "topics": topics,
                    "lag": lag_by_group(lags),
                    "partitions": lag_by_partition(lags),
                    "bundle": bundle,
                    "version": __version__,
                }
            ]
        )
        return 0
    print_table(("topic", "records"), [(topic, str(count)) for topic, count in topics.items()])
    print()
    print_table(
        ("group", "reads", "behind", "partition: behind"), _lag_rows(lags, every=partitions), "No stage has run yet."
    )
    print()
    print(printable(f"bundle {bundle}, riskwire {__version__}"))
    return 0


def _lag_rows(lags: Sequence[Lag], *, every: bool) -> list[tuple[str, str, str, str]]:
    """A row a group and topic: the total, and the partitions that make it up (or every one)."""
    return [
        (
            group,
            topic,
            str(sum(partitions.values())),
            "  ".join(f"{number}: {count}" for number, count in sorted(partitions.items()) if count or every),
        )
        for group, topics in lag_by_partition(lags).items()
        for topic, partitions in topics.items()
    ]


def _signed(score: float | None) -> str:
    return "" if score is None else f"{score:+.2f}"


def _negative(sentiment: Sentiment | None) -> str:
    return "" if sentiment is None else f"{sentiment.negative:.2f}"


def opened_store(settings: Settings) -> Store:
    """The store of the settings, to read."""
    if settings.store.url is None and settings.bus.url == "embedded":
        must_exist(settings.data)
    return Store.open(settings, read_only=True)


@asynccontextmanager
async def opened_bus(settings: Settings) -> AsyncIterator[Bus]:
    """The bus of the settings, where there is one already.

    Raises:
        SettingsError: the data directory holds nothing of riskwire.
        BusError: the bus cannot be opened.
    """
    if settings.bus.url == "embedded":
        must_exist(settings.data)
    bus = await open_bus(settings)
    try:
        yield bus
    finally:
        await bus.close()


def must_exist(data: Path) -> None:
    """Make sure that a directory holds data of riskwire, rather than make it.

    Raises:
        SettingsError: it does not.
    """
    if not (data / FILE).exists():
        raise SettingsError(
            "there is no data of riskwire in this directory",
            where=str(data),
            do="`riskwire run` or `riskwire replay` makes some",
        )


def print_lines(rows: Sequence[object]) -> None:
    """One JSON object a line on standard output: UTF-8, whatever the terminal speaks."""
    sys.stdout.flush()
    for row in rows:
        sys.stdout.buffer.write(to_json(row) + b"\n")
    sys.stdout.buffer.flush()
