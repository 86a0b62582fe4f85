"""A sample of notifications to read without seeing what riskwire decided. Pure."""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from riskwire.errors import RiskwireError
from riskwire.records import Alert

FIELDS = ("number", "line", "at", "target", "name", "title", "text", "verdict")
"""The last one is empty: the reader fills it in."""


def draw_sample(alerts: Sequence[Alert], count: int, seed: int) -> list[Alert]:
    """Returns `count` of the notifications, drawn by a seed, in the order of time; all if there are fewer."""
    drawn = random.Random(seed).sample(range(len(alerts)), min(count, len(alerts)))
    return [alerts[index] for index in sorted(drawn)]


def write_sample(path: Path, alerts: Sequence[Alert], lines: Mapping[str, int]) -> None:
    """Writes notifications as values between tabs: when, on whom and by which story, without level, type and score.

    Args:
        lines: by URL of an article, the number of its line in the archive, from 0.

    Raises:
        RiskwireError: the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            rows.writerow(FIELDS)
            for number, alert in enumerate(alerts, start=1):
                newest = max(alert.evidence, key=lambda story: (story.seen_at, story.url), default=None)
                title = newest.title if newest else alert.summary
                text = newest.text if newest and newest.text != newest.title else ""
                line = lines.get(newest.url, "") if newest else ""
                rows.writerow([number, line, alert.at.isoformat(), alert.target, alert.name, title, text, ""])
    except OSError as error:
        raise RiskwireError("the sample cannot be written", where=str(path)) from error
