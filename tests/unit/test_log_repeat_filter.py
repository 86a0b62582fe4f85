"""RepeatFilter: a message that a library logs dozens of times a second appears once in a while, with a count."""

from __future__ import annotations

import logging

from riskwire.logs import RepeatFilter


def log_record(at: float, node: int = 1, message: str = "Unable to reach node %s") -> logging.LogRecord:
    record = logging.LogRecord("aiokafka", logging.ERROR, "", 0, message, (node,), None)
    record.created = at
    return record


def test_a_repeated_message_passes_once_in_an_interval_with_the_number_of_suppressed_ones():
    """A message is logged ten times a second for 70 s. Its arguments vary, which makes it no other message."""
    passed = []
    repeat_filter = RepeatFilter(every_s=30)
    for tenth in range(700):
        record = log_record(tenth / 10, node=tenth % 3)
        if repeat_filter.filter(record):
            passed.append((record.created, record.getMessage()))
    assert passed == [
        (0.0, "Unable to reach node 0"),
        (30.0, "Unable to reach node 0 (and 299 similar messages before)"),
        (60.0, "Unable to reach node 0 (and 299 similar messages before)"),
    ]


def test_a_different_message_passes_at_once():
    repeat_filter = RepeatFilter()
    assert repeat_filter.filter(log_record(0.0))
    assert repeat_filter.filter(log_record(0.1, message="Group coordinator %s is gone"))
    assert not repeat_filter.filter(log_record(0.2))


def test_the_number_of_remembered_messages_is_bounded():
    repeat_filter = RepeatFilter(max_messages=10)
    for number in range(1_000):
        assert repeat_filter.filter(log_record(0.0, message=f"complaint {number} of %s"))
    assert len(repeat_filter._repeats._messages) == 10
