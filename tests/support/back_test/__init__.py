"""Stories, notifications and archives for tests of the back-test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from riskwire.backtest.matching import Notification
from riskwire.backtest.stories import TargetReport

START = datetime(2030, 1, 1, tzinfo=UTC)
Archive = Callable[..., Path]


def at(hours: float) -> datetime:
    """Returns the time so many hours after the start."""
    return START + timedelta(hours=hours)


def notification(hours: float, target: str = "entity:name:acme", name: str = "Acme", *families: str) -> Notification:
    """Returns a notification so many hours after the start."""
    return Notification(at(hours), target, name, families=families)


def report(hours: float, title: str, *, name: str = "Acme", adverse: float = 0.9, article: str = "") -> TargetReport:
    """Returns what an article with a title says of a company, so many hours after the start."""
    return TargetReport(
        at=at(hours),
        target=f"entity:name:{name.lower()}",
        name=name,
        article=article or f"{name}-{hours}",
        url=f"https://news.example/{article or hours}",
        title=title,
        mention=name,
        in_title=name in title,
        material=adverse,
        adverse=adverse,
        events=(),
        relevance=1.0,
        backfill=False,
    )
