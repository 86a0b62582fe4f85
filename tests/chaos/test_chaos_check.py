"""The comparison sees what is lost, doubled and differing, and sets aside what may differ."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from harness.check import IDENTITY, compare, letter_of, without

RECORDS: dict[str, dict[str, Any]] = {
    "articles": {"kind": "article", "id": "a", "version": 1, "title": "t"},
    "analyses": {"article": {"id": "a", "version": 1}, "score": 0.5},
    "signals": {"kind": "signal", "article": "a", "version": 1, "target": "market", "relevance": 1.0},
    "trends": {"target": "market", "start": "2025-01-01T00:00:00Z", "length_s": 60, "stories": 3},
    "alerts": {"id": "c", "status": "firing", "at": "2025-01-01T00:00:00Z", "surprise": 4.1},
    "dead-letters": {
        "stage": "infer",
        "topic": "articles",
        "record": "{",
        "encoding": "text",
        "at": "now",
        "offset": 7,
    },
}


def raw(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode()


@pytest.mark.parametrize("topic", IDENTITY)
def test_equal_records_are_good_and_one_that_is_missing_or_there_twice_is_told(topic: str) -> None:
    one = raw(RECORDS[topic])
    assert compare(topic, [one], [one]).good
    lost = compare(topic, [one], [])
    assert (len(lost.lost), len(lost.doubled), len(lost.differing)) == (1, 0, 0)
    doubled = compare(topic, [one], [one, one, one])
    assert (len(doubled.lost), len(doubled.doubled), len(doubled.differing)) == (0, 2, 0)
    more = compare(topic, [], [one])
    assert (len(more.lost), len(more.doubled), len(more.differing)) == (0, 0, 1)


@pytest.mark.parametrize(
    ("topic", "field"), [("analyses", "score"), ("signals", "relevance"), ("trends", "stories"), ("alerts", "surprise")]
)
def test_a_record_that_differs_in_one_field_is_told_with_that_field(topic: str, field: str) -> None:
    other = raw(RECORDS[topic] | {field: 9})
    found = compare(topic, [raw(RECORDS[topic])], [other])
    assert (len(found.lost), len(found.doubled), len(found.differing)) == (0, 0, 1)
    assert f"'{field}': ({RECORDS[topic][field]}, 9)" in found.differing[0]
    both = compare(topic, [raw(RECORDS[topic])], [raw(RECORDS[topic]), other])
    assert (len(both.lost), len(both.doubled), len(both.differing)) == (0, 1, 1)


def test_the_same_fields_in_other_bytes_differ() -> None:
    one = RECORDS["trends"]
    assert not compare("trends", [raw(one)], [json.dumps(one, indent=1).encode()]).good


def test_ticks_and_marks_are_set_aside() -> None:
    mark = raw({"kind": "mark", "from": 1, "seen_at": "2025-01-01T00:00:00Z"})
    assert compare("signals", [], [mark, mark]).checked == 0
    assert compare("articles", [raw({"kind": "tick"})], []).good


def test_of_a_dead_letter_time_and_place_are_set_aside() -> None:
    one = RECORDS["dead-letters"]
    assert compare("dead-letters", [raw(one)], [raw(one | {"at": "then", "offset": 8, "partition": 2})]).good
    assert not compare("dead-letters", [raw(one)], [raw(one | {"record": "["})]).good
    assert compare("dead-letters", [letter_of(b"{")], [raw(one)]).good
    assert compare("dead-letters", [letter_of(b"\xff")], [raw(one | {"record": "/w==", "encoding": "base64"})]).good


def test_what_the_run_itself_added_is_taken_out_as_often_as_it_was_added() -> None:
    assert sorted(without([b"a", b"a", b"b"], Counter([b"a"]))) == [b"a", b"b"]
    with pytest.raises(AssertionError, match="is not there"):
        without([b"b"], Counter([b"a"]))
