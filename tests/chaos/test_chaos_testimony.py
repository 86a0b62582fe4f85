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


POISON = "riskwire: articles[1]@7: stage infer failed on 25 records in a row; it stops so that none is lost"


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
        (left(2, "riskwire: no way"), False),
        (left(2, POISON), False),
        (left(2, REASON, POISON), False),
        (left(2, POISON, REASON), False),
        (left(2, "begun", REASON, REASON), True),
        (left(2, REASON, "Segmentation fault"), False),
        (left(1, REASON), False),
        (left(-11, told=True), False),
        (left(143, "riskwire: interrupted before the end", told=True), True),
        (left(143, "riskwire: interrupted before the end"), False),
    ],
)
def test_an_exit_is_explained_by_the_run_by_work_that_is_done_or_by_a_reason_given(
    departure: Departure, explained: bool
) -> None:
    assert departure.explained is explained
    assert heard([], [departure]).good is explained


@pytest.mark.parametrize(
    "reason",
    [
        "Kafka has not answered for 31 s (kafka.stuck_after_s): leaving, to be started again",
        "articles[1]: infer has made no progress for 34 s (kafka.stuck_after_s): leaving, to be started again",
        "infer has not got into its group for 34 s (kafka.stuck_after_s): leaving, to be started again",
        "kafka://h:1: Kafka cannot be reached (got 'Unable connect'): KafkaConnectionError: Unable to bootstrap. Check",
        "kafka://h:1: Kafka cannot be reached: no answer within the deadline: TimeoutError. Check that",
        "kafka://h:1: the topics cannot be listed: no answer within 8 s: NodeNotReadyError: Attempt to send. Check",
        "kafka://h:1: the transactional id infer-articles-1 cannot be taken over: InvalidProducerEpoch: [Error 47]",
        "kafka://h:1: articles[1] cannot be read: KafkaConnectionError: Connection at h:1 closed",
        "kafka://h:1: group infer cannot be joined: GroupCoordinatorNotAvailableError: [Error 15]",
        "kafka://h:1: a step could not be committed; nothing of it has happened (got 'TimeoutError'): TimeoutError.",
        "kafka://h:1: a step was given up, since the bus was closed; it may have happened",
        "kafka://h:1: the answer to a commit was lost, and what came of the step cannot be seen; it may have happened",
        "kafka://h:1: another owner has taken over publisher-replay: ProducerFenced: There is a newer producer",
        "kafka://h:1: another owner has worked as publisher-replay (got 'a')",
        "kafka://h:1: another publisher has the name replay, or this one is closed",
        "`riskwire infer` has nothing left to do: its partitions were taken over",
        "kafka://h:1: publishers-state[4]@7 does not become readable. A transaction that nobody ends may be in the way",
    ],
)
def test_brokers_that_are_away_and_others_that_take_over_are_reasons(reason: str) -> None:
    assert left(2, f"riskwire: {reason}").explained


@pytest.mark.parametrize(
    "reason",
    [
        "store at data/news.db: the store failed: OperationalError: disk I/O error",
        "kafka://h:1: topics are missing: signals. Make them with `riskwire topics create`",
        "kafka://h:1: articles[1] ends at 3, and infer has read it to 7: the topic was made anew",
        "kafka://h:1: membership of group infer has failed: KeyError: 'x'",
        "kafka://h:1: articles[1] cannot be read: TopicAuthorizationFailedError: [Error 29]",
        "kafka://h:1: articles[1] is not (or no longer) this worker's, or the bus is closed (got 'infer')",
        "kafka://h:1: the brokers refuse a record for its size",
        "what was to be said cannot be written: [Errno 28] No space left on device",
    ],
)
def test_what_no_fault_of_a_run_does_is_no_reason(reason: str) -> None:
    assert not left(2, f"riskwire: {reason}").explained


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
