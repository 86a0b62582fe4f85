"""Runs every case of a folder of cases from the field through the real code, and prints what comes out.

    python tests/bench/show_cases.py [--cases ../shared/cases] [--bundle FOLDER] [--only names]

A line has the case, its value now, and whether that is right. Texts are read by `riskwire score` with the bundle given,
by default the shipped one; a row that needs levels waits (`-`) where the bundle does not predict them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit/ingest/dates"))

from feeds.recorded_items import is_read
from test_read_time import FORMS_OF_FEEDS, moment_of

from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.vocabulary import Vocabulary
from riskwire.ingest.admission import admit
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import FeedItem, ParseResult, parse_document
from riskwire.records import Level

RISKWIRE = Path(sys.executable).with_name("riskwire")
NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
"""When the feeds are read, half an hour after most of their items were published."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case, its value now, and whether that is right; None if it is not known."""

    case: str
    value: str
    right: bool | None


@dataclass(frozen=True, slots=True)
class Cases:
    """The folder of cases, and the bundle that reads their texts; None for the shipped one."""

    folder: Path
    bundle: Path | None

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Returns the objects of a file of JSON lines."""
        return [json.loads(line) for line in (self.folder / name).read_text("utf-8-sig").splitlines()]

    def riskwire(self, *arguments: str, text: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Runs a command, in a folder without settings."""
        environment = dict(os.environ)
        if self.bundle is not None:
            environment["RISKWIRE_INFERENCE__BUNDLE"] = str(self.bundle.absolute())
        with tempfile.TemporaryDirectory() as folder:
            return subprocess.run(
                [RISKWIRE, *arguments], input=text, capture_output=True, cwd=folder, env=environment, check=False
            )

    def score(self, rows: list[dict[str, Any]], *arguments: str, mark: bytes = b"") -> list[dict[str, Any]]:
        """Returns what `riskwire score` says of the texts of rows, in order."""
        lines = [json.dumps({"id": number, "text": row["text"]}).encode() for number, row in enumerate(rows)]
        done = self.riskwire("score", *arguments, text=mark + b"\n".join(lines) + b"\n")
        if done.returncode:
            raise SystemExit(done.stderr.decode())
        return [json.loads(line) for line in done.stdout.splitlines()]

    def parse(self, name: str) -> ParseResult:
        """Returns the items of a feed document."""
        return parse_document(
            (self.folder / "feeds" / name).read_bytes(),
            "",
            "https://wire.example/feed",
            source="wire",
            feed_format="auto",
            limits=Limits(),
            min_confidence=0.5,
        )


def dates(cases: Cases) -> Iterator[CaseRow]:
    """The forms of dates, alone; their right values are those of the unit test."""
    right = dict(FORMS_OF_FEEDS)
    for text in (cases.folder / "dates.txt").read_text("utf-8").splitlines():
        moment = moment_of(text)
        yield CaseRow(text, moment.isoformat(" ") if moment else "unknown", moment == right[text])


def feed_dates(cases: Cases) -> Iterator[CaseRow]:
    """Dates in feeds: every item of 30 November is news of 02:30 UTC, that of the 28th backfill, 1970 unknown."""
    for name in ("epoch.xml", "slash.xml", "dates2.xml"):
        articles = admit(items := cases.parse(name).items, "wire", ItemMemory({}, 1_000), NOW, 21_600)
        for (stated, at, backfill), count in Counter(
            (item.stated_date, article.published_at, article.backfill)
            for item, article in zip(items, articles, strict=True)
        ).items():
            unknown = at == NOW
            value = f"{at:%Y-%m-%d %H:%M:%S}, {'backfill' if backfill else 'news'}{' (unknown)' if unknown else ''}"
            is_old = stated.startswith("Sat, 28")
            right = unknown if "1970" in stated else f"{at:%d %H:%M}" == ("28 02:30" if is_old else "30 02:30")
            yield CaseRow(f"{name}: {stated} ({count} items)", value, right and backfill == is_old)


def identity(cases: Cases) -> Iterator[CaseRow]:
    """Items that stay apart or one article: together, and one by one over several polls."""
    for name, expected in (("anchors.xml", 3), ("nolink.xml", 3)):
        items = cases.parse(name).items
        yield CaseRow(name, f"{len(_published([items]))} items", len(_published([items])) == expected)
        single = len(_published([[item] for item in items] * 2))
        yield CaseRow(f"{name}, one by one", f"{single} items", single == expected)
    changes: dict[str, Callable[[str], str]] = {
        "guidchange.xml": lambda text: text.replace("g-8-1796005973", "g-8-1796009999"),
        "retitle.xml": lambda text: text.replace("recalls bars again", "recalls more bars"),
        "session.xml": lambda text: text.replace("sid=1796005973214683193", "sid=1796005999999999999"),
    }
    for name, change in changes.items():
        document = (cases.folder / "feeds" / name).read_text("utf-8")
        polls = [_items(document.encode()), _items(change(document).encode())]
        articles = len(_published(polls))
        yield CaseRow(f"{name}, two polls", f"{articles} article", articles == 1)


def _items(document: bytes) -> tuple[FeedItem, ...]:
    return parse_document(
        document,
        "",
        "https://wire.example/feed",
        source="wire",
        feed_format="auto",
        limits=Limits(),
        min_confidence=0.5,
    ).items


def _published(polls: list[Any]) -> set[str]:
    """Returns the ids of the articles that polls of a feed publish."""
    memory = ItemMemory({}, 1_000)
    return {article.id for items in polls for article in admit(items, "wire", memory, NOW, 21_600)}


def documents(cases: Cases) -> Iterator[CaseRow]:
    """Documents with faults: every item, every repair reported."""
    for name in ("sm1.xml", "sm2.xml", "rss_ent.xml", "enc.xml", "space.xml"):
        document = (cases.folder / "feeds" / name).read_bytes()
        result = cases.parse(name)
        written = max(document.count(b"<item>"), document.count(b"<url>"))
        value = f"{len(result.items)} of {written} items: " + "; ".join(item.title for item in result.items)
        repairs = f" [{'; '.join(result.repairs)}]" if result.repairs else ""
        links = all(" " not in item.url for item in result.items)
        yield CaseRow(name, value + repairs, len(result.items) == written and not result.skipped and links)


def languages(cases: Cases) -> Iterator[CaseRow]:
    """English headlines with foreign names are read, declared or not."""
    vocabulary = Vocabulary.load(Bundle.load(cases.bundle).tokenizer_path)
    for row in cases.lines("language.jsonl"):
        read = [is_read(vocabulary, row["text"], "", declared) for declared in ("", "en", "en-us")]
        yield CaseRow(row["text"], "read" if all(read) else f"read undeclared, en, en-us: {read}", all(read))
    for item in cases.parse("langs.xml").items:
        yield CaseRow(f"langs.xml: {item.title}", f"language {item.language}", item.language == "en")


def names(cases: Cases) -> Iterator[CaseRow]:
    """Common words as names: exactly the companies that are meant."""
    watchlist = cases.folder.absolute() / "watchlist.yaml"
    ids = {line.split("id: ")[1].split(",")[0] for line in watchlist.read_text("utf-8").splitlines() if "id: " in line}
    rows = cases.lines("names.jsonl")
    for row, result in zip(rows, cases.score(rows, "--watchlist", str(watchlist)), strict=True):
        linked = {(mention["entity"] or "").removeprefix("entity:") for mention in result["mentions"]} & ids
        meant = set(row["companies"])
        value = ", ".join(sorted(linked)) or "none"
        value += "" if linked == meant else f"; meant: {', '.join(sorted(meant)) or 'none'}"
        yield CaseRow(f"{row['id']}: {row['text']}", value, linked == meant)


def levels(cases: Cases, name: str) -> Iterator[CaseRow]:
    """The level of the worst mention of the company that each text is about."""
    adverse_from = Bundle.load(cases.bundle).manifest.heads.adverse_from
    rows = cases.lines(name)
    for row, result in zip(rows, cases.score(rows), strict=True):
        about = [mention for mention in result["mentions"] if "Globex" in mention["text"]]
        allowed = row["level"].split(", ")[0].split(" or ")
        case = f"{row['id']}: {row['text']}"
        if not about:
            yield CaseRow(case, f"no mention; should be {row['level']}", False)
            continue
        if any(mention["level"] is None for mention in about):
            sentiment = max(about, key=lambda mention: mention["sentiment"]["negative"])["sentiment"]
            label, probability = max(sentiment.items(), key=lambda pair: pair[1])
            yield CaseRow(case, f"no level (sentiment {label} {probability:.2f}); should be {row['level']}", None)
            continue
        worst = max(about, key=lambda mention: mention["adverse"])
        label = Level.model_validate(worst["level"]).label(adverse_from)
        events = ", ".join(event["label"] for event in worst["events"] or ()) or "no event"
        value = f"{label} (adverse {worst['adverse']:.2f} of {adverse_from or 0.5:.2f}; {events})"
        yield CaseRow(case, f"{value}; should be {row['level']}", label in allowed)


def archive(cases: Cases) -> Iterator[CaseRow]:
    """An archive with a byte order mark, replayed and scored."""
    path = (cases.folder / "archive_bom.jsonl").absolute()
    rows = cases.lines("archive_bom.jsonl")
    with tempfile.TemporaryDirectory() as data:
        done = cases.riskwire("replay", str(path), "--data", f"{data}/d", "--publish-only")
        value = done.stderr.decode().strip().splitlines()[-1]
        yield CaseRow("archive_bom.jsonl, replayed", value, f"{len(rows)} articles" in value and "bad" not in value)
    results = cases.score([{"text": row["title"]} for row in rows], mark=b"\xef\xbb\xbf")
    yield CaseRow("its titles after a mark, scored", f"{len(results)} of {len(rows)} lines", len(results) == len(rows))


GROUPS: dict[str, Callable[[Cases], Iterator[CaseRow]]] = {
    "dates": dates,
    "feed dates": feed_dates,
    "identity": identity,
    "documents": documents,
    "language": languages,
    "archive": archive,
    "names": names,
    "averted": lambda cases: levels(cases, "averted.jsonl"),
    "credit events": lambda cases: levels(cases, "credit_events.jsonl"),
}


def main() -> None:
    """Prints a Markdown table of each group of cases, and how many are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=Path("../shared/cases"), help="folder of the cases")
    parser.add_argument("--bundle", type=Path, help="folder of a bundle; by default the one that ships")
    parser.add_argument("--only", help="only the groups whose name has this text")
    arguments = parser.parse_args()
    cases = Cases(arguments.cases, arguments.bundle)
    print(f"bundle {Bundle.load(cases.bundle).label}")
    for title, group in GROUPS.items():
        if arguments.only and arguments.only not in title:
            continue
        rows = list(group(cases))
        decided = [row for row in rows if row.right is not None]
        waiting = f", {len(rows) - len(decided)} wait" if len(decided) < len(rows) else ""
        print(f"\n### {title}: {sum(map(bool, (row.right for row in decided)))} of {len(decided)} right{waiting}\n")
        print("| case | now | right |\n|---|---|---|")
        for row in rows:
            mark = {True: "yes", False: "**no**", None: "-"}[row.right]
            print(f"| {row.case.replace('|', ' ')} | {row.value.replace('|', ' ')} | {mark} |")


if __name__ == "__main__":
    main()
