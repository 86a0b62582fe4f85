"""What a run left, compared record by record with what a calm run left. Pure."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TOPICS = ("articles", "analyses", "signals", "trends", "alerts", "dead-letters")
_EXAMPLES = 3
_LETTER = ("stage", "topic", "record", "encoding")
"""What of a dead letter does not depend on when and where it was written."""

Record = dict[str, Any]


def _article(record: Record) -> tuple[object, ...]:
    return record["id"], record["version"]


def _analysis(record: Record) -> tuple[object, ...]:
    return record["article"]["id"], record["article"]["version"]


def _signal(record: Record) -> tuple[object, ...]:
    return record["article"], record["version"], record["target"]


def _trend(record: Record) -> tuple[object, ...]:
    return record["target"], record["start"], record["length_s"]


def _alert(record: Record) -> tuple[object, ...]:
    return record["id"], record["status"], record["at"]


def _letter(record: Record) -> tuple[object, ...]:
    return record["stage"], record["record"]


IDENTITY: Mapping[str, Callable[[Record], tuple[object, ...]]] = {
    "articles": _article,
    "analyses": _analysis,
    "signals": _signal,
    "trends": _trend,
    "alerts": _alert,
    "dead-letters": _letter,
}
"""What a record of each topic is one of."""


@dataclass(slots=True)
class Compared:
    """One topic: how many records were checked, and what is wrong."""

    topic: str
    checked: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.differing)

    def told(self) -> Iterable[str]:
        """A few of what is wrong, for a person."""
        for what, found in (("lost", self.lost), ("doubled", self.doubled), ("differing", self.differing)):
            for one in found[:_EXAMPLES]:
                yield f"{self.topic}: {what}: {one}"
            if len(found) > _EXAMPLES:
                yield f"{self.topic}: {what}: and {len(found) - _EXAMPLES} more"


def compare(topic: str, calm: Iterable[bytes], here: Iterable[bytes]) -> Compared:
    """Records of one topic: each of the calm run's once, byte for byte, and nothing else.

    Ticks and marks are set aside (they tell time, and where a batch ended); of a dead letter what tells when it was
    written and where the record stood that it is about.
    """
    expected, found = _by_identity(topic, calm), _by_identity(topic, here)
    compared = Compared(topic, sum(len(records) for records in found.values()))
    for identity, records in expected.items():
        there = found.get(identity)
        if there is None:
            compared.lost.append(f"{identity}")
        elif len(set(there)) > 1 or there[0] != records[0]:
            compared.differing.append(f"{identity}: {_difference(records[0], there)}")
    for identity, records in found.items():
        compared.doubled += [f"{identity}"] * (len(records) - 1)
        if identity not in expected:
            compared.differing.append(f"{identity}: the calm run has no such record: {records[0][:300]!r}")
    return compared


def without(records: Iterable[bytes], extra: Counter[bytes]) -> list[bytes]:
    """Records less those that the run itself added: each as often as it did, the later ones."""
    counted = Counter(records)
    counted.subtract(extra)
    missing = [record for record, count in counted.items() if count < 0]
    assert not missing, f"what the run itself wrote is not there: {missing[:2]}"
    return list(counted.elements())


def live_lost(final: Mapping[str, str], articles: Iterable[Record]) -> list[str]:
    """Pages whose last words (`final`, by address) infer never reads, on a log of articles in its order."""
    there = {_words(article) for article in _read(articles).values()}
    return [f"{url}: {words}" for url, words in final.items() if (url, words) not in there]


def compare_live(final: Mapping[str, str], stood: Collection[tuple[str, str]], articles: Iterable[Record]) -> Compared:
    """Articles of feeds: each page's last words where infer reads them, every version up to the last, from each feed
    each version once and no two versions alike, and nothing that never stood there.

    Args:
        final: the last words of each page.
        stood: all words that ever stood on each page; what was corrected before anyone looked need not be there.
        articles: as they stand on the log; those of one id in its order.
    """
    found = list(articles)
    compared = Compared("live articles", len(found), live_lost(final, found))
    newest: dict[object, int] = {}
    for one in found:
        newest[one["id"]] = max(newest.get(one["id"], 0), one["version"])
    due = {(article, version) for article, last in newest.items() for version in range(1, last)}
    compared.lost += [f"{which}, and a later version is there" for which in due - {*_read(found)}]
    versions = Counter((one["source"], one["id"], one["version"]) for one in found)
    words = Counter((one["source"], one["id"], one["title"]) for one in {_identity(one): one for one in found}.values())
    compared.doubled = [f"{which}" for which, count in (versions + words).items() for _ in range(count - 1)]
    compared.differing = [f"never published: {one}" for one in found if _words(one) not in stood]
    return compared


def compare_readings(articles: Iterable[Record], analyses: Iterable[Record]) -> Compared:
    """One analysis per (id, version) of the log of articles, of the words that came first under it."""
    expected = _read(articles)
    found: dict[tuple[object, ...], list[Record]] = {}
    for one in analyses:
        found.setdefault(_analysis(one), []).append(one["article"])
    compared = Compared("live analyses", sum(map(len, found.values())))
    compared.lost = [f"{which}" for which in expected if which not in found]
    for which, those in found.items():
        compared.doubled += [f"{which}"] * (len(those) - 1)
        if which not in expected:
            compared.differing.append(f"of no article: {which}")
        elif {_words(one) for one in those} != {_words(expected[which])}:
            compared.differing.append(f"of other words than came first: {which}: {_words(those[-1])}")
    return compared


def compare_letters(letters: Iterable[Record]) -> Compared:
    """Dead letters of live news: there must be none, since whatever is published there can be read."""
    told = [f"{one.get('stage')}: {one.get('error')}: {str(one.get('record'))[:200]}" for one in letters]
    return Compared("live dead-letters", len(told), differing=told)


def view_differences(calm: Mapping[str, object], here: Mapping[str, object]) -> list[str]:
    """What users would see otherwise."""
    found = []
    for key in sorted({*calm, *here}):
        if calm.get(key) != here.get(key):
            found.append(f"store: {key}: calm {str(calm.get(key))[:300]} here {str(here.get(key))[:300]}")
    return found


def letter_of(raw: bytes) -> bytes:
    """The dead letter, as far as it is compared, of a record of `articles` that cannot be read."""
    try:
        record, encoding = raw.decode(), "text"
    except UnicodeDecodeError:
        record, encoding = base64.b64encode(raw).decode(), "base64"
    return json.dumps({"stage": "infer", "topic": "articles", "record": record, "encoding": encoding}).encode()


def _read(articles: Iterable[Record]) -> dict[tuple[object, ...], Record]:
    """What infer reads: of each (id, version) what came first. Two feeds may each bring one with words of its own."""
    read: dict[tuple[object, ...], Record] = {}
    for one in articles:
        read.setdefault(_article(one), one)
    return read


def _words(article: Record) -> tuple[str, str]:
    return article["url"], article["title"]


def _identity(article: Record) -> tuple[object, ...]:
    return article["source"], *_article(article)


def _by_identity(topic: str, records: Iterable[bytes]) -> dict[tuple[object, ...], list[bytes]]:
    identity = IDENTITY[topic]
    found: dict[tuple[object, ...], list[bytes]] = {}
    for raw in records:
        record = json.loads(raw)
        if record.get("kind") in ("tick", "mark"):
            continue
        told = json.dumps([record[key] for key in _LETTER]).encode() if topic == "dead-letters" else raw
        found.setdefault(identity(record), []).append(told)
    return found


def _difference(calm: bytes, here: list[bytes]) -> str:
    """The fields in which two records differ."""
    before = json.loads(calm)
    other = next((raw for raw in here if raw != calm), here[0])
    after = json.loads(other)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return f"{before} {after}"[:400]
    fields = {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}
    return str(fields)[:400] or "the same fields written otherwise"
