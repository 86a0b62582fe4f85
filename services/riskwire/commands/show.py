"""`riskwire alerts|targets|stories|status`: what the store and the bus hold, for people or as JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from riskwire import __version__
from riskwire.bus import behind
from riskwire.bus.embedded import FILE
from riskwire.bus.open import open_bus
from riskwire.errors import RiskwireError, SettingsError
from riskwire.inference.bundle import Bundle
from riskwire.schemas import Sentiment, to_json
from riskwire.settings import Settings
from riskwire.store import Store


def alerts(settings: Settings, json: bool, limit: int) -> None:
    """The newest record of each alert."""
    with _store(settings) as store:
        rows = store.alerts(limit=limit)
    if json:
        _lines(rows)
        return
    _table(
        ("at", "status", "severity", "name", "what"),
        [(f"{row.at:%Y-%m-%d %H:%M}", row.status, row.severity, row.name, row.summary) for row in rows],
        empty="No alerts yet.",
    )


def targets(settings: Settings, json: bool, limit: int) -> None:
    """The targets followed."""
    with _store(settings) as store:
        rows = store.targets(limit=limit)
    if json:
        _lines(rows)
        return
    _table(
        ("target", "name", "stories", "articles", "score", "surprise"),
        [
            (row.target, row.name, str(row.stories), str(row.articles), _signed(row.score), f"{row.surprise:.1f}")
            for row in rows
        ],
        empty="No targets yet.",
    )


def stories(settings: Settings, target: str, json: bool, limit: int) -> None:
    """The stories of a target."""
    with _store(settings) as store:
        rows = store.stories(target, limit=limit)
    if json:
        _lines(rows)
        return
    _table(
        ("seen", "source", "negative", "title"),
        [(f"{row.seen_at:%Y-%m-%d %H:%M}", row.source, _negative(row.sentiment), row.title) for row in rows],
        empty=f"No stories of {target}; `riskwire targets` lists what there is.",
    )


async def status(settings: Settings, json: bool) -> int:
    """Records per topic, lag per group, bundle, version."""
    if settings.bus.url == "embedded":
        _must_exist(settings.data)
    bus = await open_bus(settings)
    try:
        topics = await bus.records()
        lag = behind(await bus.lag())
    finally:
        await bus.close()
    try:
        bundle = Bundle.load(settings.inference.bundle).label
    except RiskwireError as error:
        bundle = f"unusable: {error}"
    if json:
        _lines([{"topics": topics, "lag": lag, "bundle": bundle, "version": __version__}])
        return 0
    _table(("topic", "records"), [(topic, str(count)) for topic, count in topics.items()])
    _table(("group", "behind"), [(group, str(count)) for group, count in lag.items()], empty="No stage has run yet.")
    Console().print(f"bundle {bundle}, riskwire {__version__}")
    return 0


def _signed(score: float | None) -> str:
    return "" if score is None else f"{score:+.2f}"


def _negative(sentiment: Sentiment | None) -> str:
    return "" if sentiment is None else f"{sentiment.negative:.2f}"


def _store(settings: Settings) -> Store:
    if settings.store.url is None and settings.bus.url == "embedded":
        _must_exist(settings.data)
    return Store.open(settings, read_only=True)


def _must_exist(data: Path) -> None:
    if not (data / FILE).exists():
        raise SettingsError(
            "there is no data of riskwire in this directory",
            where=str(data),
            do="`riskwire run` or `riskwire replay` makes some",
        )


def _lines(rows: Sequence[object]) -> None:
    out = Console(file=None).file
    for row in rows:
        out.write(to_json(row).decode() + "\n")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "") -> None:
    console = Console()
    if not rows:
        console.print(empty)
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)
