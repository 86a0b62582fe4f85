"""Measures how well fingerprints distinguish reprints from other stories, on the Reuters stream of ../shared/data.

    python tests/bench/bench_story.py

Recall: pairs of an article and a copy of it with a shortened lead, another prefix or outlet, fewer or other words in
its title, or without a lead. Each pair is one story.

Merged: pairs of two articles about one company, 3 to 30 days apart. They should be two stories; a few are reprints, so
the figure is an upper bound. Pairs within one day are shown as well: those that merge are updates of one item.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from riskwire.story import bands, fingerprint, same_story

SHARED = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[3] / "shared")) / "data"
STREAM = SHARED / "streams" / "reuters_2009_2010.jsonl.gz"
DATELINE = re.compile(r"^.{0,80}?\(Reuters\)\s*-+\s*")
Text = tuple[str, str]


def reprints(title: str, lead: str, draw: random.Random) -> dict[str, Text]:
    """Returns copies of an article as other sites publish them, as (title, lead), by kind of change.

    Args:
        draw: decides the details, such as the length to which a lead is cut.
    """
    words = title.split()
    fewer = [word for word in words if draw.random() > 0.25] or words
    replaced = [*draw.sample(words, len(words) // 2), "market", "today"]
    return {
        "shortened lead": (title, lead[: draw.randrange(120, 400)]),
        "prefix, shortened lead": (
            draw.choice(["UPDATE 1-", "WRAPUP 2-", "BREAKING: "]) + title,
            lead[: draw.randrange(150, 400)],
        ),
        "outlet, no dateline": (title + draw.choice([" - Reuters", " | CNBC"]), DATELINE.sub("", lead)[:250]),
        "fewer words in the title": (" ".join(fewer), lead[: draw.randrange(200, 400)]),
        "another title": (" ".join(replaced), lead[: draw.randrange(200, 400)]),
        "no lead": (title, ""),
    }


def print_recall(rows: list[dict[str, Any]], fingerprints: list[str], draw: random.Random) -> None:
    """Prints the share of reprints that count as the story of their original, by kind of change.

    Checks 2,000 random articles. Also asserts that two matching fingerprints share a band, since only these are
    compared in production.

    Args:
        fingerprints: the fingerprint (a hash of title and lead) of each row.
    """
    matches: dict[str, list[bool]] = defaultdict(list)
    for index in draw.sample(range(len(rows)), 2_000):
        for kind, text in reprints(rows[index]["title"], rows[index]["summary"], draw).items():
            copy = fingerprint(*text)
            same = same_story(fingerprints[index], copy)
            matches[kind].append(same)
            assert not same or set(bands(fingerprints[index])) & set(bands(copy))
    for kind, hits in matches.items():
        print(f"recall    {sum(hits) / len(hits):.4f}  {kind}")


def print_merged(rows: list[dict[str, Any]], fingerprints: list[str], draw: random.Random) -> None:
    """Prints the share of random pairs of articles about one company that count as one story, by distance in time.

    Args:
        rows: articles; `rics` holds the codes of their companies. `U.S` and `A.T` are none.
        fingerprints: the fingerprint (a hash of title and lead) of each row.
    """
    by_company: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        for code in row["rics"]:
            if code not in {"U.S", "A.T"}:
                by_company[code].append(index)
    times = [datetime.fromisoformat(row["published_at"]) for row in rows]
    days_apart: list[bool] = []
    same_day: list[bool] = []
    for indices in by_company.values():
        for _ in range(4 * len(indices)):
            a, b = draw.choice(indices), draw.choice(indices)
            days = abs((times[a] - times[b]).total_seconds()) / 86_400
            if 3 <= days <= 30:
                days_apart.append(same_story(fingerprints[a], fingerprints[b]))
            elif a != b and days < 1:
                same_day.append(same_story(fingerprints[a], fingerprints[b]))
    for pairs, description in ((days_apart, "3 to 30 days apart"), (same_day, "within a day")):
        print(f"merged    {sum(pairs) / len(pairs):.4f}  of {len(pairs)} pairs about one company, {description}")


def main() -> None:
    """Prints the time of a fingerprint, the recall of reprints, and how many other pairs are merged."""
    draw = random.Random(1)
    with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    started = time.perf_counter()
    fingerprints = [fingerprint(row["title"], row["summary"]) for row in rows]
    print(f"{(time.perf_counter() - started) / len(rows) * 1e6:.0f} us a fingerprint")
    print_recall(rows, fingerprints, draw)
    print_merged(rows, fingerprints, draw)


if __name__ == "__main__":
    main()
