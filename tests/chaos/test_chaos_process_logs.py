"""The summary of logs and exits: unexplained exits and tracebacks of any form are detected."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from harness.processes.process_logs import ProcessExit, find_tracebacks, summarise_logs, tail_lines

REASON = "riskwire: kafka://127.0.0.1:9092: Kafka has not answered for 31 s. Check that the brokers run"


def python_error_output(program: str, *options: str) -> str:
    """Returns the error output of a Python program that fails."""
    process = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=False)
    assert process.returncode != 0
    return process.stderr


def log_line(event: str, level: str = "info", **fields: object) -> str:
    return json.dumps({**fields, "event": event, "level": level}) + "\n"


REFUSED_RECORDS = "riskwire: articles[1]@7: stage infer failed on 25 records in a row; it stops so that none is lost"


def sink_exit(code: int, *last_lines: str, requested: bool = False, finite: bool = False) -> ProcessExit:
    return ProcessExit("sink-1", code, requested, finite, last_lines)


@pytest.mark.parametrize(
    ("process_exit", "explained"),
    [
        (sink_exit(-9, requested=True), True),
        (sink_exit(-9), False),
        (sink_exit(-15, requested=True), True),
        (sink_exit(-15), False),
        (sink_exit(0, requested=True), True),
        (sink_exit(0, finite=True), True),
        (sink_exit(0), False),
        (sink_exit(1, "Traceback"), False),
        (sink_exit(1, requested=True), False),
        (sink_exit(2, REASON), True),
        (sink_exit(2), False),
        (sink_exit(2, "riskwire: no way"), False),
        (sink_exit(2, REFUSED_RECORDS), False),
        (sink_exit(2, REASON, REFUSED_RECORDS), False),
        (sink_exit(2, REFUSED_RECORDS, REASON), False),
        (sink_exit(2, "started", REASON, REASON), True),
        (sink_exit(2, REASON, "Segmentation fault"), False),
        (sink_exit(1, REASON), False),
        (sink_exit(-11, requested=True), False),
        (sink_exit(143, "riskwire: interrupted before the end", requested=True), True),
        (sink_exit(143, "riskwire: interrupted before the end"), False),
    ],
)
def test_the_run_finished_work_or_an_expected_reason_explain_an_exit(
    process_exit: ProcessExit, explained: bool
) -> None:
    """Death by a signal and 143 (stopped early) are explained if the run sent the signal (`requested`).

    0 is also explained by finished work, which only a `finite` role has. 2 is explained if the output ends with reasons
    (`riskwire: …`), all of which faults cause. Any other code is a bug.
    """
    assert process_exit.explained is explained
    assert summarise_logs([], [process_exit]).good is explained


@pytest.mark.parametrize(
    "reason",
    [
        "Kafka has not answered for 31 s (kafka.stuck_after_s): exiting to be restarted",
        "articles[1]: infer has made no progress for 34 s (kafka.stuck_after_s): exiting to be restarted",
        "infer has not joined its group for 34 s (kafka.stuck_after_s): exiting to be restarted",
        "kafka://h:1: Kafka cannot be reached (got 'Unable connect'): KafkaConnectionError: Unable to bootstrap. Check",
        "kafka://h:1: Kafka cannot be reached: no answer within the deadline: TimeoutError. Check that",
        "kafka://h:1: the topics cannot be listed: no answer within 8 s: NodeNotReadyError: Attempt to send. Check",
        "kafka://h:1: the transactional id infer-articles-1 cannot be taken over: InvalidProducerEpoch: [Error 47]",
        "kafka://h:1: articles[1] cannot be read: KafkaConnectionError: Connection at h:1 closed",
        "kafka://h:1: group infer cannot be joined: GroupCoordinatorNotAvailableError: [Error 15]",
        "kafka://h:1: a step could not be committed; it had no effect (got 'TimeoutError'): TimeoutError.",
        "kafka://h:1: a step was abandoned because the bus was closed; it may have happened",
        "kafka://h:1: the answer to a commit was lost and the outcome of the step cannot be read; it may have happened",
        "kafka://h:1: another owner has taken over publisher-replay: ProducerFenced: There is a newer producer",
        "kafka://h:1: another owner has worked as publisher-replay (got 'a')",
        "kafka://h:1: another publisher has the name replay, or this one is closed",
        "infer, watchlist: nothing left to do, because other workers own the partitions",
        "kafka://h:1: publishers-state[4]@7 does not become readable. An open transaction may block it",
    ],
)
def test_unreachable_brokers_and_takeovers_are_expected_reasons(reason: str) -> None:
    """A service that exits with 2 writes a reason as its last line. Faults of a run cause these."""
    assert sink_exit(2, f"riskwire: {reason}").explained


def test_what_a_library_logs_after_the_reason_does_not_hide_it() -> None:
    """aiokafka may log while the interpreter exits."""
    reason = (
        "riskwire: kafka://127.0.0.1:9: the offsets of partitions cannot be read: no answer within 8 s: TimeoutError"
    )
    assert sink_exit(2, reason, '{"event": "a connection was lost", "level": "error"}').explained


@pytest.mark.parametrize(
    "reason",
    [
        "store at data/news.db: the store failed: OperationalError: disk I/O error",
        "kafka://h:1: topics are missing: signals. Make them with `riskwire topics create`",
        "kafka://h:1: articles[1] ends at 3, and infer has read it to 7: the topic was created again",
        "kafka://h:1: membership of group infer has failed: KeyError: 'x'",
        "kafka://h:1: articles[1] cannot be read: TopicAuthorizationFailedError: [Error 29]",
        "kafka://h:1: this worker does not own articles[1] (any more), or the bus is closed (got 'infer')",
        "kafka://h:1: the brokers refuse a record for its size",
        "the output cannot be written: [Errno 28] No space left on device",
    ],
)
def test_reasons_that_no_fault_causes_are_not_expected(reason: str) -> None:
    """A service that exits with 2 writes a reason as its last line. These are a bug or a wrong setup."""
    assert not sink_exit(2, f"riskwire: {reason}").explained


def test_reasons_that_differ_in_numbers_are_counted_together() -> None:
    """`REASON` says "31 s". The exit of a killed process has no reason, and is not counted."""
    summary = summarise_logs(
        [], [sink_exit(2, REASON), sink_exit(2, REASON.replace("31", "34.5")), sink_exit(-9, requested=True)]
    )
    assert list(summary.reasons.values()) == [2]
    assert next(iter(summary.reasons)).startswith("sink: kafka://")


def test_the_report_lists_frequent_reasons_and_counts_the_remaining_ones() -> None:
    """Of 20 kinds of reasons only 12 are listed, first the kind that occurs twice."""
    reasons = [f"riskwire: {letter} is away" for letter in "abcdefghijklmnopqrst"]
    report = list(summarise_logs([], [sink_exit(2, reason) for reason in [*reasons, reasons[-1]]]).report_lines())
    assert "     2  sink: t is away" in report
    assert "     8  8 further kinds: see the logs" in report


def test_a_printed_traceback_is_found_with_position_first_and_last_line() -> None:
    log = (
        log_line("partitions assigned")
        + python_error_output("def f():\n    raise KeyError('gone')\nf()")
        + log_line("started again")
    )
    (traceback,) = find_tracebacks("sink-2.log", log)
    assert traceback.position == "sink-2.log:2"
    assert traceback.first == "Traceback (most recent call last):"
    assert traceback.last == "KeyError: 'gone'"


def test_a_chained_error_and_an_exception_group_are_one_traceback_each() -> None:
    chained = python_error_output("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e")
    group = python_error_output(
        "raise ExceptionGroup('several', [ValueError('x'), ExceptionGroup('more', [KeyError('y')])])"
    )
    assert chained.count("Traceback") == 2
    assert [traceback.last for traceback in find_tracebacks("a-1.log", chained)] == ["ValueError: x"]
    (traceback,) = find_tracebacks("a-1.log", group)
    assert (traceback.first, traceback.last) == ("Exception Group Traceback (most recent call last):", "KeyError: 'y'")


def test_a_traceback_inside_a_json_log_line_is_found() -> None:
    log = log_line("fine") + log_line(
        "a poll failed", "error", exception="Traceback (most recent call last):\n  File x\nTypeError: no"
    )
    (traceback,) = find_tracebacks("ingest-1.log", log)
    assert (traceback.position, traceback.first, traceback.last) == ("ingest-1.log:2", "a poll failed", "TypeError: no")


def test_the_dump_of_a_hanging_thread_is_found() -> None:
    dumped = python_error_output(
        "import faulthandler, time; faulthandler.dump_traceback_later(0.1, exit=True); time.sleep(60)"
    )
    (traceback,) = find_tracebacks("alert-1.log", dumped)
    assert traceback.first.startswith("Timeout (")


def test_a_log_without_errors_has_no_tracebacks_and_its_events_are_counted() -> None:
    log = log_line("state restored") + log_line("a step failed: retrying", "warning") + REASON + "\n"
    summary = summarise_logs([("infer-1.log", log), ("infer-2.log", log)], [])
    assert summary.good
    assert summary.events["state was restored"] == summary.events["a step was retried"] == 2


def test_logged_errors_are_counted_by_role_without_those_of_aiokafka() -> None:
    """The role is the name of the log without its number. A line that is cut off is ignored."""
    log = log_line("record to dead letters", "error") * 2 + log_line("Unable connect", "error", logger="aiokafka")
    summary = summarise_logs([("infer-1.log", log), ("infer-2.log", log + '{"event": "cut o')], [])
    assert summary.errors == {"infer: record to dead letters": 4}
    assert any("4  infer: record to dead letters" in line for line in summary.report_lines())


def test_the_report_shows_unexplained_exits_and_tracebacks() -> None:
    summary = summarise_logs(
        [("sink-1.log", python_error_output("raise KeyError('gone')"))],
        [sink_exit(1, "earlier line", "KeyError: 'gone'")],
    )
    report = "\n".join(summary.report_lines())
    assert "unexplained exits: 1\n  sink-1 exited with 1; its last lines:\n    earlier line\n" in report
    assert "tracebacks: 1\n  sink-1.log:1: Traceback (most recent call last):\n    … KeyError: 'gone'" in report


def test_tail_lines_are_limited_in_number_and_length() -> None:
    lines = tail_lines("\n".join(map(str, range(100))) + "\n\n" + "x" * 10_000)
    assert lines[0] == "95"
    assert len(lines[-1]) == 300
