"""Compares the records of a run with those of the reference run, record by record. Pure."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

TOPICS = ("articles", "analyses", "signals", "trends", "alerts", "near-misses", "dead-letters")
_MAX_EXAMPLES = 3
_NEXT_VERSION = b'"of_the_next_version":true'
_COMPARED_DEAD_LETTER_FIELDS = ("stage", "topic", "record", "encoding")
"""The fields of a dead letter that do not depend on when and where it was written."""

Record = dict[str, Any]
Identity = tuple[object, ...]


def article_identity(record: Record) -> Identity:
    """Returns the identity of an article."""
    return record["id"], record["version"]


def analysis_identity(record: Record) -> Identity:
    """Returns the identity of an analysis."""
    return record["article"]["id"], record["article"]["version"]


def _signal_identity(record: Record) -> Identity:
    return record["article"], record["version"], record["target"]


def _trend_identity(record: Record) -> Identity:
    return record["target"], record["start"], record["length_s"]


def _alert_identity(record: Record) -> Identity:
    return record["id"], record["status"], record["at"]


def _near_miss_identity(record: Record) -> Identity:
    return (record["id"],)


def _dead_letter_identity(record: Record) -> Identity:
    return record["stage"], record["record"]


IDENTITIES: Mapping[str, Callable[[Record], Identity]] = {
    "articles": article_identity,
    "analyses": analysis_identity,
    "signals": _signal_identity,
    "trends": _trend_identity,
    "alerts": _alert_identity,
    "near-misses": _near_miss_identity,
    "dead-letters": _dead_letter_identity,
}
"""The identity of a record, by topic. No two records of a topic may have the same identity."""


@dataclass(slots=True)
class TopicComparison:
    """The comparison of one topic: the number of records checked, and descriptions of wrong records.

    Attributes:
        by_next_version: the number of records that the next version wrote.
    """

    topic: str
    checked: int = 0
    by_next_version: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether no record is lost, doubled or different."""
        return not (self.lost or self.doubled or self.differing)

    def report_lines(self) -> Iterable[str]:
        """Yields the first descriptions of each kind, and the number of the remaining ones."""
        for kind, descriptions in (("lost", self.lost), ("doubled", self.doubled), ("differing", self.differing)):
            for description in descriptions[:_MAX_EXAMPLES]:
                yield f"{self.topic}: {kind}: {description}"
            if len(descriptions) > _MAX_EXAMPLES:
                yield f"{self.topic}: {kind}: and {len(descriptions) - _MAX_EXAMPLES} more"


def compare_topic(topic: str, reference: Iterable[bytes], actual: Iterable[bytes]) -> TopicComparison:
    """Checks that a topic has each record of the reference run once, byte for byte, and no other record.

    Records are matched by their identity, such as id and version. One that is missing is lost. One with other bytes, or
    of an identity that the reference run has not, differs. Each repetition of an identity is doubled.

    Ticks, marks and decisions are ignored, since they depend on time and on the batches. Of a dead letter only the
    fields are compared that do not depend on when it was written and where the record was.
    """
    expected, records_by_identity = _by_identity(topic, reference), _by_identity(topic, actual)
    comparison = TopicComparison(topic, sum(map(len, records_by_identity.values())))
    for identity, records in expected.items():
        actual_records = records_by_identity.get(identity)
        if actual_records is None:
            comparison.lost.append(f"{identity}")
        elif len(set(actual_records)) > 1 or actual_records[0] != records[0]:
            comparison.differing.append(f"{identity}: {_difference(records[0], actual_records)}")
    for identity, records in records_by_identity.items():
        comparison.doubled += [f"{identity}"] * (len(records) - 1)
        if identity not in expected:
            comparison.differing.append(f"{identity}: not in the reference run: {records[0][:300]!r}")
    return comparison


def without_added(records: Iterable[bytes], added: Counter[bytes]) -> list[bytes]:
    """Returns the records without those that the run added, each removed as often as it was added.

    Equal records become neighbours, so the order may change.

    Raises:
        AssertionError: a record that the run added is missing.
    """
    counts = Counter(records)
    counts.subtract(added)
    missing = [record for record, count in counts.items() if count < 0]
    assert not missing, f"records that the run added are missing: {missing[:2]}"
    return list(counts.elements())


def without_muted(records: Iterable[bytes]) -> list[bytes]:
    """Returns near misses without those that people caused by a mute."""
    return [record for record in records if json.loads(record)["reason"] != "muted"]


def store_differences(reference: Mapping[str, object], actual: Mapping[str, object]) -> list[str]:
    """Returns a description of each entry that is missing in one of two stores, or differs; empty if they are equal."""
    return [
        f"store: {key}: reference {str(reference.get(key))[:300]} actual {str(actual.get(key))[:300]}"
        for key in sorted({*reference, *actual})
        if reference.get(key) != actual.get(key)
    ]


def without_next_version(record: bytes) -> bytes:
    """Returns a record without the fields that only the next version of riskwire writes, in every object."""
    return record.replace(b"," + _NEXT_VERSION, b"").replace(_NEXT_VERSION, b"")


def count_by_next_version(topic: str, records: Iterable[bytes]) -> int:
    """Returns how many records the next version wrote, without ticks, marks and decisions."""
    return sum(map(len, _by_identity(topic, (record for record in records if _NEXT_VERSION in record)).values()))


def expected_dead_letter(raw: bytes) -> bytes:
    """Returns the compared fields of the dead letter, as JSON, of an unreadable record on the topic articles.

    The record is in base64 unless it is UTF-8 text.
    """
    try:
        record, encoding = raw.decode(), "text"
    except UnicodeDecodeError:
        record, encoding = base64.b64encode(raw).decode(), "base64"
    return json.dumps({"stage": "infer", "topic": "articles", "record": record, "encoding": encoding}).encode()


def _by_identity(topic: str, records: Iterable[bytes]) -> dict[Identity, list[bytes]]:
    """Returns the records of a topic by identity; ticks, marks and decisions of people are left out.

    Records of one identity keep their order. Dead letters are reduced to the fields that do not depend on the run.
    """
    identity_of = IDENTITIES[topic]
    records_by_identity: dict[Identity, list[bytes]] = {}
    for raw in records:
        record = json.loads(raw)
        if record.get("kind") in ("tick", "mark", "decision"):
            continue
        compared = raw
        if topic == "dead-letters":
            compared = json.dumps([record[key] for key in _COMPARED_DEAD_LETTER_FIELDS]).encode()
        records_by_identity.setdefault(identity_of(record), []).append(compared)
    return records_by_identity


def _difference(reference: bytes, actual: list[bytes]) -> str:
    """Returns a description of the fields in which a record differs: name -> (in the reference run, actual).

    Args:
        actual: the records of the same identity, of which the first one that differs is described.
    """
    expected_record = json.loads(reference)
    actual_record = json.loads(next((raw for raw in actual if raw != reference), actual[0]))
    if not isinstance(expected_record, dict) or not isinstance(actual_record, dict):
        return f"{expected_record} {actual_record}"[:400]
    fields = {
        key: (expected_record.get(key), actual_record.get(key))
        for key in {*expected_record, *actual_record}
        if expected_record.get(key) != actual_record.get(key)
    }
    return str(fields)[:400] or "equal fields, different bytes"
