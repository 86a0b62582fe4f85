"""The news of a run: the demo's seven weeks told again and again, each time of other companies.

Every telling hands the texts out anew among the companies of the watchlist, so each has its own crisis, reprints and
foreign items; some items come a second time unchanged, some in a new version, and some lines are no news at all.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any

import yaml

END = datetime(2025, 12, 29, tzinfo=UTC)
"""The last telling ends before this Monday."""
TELLING = timedelta(days=49)

_AGAIN = 0.02
_NEW_VERSION = 0.04
_BROKEN = 0.004


def write_archive(path: Path, articles: int, seed: int, corpus: Path, watchlist: Path) -> None:
    """Write so many lines of news (a few of which cannot be read) in order of time."""
    items = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    companies = yaml.safe_load(watchlist.read_text(encoding="utf-8"))
    lines = list(_lines(items, companies, articles, random.Random(seed)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def span_of(path: Path) -> tuple[datetime, datetime]:
    """When the news of an archive begins and ends."""
    times = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if "published_at" in item:
            times.append(datetime.fromisoformat(item["published_at"]))
    return min(times), max(times)


def digest_of(path: Path) -> str:
    """Names an archive by what it holds."""
    return blake2b(path.read_bytes(), digest_size=12).hexdigest()


def _lines(
    items: list[dict[str, Any]], companies: list[dict[str, Any]], articles: int, chance: random.Random
) -> Iterator[str]:
    tellings = -(-articles // len(items))
    first = datetime.fromisoformat(items[0]["published_at"]).replace(hour=0, minute=0)
    told = 0
    for number in range(tellings):
        shift = END - TELLING * (tellings - number) - first
        rename = _renaming(companies, chance) if number else lambda text: text
        again: list[dict[str, Any]] = []
        for plain in items:
            item = _told(plain, shift, number, rename)
            due = sorted(
                (other for other in again if other["published_at"] <= item["published_at"]),
                key=lambda other: other["published_at"],
            )
            for line in (*due, item):
                if told == articles:
                    return
                told += 1
                yield json.dumps(line)
            again = [other for other in again if other not in due]
            again += _repeated(item, chance)
            if chance.random() < _BROKEN and told < articles:
                told += 1
                yield json.dumps({"published_at": item["published_at"], "url": f"{item['url']}/empty", "title": " "})


def _told(plain: dict[str, Any], shift: timedelta, number: int, rename: Callable[[str], str]) -> dict[str, Any]:
    at = datetime.fromisoformat(plain["published_at"]) + shift
    host, _, page = plain["url"].removeprefix("https://").partition("/")
    return {
        "published_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "title": rename(plain["title"]),
        "url": f"https://{host}/telling-{number}/{page}",
        "summary": rename(plain["summary"]),
        "source": plain["source"],
    }


def _repeated(item: dict[str, Any], chance: random.Random) -> list[dict[str, Any]]:
    later = datetime.fromisoformat(item["published_at"]) + timedelta(hours=chance.uniform(0.5, 9))
    copy = item | {"published_at": f"{later:%Y-%m-%dT%H:%M:%SZ}"}
    dice = chance.random()
    if dice < _AGAIN:
        return [copy]
    if dice < _AGAIN + _NEW_VERSION:
        return [copy | {"summary": f"{item['summary']} The company confirmed the report to investors later that day."}]
    return []


def _renaming(companies: list[dict[str, Any]], chance: random.Random) -> Callable[[str], str]:
    """Hand the parts out anew: each company takes the part of another."""
    others = companies.copy()
    chance.shuffle(others)
    names: dict[str, str] = {}
    for company, other in zip(companies, others, strict=True):
        names[company["name"]] = other["name"]
        for kind in ("aliases", "tickers"):
            for name in company.get(kind, ()):
                names[name] = next(iter(other.get(kind, ())), other["name"])
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(names, key=len, reverse=True)))
    return lambda text: pattern.sub(lambda found: names[found.group()], text)
