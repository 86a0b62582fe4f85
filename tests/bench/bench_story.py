"""How well story fingerprints tell reprints from other stories, on the Reuters stream of ../shared/data.

    python tests/bench/bench_story.py

Pairs that are one story: an article and a copy of it with a cut lead, another prefix or outlet, fewer or other words in
its title, or no lead at all. Pairs that are not: two articles about the same company, 3 to 30 days apart (a few of
these are reprints all the same, so the figure is an upper bound). Pairs of one day about one company are shown too:
what is merged there are updates of one item.
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

from riskwire.story import bands, fingerprint, same_story

SHARED = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[3] / "shared")) / "data"
STREAM = SHARED / "streams" / "reuters_2009_2010.jsonl.gz"
DATELINE = re.compile(r"^.{0,80}?\(Reuters\)\s*-+\s*")
Text = tuple[str, str]


def reprints(title: str, lead: str, pick: random.Random) -> dict[str, Text]:
    """What other sites make of an item."""
    words = title.split()
    fewer = [word for word in words if pick.random() > 0.25] or words
    others = [*pick.sample(words, len(words) // 2), "market", "today"]
    return {
        "cut lead": (title, lead[: pick.randrange(120, 400)]),
        "prefix, cut lead": (
            pick.choice(["UPDATE 1-", "WRAPUP 2-", "BREAKING: "]) + title,
            lead[: pick.randrange(150, 400)],
        ),
        "outlet, no dateline": (title + pick.choice([" - Reuters", " | CNBC"]), DATELINE.sub("", lead)[:250]),
        "fewer words in the title": (" ".join(fewer), lead[: pick.randrange(200, 400)]),
        "another title": (" ".join(others), lead[: pick.randrange(200, 400)]),
        "no lead": (title, ""),
    }


def main() -> None:
    pick = random.Random(1)
    with gzip.open(STREAM, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    started = time.perf_counter()
    marks = [fingerprint(row["title"], row["summary"]) for row in rows]
    print(f"{(time.perf_counter() - started) / len(rows) * 1e6:.0f} us a fingerprint")
    found: dict[str, list[bool]] = defaultdict(list)
    for at in pick.sample(range(len(rows)), 2_000):
        for kind, text in reprints(rows[at]["title"], rows[at]["summary"], pick).items():
            copy = fingerprint(*text)
            found[kind].append(same_story(marks[at], copy))
            assert not found[kind][-1] or set(bands(marks[at])) & set(bands(copy))
    for kind, hits in found.items():
        print(f"recall    {sum(hits) / len(hits):.4f}  {kind}")
    by_company: dict[str, list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        for code in row["rics"]:
            if code not in {"U.S", "A.T"}:
                by_company[code].append(at)
    times = [datetime.fromisoformat(row["published_at"]) for row in rows]
    apart: list[bool] = []
    same_day: list[bool] = []
    for several in by_company.values():
        for _ in range(4 * len(several)):
            a, b = pick.choice(several), pick.choice(several)
            days = abs((times[a] - times[b]).total_seconds()) / 86_400
            if 3 <= days <= 30:
                apart.append(same_story(marks[a], marks[b]))
            elif a != b and days < 1:
                same_day.append(same_story(marks[a], marks[b]))
    print(f"merged    {sum(apart) / len(apart):.4f}  of {len(apart)} pairs about one company, 3 to 30 days apart")
    print(f"merged    {sum(same_day) / len(same_day):.4f}  of {len(same_day)} pairs about one company within a day")


if __name__ == "__main__":
    main()
