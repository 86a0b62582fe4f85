"""What a run with decisions finds: notifications that the log forbids, and absences that it does not explain."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from harness.verdict.explained import Explanation, explain, withdrawn_records

TIME = "2025-11-24T09:00:{:02}Z"

SUPERSEDED, UNHEARD = "superseded after its mute was lifted", "nobody had heard of the alert"


def record(second: int, status: str = "firing", **fields: Any) -> bytes:
    """Returns a record of the alert `a`, a notice on the target `entity:acme`."""
    values = {"id": "a", "target": "entity:acme", "status": status, "tier": "notice", "at": TIME.format(second)}
    return json.dumps(values | fields).encode()


def decision(kind: str, **fields: Any) -> bytes:
    about = {"subject": "target:entity:acme"} if kind in ("mute", "unmute") else {"subject": None, "alert": "a"}
    return json.dumps({"kind": "decision", "decision": kind, "at": TIME.format(30)} | about | fields).encode()


def closing(second: int = 30) -> bytes:
    return record(second, "resolved", summary="False alarm, says ada.")


FIRED, ESCALATED, ENDED = record(0), record(1, "escalated"), record(2, "resolved")


def explained(log: list[bytes], *arrived: bytes, withdrawn: tuple[bytes, ...] = ()) -> Explanation:
    """Explains which records of a log of one partition arrived, each under a separate key."""
    values = [json.loads(raw) for raw in withdrawn]
    withdrawn_records = {(value["id"], value["status"], value["at"]) for value in values}
    return explain([log], {(f"key {number}", body): 1 for number, body in enumerate(arrived)}, withdrawn_records)


def faults(explanation: Explanation) -> tuple[int, int, int]:
    comparison = explanation.comparison
    return len(comparison.lost), len(comparison.doubled), len(comparison.differing)


@pytest.mark.parametrize(
    ("log", "arrived", "withdrawn", "absences"),
    [
        ([FIRED, ESCALATED, ENDED], [FIRED, ESCALATED, ENDED], [], {}),
        ([FIRED, decision("acknowledge"), ESCALATED, ENDED], [FIRED, ENDED], [], {"acknowledged": 1}),
        ([FIRED, decision("snooze"), ESCALATED, ENDED], [FIRED], [], {"snoozed": 2}),
        ([decision("mute"), FIRED, ENDED], [], [], {"muted": 2}),
        ([decision("mute"), FIRED, decision("unmute")], [FIRED], [], {}),
        ([decision("mute"), FIRED, decision("unmute"), ESCALATED], [ESCALATED], [], {SUPERSEDED: 1}),
        ([FIRED, decision("false_alarm"), ESCALATED, ENDED], [FIRED, closing()], [], {"false alarm": 2}),
        ([FIRED, decision("false_alarm"), ENDED], [], [FIRED], {"withdrawn": 1, "false alarm": 1}),
        ([FIRED, decision("snooze"), ENDED], [], [FIRED], {"withdrawn": 1, "snoozed": 1}),
        ([FIRED, decision("mute"), decision("unmute"), ENDED], [], [FIRED], {SUPERSEDED: 1, UNHEARD: 1}),
        ([FIRED, decision("comment"), ENDED], [FIRED, ENDED], [], {}),
        ([record(0, tier="digest"), record(2, "resolved", tier="digest")], [], [], {}),
    ],
)  # fmt: skip
def test_what_the_log_explains_is_no_fault(
    log: list[bytes], arrived: list[bytes], withdrawn: list[bytes], absences: dict[str, int]
) -> None:
    explanation = explained(log, *arrived, withdrawn=tuple(withdrawn))
    assert faults(explanation) == (0, 0, 0)
    assert explanation.absences == Counter(absences)


@pytest.mark.parametrize(
    ("log", "arrived", "expected"),
    [
        ([FIRED], [], "lost"),
        ([FIRED, decision("comment"), ENDED], [FIRED], "lost"),
        ([FIRED, decision("snooze")], [], "lost"),
        ([decision("mute"), FIRED, decision("unmute")], [], "lost"),
        ([FIRED, decision("false_alarm")], [FIRED], "lost"),
        ([FIRED, decision("acknowledge"), record(1, "escalated", tier="page")], [FIRED], "lost"),
        ([FIRED, decision("acknowledge"), ESCALATED], [FIRED, ESCALATED], "differing"),
        ([FIRED, decision("snooze"), ESCALATED], [FIRED, ESCALATED], "differing"),
        ([decision("mute"), FIRED], [FIRED], "differing"),
        ([FIRED, decision("false_alarm"), ENDED], [FIRED, closing(), ENDED], "differing"),
        ([FIRED, ENDED], [FIRED, ENDED, closing()], "differing"),
        ([FIRED, decision("false_alarm")], [FIRED, closing(31)], "differing"),
        ([record(0, tier="digest")], [record(0, tier="digest")], "differing"),
    ],
)
def test_what_the_log_does_not_explain_is_a_fault(log: list[bytes], arrived: list[bytes], expected: str) -> None:
    comparison = explained(log, *arrived).comparison
    assert getattr(comparison, expected)
    assert not comparison.equal


def test_a_record_under_two_keys_and_two_records_under_one_are_doubled() -> None:
    two_keys = explain([[FIRED]], {("one", FIRED): 1, ("two", FIRED): 1}, ())
    one_key = explain([[FIRED, ENDED]], {("one", FIRED): 2, ("one", ENDED): 1}, ())
    assert faults(two_keys)[1] == faults(one_key)[1] == 1
    assert faults(explain([[FIRED]], {("one", FIRED): 3}, ())) == (0, 0, 0), "a repetition under its key is none"


def test_a_receiver_whose_answer_was_lost_may_hear_of_the_end_or_not() -> None:
    """notify withdrew the record, since it did not learn that it had arrived."""
    log = [FIRED, decision("false_alarm")]
    for arrived in ([FIRED], [FIRED, closing()]):
        assert faults(explained(log, *arrived, withdrawn=(FIRED,))) == (0, 0, 0)


def test_decisions_are_counted_once_though_every_partition_has_them() -> None:
    assert explain([[decision("mute")], [decision("mute")]], {}, ()).decisions == {"mute": 1}


def test_notify_says_what_it_withdrew() -> None:
    entry = {"event": "delivery withdrawn", "alert": "a", "status": "firing", "at": "2025-11-24T09:00:00+00:00"}
    assert withdrawn_records([entry, {"event": "notified"}]) == {("a", "firing", TIME.format(0))}
