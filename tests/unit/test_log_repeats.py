"""A library that complains dozens of times a second is heard, and does not drown everything else."""

from __future__ import annotations

import logging

from riskwire.logs import Repeats


def complaint(at: float, node: int = 1, msg: str = "Unable to reach node %s") -> logging.LogRecord:
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, msg, (node,), None)
    record.created = at
    return record


def test_the_same_complaint_is_told_once_in_a_while_and_says_how_often_it_came():
    told = []
    repeats = Repeats(every_s=30)
    for tenth in range(700):
        record = complaint(tenth / 10, node=tenth % 3)
        if repeats.filter(record):
            told.append((record.created, record.getMessage()))
    assert told == [
        (0.0, "Unable to reach node 0"),
        (30.0, "Unable to reach node 0 (and 299 more like it before)"),
        (60.0, "Unable to reach node 0 (and 299 more like it before)"),
    ]


def test_another_complaint_is_told_at_once():
    repeats = Repeats()
    assert repeats.filter(complaint(0.0))
    assert repeats.filter(complaint(0.1, msg="Group coordinator %s is gone"))
    assert not repeats.filter(complaint(0.2))


def test_what_is_remembered_is_bounded():
    repeats = Repeats(remember=10)
    for number in range(1_000):
        assert repeats.filter(complaint(0.0, msg=f"complaint {number} of %s"))
    assert len(repeats._told) == 10
