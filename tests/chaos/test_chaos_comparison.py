"""The comparison detects lost, doubled and differing records, and ignores fields that may differ."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from harness.verdict.comparison import (
    IDENTITIES,
    compare_topic,
    count_by_next_version,
    expected_dead_letter,
    without_added,
    without_next_version,
)

RECORDS: dict[str, dict[str, Any]] = {
    "articles": {"kind": "article", "id": "a", "version": 1, "title": "t"},
    "analyses": {"article": {"id": "a", "version": 1}, "score": 0.5},
    "signals": {"kind": "signal", "article": "a", "version": 1, "target": "market", "relevance": 1.0},
    "trends": {"target": "market", "start": "2025-01-01T00:00:00Z", "length_s": 60, "stories": 3},
    "alerts": {"id": "c", "status": "firing", "at": "2025-01-01T00:00:00Z", "surprise": 4.1},
    "near-misses": {"id": "n", "at": "2025-01-01T00:00:00Z", "reason": "level"},
    "dead-letters": {
        "stage": "infer",
        "topic": "articles",
        "record": "{",
        "encoding": "text",
        "at": "now",
        "offset": 7,
    },
}


def encode(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


@pytest.mark.parametrize("topic", IDENTITIES)
def test_a_missing_record_is_lost_a_repeated_one_doubled_and_an_additional_one_differs(topic: str) -> None:
    """`compare_topic` takes the records of the reference run, then those of the run."""
    record = encode(RECORDS[topic])
    assert compare_topic(topic, [record], [record]).equal
    lost = compare_topic(topic, [record], [])
    assert (len(lost.lost), len(lost.doubled), len(lost.differing)) == (1, 0, 0)
    doubled = compare_topic(topic, [record], [record, record, record])
    assert (len(doubled.lost), len(doubled.doubled), len(doubled.differing)) == (0, 2, 0)
    additional = compare_topic(topic, [], [record])
    assert (len(additional.lost), len(additional.doubled), len(additional.differing)) == (0, 0, 1)


@pytest.mark.parametrize(
    ("topic", "field"), [("analyses", "score"), ("signals", "relevance"), ("trends", "stories"), ("alerts", "surprise")]
)
def test_a_record_that_differs_is_described_by_its_differing_field(topic: str, field: str) -> None:
    """The description shows the values as (reference, actual). A second record of the same identity is also doubled."""
    changed = encode(RECORDS[topic] | {field: 9})
    comparison = compare_topic(topic, [encode(RECORDS[topic])], [changed])
    assert (len(comparison.lost), len(comparison.doubled), len(comparison.differing)) == (0, 0, 1)
    assert f"'{field}': ({RECORDS[topic][field]}, 9)" in comparison.differing[0]
    both = compare_topic(topic, [encode(RECORDS[topic])], [encode(RECORDS[topic]), changed])
    assert (len(both.lost), len(both.doubled), len(both.differing)) == (0, 1, 1)


def test_equal_fields_in_different_bytes_differ() -> None:
    record = RECORDS["trends"]
    assert not compare_topic("trends", [encode(record)], [json.dumps(record, indent=1).encode()]).equal


def test_ticks_and_marks_are_ignored() -> None:
    mark = encode({"kind": "mark", "from": 1, "seen_at": "2025-01-01T00:00:00Z"})
    assert compare_topic("signals", [], [mark, mark]).checked == 0
    assert compare_topic("articles", [encode({"kind": "tick"})], []).equal


def test_time_and_offset_of_a_dead_letter_are_ignored() -> None:
    """Its other fields are compared, also with the dead letter that is expected for an unreadable record.

    The record of a dead letter is text, or base64 if it is no text.
    """
    dead_letter = RECORDS["dead-letters"]
    assert compare_topic(
        "dead-letters", [encode(dead_letter)], [encode(dead_letter | {"at": "then", "offset": 8, "partition": 2})]
    ).equal
    assert not compare_topic("dead-letters", [encode(dead_letter)], [encode(dead_letter | {"record": "["})]).equal
    assert compare_topic("dead-letters", [expected_dead_letter(b"{")], [encode(dead_letter)]).equal
    assert compare_topic(
        "dead-letters",
        [expected_dead_letter(b"\xff")],
        [encode(dead_letter | {"record": "/w==", "encoding": "base64"})],
    ).equal


def test_records_that_the_run_added_are_removed_as_often_as_they_were_added() -> None:
    assert sorted(without_added([b"a", b"a", b"b"], Counter([b"a"]))) == [b"a", b"b"]
    with pytest.raises(AssertionError, match="are missing"):
        without_added([b"b"], Counter([b"a"]))


def test_fields_of_the_next_version_are_left_out_in_every_object() -> None:
    record = b'{"id":"a","of_the_next_version":true,"parts":[{"x":1,"of_the_next_version":true}],"empty":{}}'
    assert without_next_version(record) == b'{"id":"a","parts":[{"x":1}],"empty":{}}'
    assert without_next_version(b'{"empty":{"of_the_next_version":true}}') == b'{"empty":{}}'


def test_records_of_the_next_version_are_counted_without_marks() -> None:
    old, mark = encode(RECORDS["signals"]), b'{"kind":"mark","of_the_next_version":true}'
    new = old.replace(b"}", b',"of_the_next_version":true}')
    assert count_by_next_version("signals", [old, new, mark]) == 1
