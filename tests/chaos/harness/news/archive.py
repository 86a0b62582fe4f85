"""The archive of a run: the seven weeks of the demo corpus, repeated with the companies exchanged.

Each repetition of the corpus assigns its texts to different companies of the watchlist, so that each has its own
crisis, reprints and foreign items. Some items occur twice unchanged, some return as a new version, and some lines are
not news.
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
"""The last repetition ends before this Monday."""
REPETITION_LENGTH = timedelta(days=49)

_DUPLICATE_SHARE = 0.02
_NEW_VERSION_SHARE = 0.04
_MALFORMED_SHARE = 0.004


def write_archive(path: Path, articles: int, seed: int, corpus: Path, watchlist: Path) -> None:
    """Writes ``articles`` lines of news in order of time, a few of which cannot be read.

    Args:
        corpus: a file with a news item as JSON on each line, which is repeated as often as needed.
        watchlist: the companies that are exchanged in the repetitions.
    """
    items = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    companies = yaml.safe_load(watchlist.read_text(encoding="utf-8"))
    lines = list(_lines(items, companies, articles, random.Random(seed)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def time_span(path: Path) -> tuple[datetime, datetime]:
    """Returns the times of the first and the last article of an archive."""
    times = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if "published_at" in item:
            times.append(datetime.fromisoformat(item["published_at"]))
    return min(times), max(times)


def archive_digest(path: Path) -> str:
    """Returns a digest of an archive's content."""
    return blake2b(path.read_bytes(), digest_size=12).hexdigest()


def _lines(
    items: list[dict[str, Any]], companies: list[dict[str, Any]], articles: int, rng: random.Random
) -> Iterator[str]:
    """Yields `articles` lines of an archive, by time: the corpus repeated, with later copies and some malformed lines.

    Each repetition after the first exchanges the companies and shifts the times; the last one ends at `END`.
    """
    repetitions = -(-articles // len(items))
    corpus_start = datetime.fromisoformat(items[0]["published_at"]).replace(hour=0, minute=0)
    written = 0
    for number in range(repetitions):
        shift = END - REPETITION_LENGTH * (repetitions - number) - corpus_start
        rename = _company_exchange(companies, rng) if number else lambda text: text
        pending: list[dict[str, Any]] = []
        for corpus_item in items:
            item = _shifted(corpus_item, shift, number, rename)
            due = sorted(
                (copy for copy in pending if copy["published_at"] <= item["published_at"]),
                key=lambda copy: copy["published_at"],
            )
            for line in (*due, item):
                if written == articles:
                    return
                written += 1
                yield json.dumps(line)
            pending = [copy for copy in pending if copy not in due]
            pending += _later_copies(item, rng)
            if rng.random() < _MALFORMED_SHARE and written < articles:
                written += 1
                yield json.dumps({"published_at": item["published_at"], "url": f"{item['url']}/empty", "title": " "})


def _shifted(
    corpus_item: dict[str, Any], shift: timedelta, repetition: int, rename: Callable[[str], str]
) -> dict[str, Any]:
    """Returns an item of the corpus at its time and address in a repetition, with the companies exchanged.

    Args:
        shift: how much later the item is published than in the corpus.
        rename: exchanges the companies in a text.
    """
    published_at = datetime.fromisoformat(corpus_item["published_at"]) + shift
    host, _, page = corpus_item["url"].removeprefix("https://").partition("/")
    return {
        "published_at": f"{published_at:%Y-%m-%dT%H:%M:%SZ}",
        "title": rename(corpus_item["title"]),
        "url": f"https://{host}/telling-{repetition}/{page}",
        "summary": rename(corpus_item["summary"]),
        "source": corpus_item["source"],
    }


def _later_copies(item: dict[str, Any], rng: random.Random) -> list[dict[str, Any]]:
    """Returns, for a few items, an unchanged copy or a new version that is published some hours later; else nothing."""
    later = datetime.fromisoformat(item["published_at"]) + timedelta(hours=rng.uniform(0.5, 9))
    copy = item | {"published_at": f"{later:%Y-%m-%dT%H:%M:%SZ}"}
    draw = rng.random()
    if draw < _DUPLICATE_SHARE:
        return [copy]
    if draw < _DUPLICATE_SHARE + _NEW_VERSION_SHARE:
        return [copy | {"summary": f"{item['summary']} The company confirmed the report to investors later that day."}]
    return []


def _company_exchange(companies: list[dict[str, Any]], rng: random.Random) -> Callable[[str], str]:
    """Returns a function that replaces each company's names in a text by those of a random company.

    A name is replaced by the name, an alias by the first alias, and a ticker by the first ticker; by the name if there
    is none. Each company replaces exactly one.
    """
    replacements = companies.copy()
    rng.shuffle(replacements)
    names: dict[str, str] = {}
    for company, replacement in zip(companies, replacements, strict=True):
        names[company["name"]] = replacement["name"]
        for kind in ("aliases", "tickers"):
            for name in company.get(kind, ()):
                names[name] = next(iter(replacement.get(kind, ())), replacement["name"])
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(names, key=len, reverse=True)))
    return lambda text: pattern.sub(lambda match: names[match.group()], text)
