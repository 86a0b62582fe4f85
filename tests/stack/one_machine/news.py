"""The news of the stack: an hour with a crisis, an hour with bad news of another company, and a story days later.

The stories are those of the demo, with other dates: the crisis was four days ago, and the last story is minutes old.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from riskwire.demo import corpus_path

_CRISIS_DAY = "2031-03-31"
_HOUR = timedelta(hours=1)
_AGO = timedelta(days=4)
"""How long ago the crisis was: longer than the three calm days after which an alert resolves."""

CRISIS, CRISIS_NAME = "entity:norvane", "Norvane Motors"
"""The company that the hour of the crisis is about."""
MUTED, MUTED_NAME = "entity:pelladyne", "Pelladyne Pharma"
"""The company with bad news in the second hour, which is muted before."""


@dataclass(frozen=True, slots=True)
class Archives:
    """The files of the news, in the order in which they are replayed.

    Attributes:
        crisis: the hour of the crisis; `stories` says how many stories it has.
        muted: the hour after it, with bad news of `MUTED`.
        later: a story days later, after which the alerts resolve.
    """

    crisis: Path
    stories: int
    muted: Path
    later: Path


def write_archives(folder: Path, now: datetime) -> Archives:
    """Writes the news into a folder, so that its last story is a few minutes old."""
    start = now - _AGO - 3 * _HOUR
    day = [story for story in _stories() if story["published_at"].startswith(_CRISIS_DAY)]
    bankruptcy = _story(f"{CRISIS_NAME} files for bankruptcy after brake scandal", "harborwire")
    hour = [*day, bankruptcy]
    step = _HOUR / len(hour)
    muted = [_story(f"{MUTED_NAME} files for bankruptcy", "pharmadaily"), _story(_CALM, "marketbell")]
    later = [_story(_CALM, "northpost")]
    return Archives(
        crisis=_written(folder / "crisis.jsonl", hour, start, step),
        stories=len(hour),
        muted=_written(folder / "muted.jsonl", muted, start + 2 * _HOUR, timedelta(minutes=10)),
        later=_written(folder / "later.jsonl", later, now - timedelta(minutes=5), step),
    )


_CALM = "Castellmere Bank opens a branch in Ebbing"


def _stories() -> list[dict[str, Any]]:
    """Returns the stories of the demo."""
    return [json.loads(line) for line in corpus_path().read_text(encoding="utf-8").splitlines() if line.strip()]


def _story(title: str, source: str) -> dict[str, Any]:
    slug = title.lower().replace(" ", "-")
    return {"title": title, "source": source, "summary": f"{title}.", "url": f"https://{source}.example/stack/{slug}"}


def _written(path: Path, stories: list[dict[str, Any]], start: datetime, step: timedelta) -> Path:
    """Writes an archive whose stories follow each other in equal steps."""
    lines = [
        json.dumps({**story, "published_at": (start + index * step).isoformat(timespec="seconds")})
        for index, story in enumerate(stories)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
