"""What the logs and exits of a run say: an exit that nothing explains and a traceback are seen, whatever their form."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from harness.testimony import Departure, heard, last_lines, traces

REASON = "riskwire: kafka://127.0.0.1:9092: Kafka has not answered for 31 s. Check that the brokers run"


def printed(program: str, *options: str) -> str:
    """What Python really prints when a program ends by an error."""
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return done.stderr


def logged(event: str, level: str = "info", **more: object) -> str:
    return json.dumps({**more, "event": event, "level": level}) + "\n"


def left(code: int, *said: str, told: bool = False, done: bool = False) -> Departure:
    return Departure("sink-1", code, told, done, said)


@pytest.mark.parametrize(
    ("departure", "explained"),
    [
        (left(-9, told=True), True),
        (left(-9), False),
        (left(-15, told=True), True),
        (left(-15), False),
        (left(0, told=True), True),
        (left(0, done=True), True),
        (left(0), False),
        (left(1, "Traceback"), False),
        (left(1, told=True), False),
        (left(2, REASON), True),
        (left(2), False),
        (left(-11, told=True), False),
    ],
)
def test_an_exit_is_explained_by_the_run_by_work_that_is_done_or_by_a_reason_given(
    departure: Departure, explained: bool
) -> None:
    assert departure.explained is explained
    assert heard([], [departure]).good is explained


def test_reasons_are_counted_whatever_numbers_stand_in_them() -> None:
    found = heard([], [left(2, REASON), left(2, REASON.replace("31", "34.5")), left(-9, told=True)])
    assert list(found.reasons.values()) == [2]
    assert next(iter(found.reasons)).startswith("sink: kafka://")


def test_of_many_reasons_the_most_frequent_are_told_and_the_others_counted() -> None:
    words = [f"riskwire: {letter} is away" for letter in "abcdefghijklmnopqrst"]
    told = list(heard([], [left(2, word) for word in [*words, words[-1]]]).told())
    assert "     2  sink: t is away" in told
    assert "     8  for 8 other reasons: the logs have them" in told


def test_a_traceback_that_ends_a_process_is_told_with_place_first_line_and_last() -> None:
    log = logged("partitions assigned") + printed("def f():\n    raise KeyError('gone')\nf()") + logged("started again")
    (found,) = traces("sink-2.log", log)
    assert found.where == "sink-2.log:2"
    assert found.first == "Traceback (most recent call last):"
    assert found.last == "KeyError: 'gone'"


def test_one_error_because_of_another_and_a_group_of_errors_are_one_traceback_each() -> None:
    chained = printed("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e")
    group = printed("raise ExceptionGroup('several', [ValueError('x'), ExceptionGroup('more', [KeyError('y')])])")
    assert chained.count("Traceback") == 2
    assert [found.last for found in traces("a-1.log", chained)] == ["ValueError: x"]
    (found,) = traces("a-1.log", group)
    assert (found.first, found.last) == ("Exception Group Traceback (most recent call last):", "KeyError: 'y'")


def test_a_traceback_inside_a_line_of_the_log_is_seen() -> None:
    log = logged("fine") + logged(
        "a poll failed", "error", exception="Traceback (most recent call last):\n  File x\nTypeError: no"
    )
    (found,) = traces("ingest-1.log", log)
    assert (found.where, found.first, found.last) == ("ingest-1.log:2", "a poll failed", "TypeError: no")


def test_the_dump_of_a_thread_that_hangs_is_seen() -> None:
    dumped = printed("import faulthandler, time; faulthandler.dump_traceback_later(0.1, exit=True); time.sleep(60)")
    (found,) = traces("alert-1.log", dumped)
    assert found.first.startswith("Timeout (")


def test_a_log_without_errors_has_no_tracebacks_and_is_counted() -> None:
    log = logged("state restored") + logged("a step failed and is tried again", "warning") + REASON + "\n"
    found = heard([("infer-1.log", log), ("infer-2.log", log)], [])
    assert found.good
    assert found.lines["restores of state"] == found.lines["steps tried again"] == 2


def test_complaints_are_counted_by_role_and_those_of_the_client_library_are_left_out() -> None:
    log = logged("record to dead letters", "error") * 2 + logged("Unable connect", "error", logger="aiokafka")
    found = heard([("infer-1.log", log), ("infer-2.log", log + '{"event": "cut o')], [])
    assert found.complaints == {"infer: record to dead letters": 4}
    assert any("4  infer: record to dead letters" in line for line in found.told())


def test_what_makes_a_run_bad_is_told() -> None:
    found = heard([("sink-1.log", printed("raise KeyError('gone')"))], [left(1, "said before", "KeyError: 'gone'")])
    told = "\n".join(found.told())
    assert "exits that nothing explains: 1\n  sink-1 left with 1, and said last:\n    said before\n" in told
    assert "tracebacks: 1\n  sink-1.log:1: Traceback (most recent call last):\n    … KeyError: 'gone'" in told


def test_a_departure_keeps_the_end_of_what_was_said_and_no_endless_line() -> None:
    kept = last_lines("\n".join(map(str, range(100))) + "\n\n" + "x" * 10_000)
    assert kept[0] == "95"
    assert len(kept[-1]) == 300
