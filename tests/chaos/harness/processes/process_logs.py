"""Analyses the logs and exits of a run: each exit must be explained, and no log may hold a traceback. Pure.

A service that cannot continue writes a reason as its last line, and exits with 2. This explains the exit if the faults
of a run cause such a reason. Each other exit that the run did not cause is unexplained. So is each traceback, since no
documented failure prints one.
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile

REASON_PREFIX = "riskwire: "
"""The prefix of the line with which a service says why it exits."""
REASON_EXIT_CODE = 2
"""The exit code of a service that has written a reason."""

_STOPPED_EARLY = 128 + signal.SIGTERM
"""The exit code of a command that was stopped before its work was finished."""

_UNREACHABLE = (
    r"(Kafka(Connection|Timeout)|NodeNotReady|(RequestTimedO|Timeo)ut|Connection\w*|\w*(Leader|Coordinator)\w*)Error"
)
_FENCED = r"(ProducerFenced|InvalidProducerEpoch)"
_EXPECTED_REASONS = re.compile(
    r"Kafka has not answered for \d"
    r"|Kafka cannot be reached"
    r"|: no answer within "
    rf"|cannot be (read|joined|counted|listed|written|taken over): ({_UNREACHABLE}|{_FENCED})"
    r"|has (made no progress|not joined its group) for \d"
    r"|it had no effect \(got "
    r"|it may have happened"
    r"|another owner has (taken over|worked as) "
    r"|another publisher has the name "
    r"|another worker owns the partitions of "
    r"|other workers own the partitions"
    r"|does not become readable\. An open transaction may block it"
    r"|PostgreSQL (cannot be reached|refused for now)"
)
"""The reasons that the faults of a run cause.

They are brokers that do not answer or answer late, another worker that has taken over while this one was suspended, and
PostgreSQL that is away when a process starts. A store, model, setting or record that cannot be used is not among them,
since no fault damages these.
"""

_MAX_REPORTED_KINDS = 12
_MAX_KIND_LENGTH = 160
_LAST_LINES = 6
_MAX_LINE_LENGTH = 300
_TRACEBACK_START = re.compile(
    r"[\s|+]*(Exception Group )?Traceback \(most recent call last\):"
    r"|Timeout \(\d+:\d\d:\d\d|Fatal Python error|Exception ignored in"
)
_LOG_LINE_START = re.compile(r"\{\"|riskwire \w+ is at |riskwire: ")
"""The start of a log line, which ends a traceback before it."""
_NUMBERS = re.compile(r"\d+(\.\d+)?|\b[0-9a-f]{12,}\b")

_COUNTED_EVENTS = {
    "a worker was fenced and joined its group again": "joining the group again",
    "another owner had taken over": "another owner has taken over",
    "a step was retried": "a step failed: retrying",
    "the answer to a commit was lost, and the outcome was read": "the answer to a commit was lost",
    "state was restored": '"state restored"',
}
"""The text of each log line that is counted, by its title in the report."""


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a process exited.

    Attributes:
        requested: whether the run had killed or stopped it.
        finite: whether its role exits by itself when its work is done.
        last_lines: the last lines of its output.
    """

    worker: str
    code: int
    requested: bool
    finite: bool
    last_lines: tuple[str, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons at the end of its output, in order, without their prefix; empty if there are none.

        A library may log while the interpreter exits, so log lines after the reasons are skipped.
        """
        until_reasons = dropwhile(lambda line: line.startswith('{"'), reversed(self.last_lines))
        last = takewhile(lambda line: line.startswith(REASON_PREFIX), until_reasons)
        return tuple(line.removeprefix(REASON_PREFIX) for line in last)[::-1]

    @property
    def explained(self) -> bool:
        """Whether the run caused the exit, the work was done, or all reasons are those that faults cause.

        Any other exit code is unexplained, even if the run stopped the process.
        """
        if self.code in (-signal.SIGKILL, -signal.SIGTERM, _STOPPED_EARLY):
            return self.requested
        if self.code == 0:
            return self.requested or self.finite
        return self.code == REASON_EXIT_CODE and bool(self.reasons) and all(map(_EXPECTED_REASONS.search, self.reasons))


@dataclass(frozen=True, slots=True)
class LoggedTraceback:
    """A traceback in a log: its position, its first line, and its last line."""

    position: str
    first: str
    last: str


@dataclass(slots=True)
class LogSummary:
    """A summary of all logs and exits of a run.

    Attributes:
        events: number of log lines of the counted events.
        reasons: number of exits by role and reason, without numbers.
        errors: number of logged errors by role and event, without those of aiokafka.
    """

    events: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    unexplained: list[ProcessExit] = field(default_factory=list)
    tracebacks: list[LoggedTraceback] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether each exit is explained, and no log holds a traceback."""
        return not (self.unexplained or self.tracebacks)

    def report_lines(self) -> Iterator[str]:
        """Yields the lines of the report about the logs; of errors and reasons only the most frequent kinds."""
        yield "log lines of the workers:"
        for event, count in self.events.items():
            yield f"  {count:4}  {event}"
        for title, counts in (
            ("errors that they logged:", self.errors),
            ("reasons for which they exited:", self.reasons),
        ):
            if counts:
                yield title
            ordered = sorted(counts.items(), key=lambda pair: -pair[1])
            for kind, count in ordered[:_MAX_REPORTED_KINDS]:
                yield f"  {count:4}  {kind[:_MAX_KIND_LENGTH]}"
            if remaining := sum(count for _, count in ordered[_MAX_REPORTED_KINDS:]):
                yield f"  {remaining:4}  {len(ordered) - _MAX_REPORTED_KINDS} further kinds: see the logs"
        yield f"unexplained exits: {len(self.unexplained)}"
        for process_exit in self.unexplained:
            yield f"  {process_exit.worker} exited with {process_exit.code}; its last lines:"
            yield from (f"    {line}" for line in process_exit.last_lines)
        yield f"tracebacks: {len(self.tracebacks)}"
        for traceback in self.tracebacks:
            yield f"  {traceback.position}: {traceback.first}"
            yield f"    … {traceback.last}"


def summarise_logs(logs: Iterable[tuple[str, str]], exits: Iterable[ProcessExit]) -> LogSummary:
    """Returns the summary of the logs and of the exits of a run.

    Args:
        logs: file name (`ROLE-NUMBER.log`) and text of each log.
    """
    summary = LogSummary(events=dict.fromkeys(_COUNTED_EVENTS, 0))
    errors: Counter[str] = Counter()
    for name, text in logs:
        for event, pattern in _COUNTED_EVENTS.items():
            summary.events[event] += text.count(pattern)
        summary.tracebacks += find_tracebacks(name, text)
        errors.update(f"{name.rpartition('-')[0]}: {event}" for event in _logged_errors(text))
    summary.errors = dict(errors)
    all_exits = list(exits)
    summary.unexplained = [process_exit for process_exit in all_exits if not process_exit.explained]
    with_reason = [
        process_exit for process_exit in all_exits if process_exit.code == REASON_EXIT_CODE and process_exit.reasons
    ]
    summary.reasons = dict(Counter(map(_reason_kind, with_reason)))
    return summary


def find_tracebacks(name: str, text: str) -> list[LoggedTraceback]:
    """Returns the tracebacks in a log: printed ones, dumps of hanging threads, and those inside a JSON log line.

    A printed one lasts until the next log line, so that chained errors are one traceback.

    Args:
        name: the name of the log, for the position of a traceback (`NAME:LINE`).
    """
    tracebacks: list[LoggedTraceback] = []
    lines = text.splitlines()
    start: int | None = None
    for number, line in enumerate(lines):
        if start is not None and _LOG_LINE_START.match(line):
            tracebacks.append(_printed_traceback(name, lines, start, number))
            start = None
        if start is None and _TRACEBACK_START.match(line):
            start = number
        elif start is None and line.startswith("{") and (event_and_error := _traceback_in_log_line(line)) is not None:
            tracebacks.append(LoggedTraceback(f"{name}:{number + 1}", *event_and_error))
    if start is not None:
        tracebacks.append(_printed_traceback(name, lines, start, len(lines)))
    return tracebacks


def tail_lines(text: str) -> tuple[str, ...]:
    """Returns the last lines of a process's output, each of limited length, without empty lines."""
    return tuple(line[:_MAX_LINE_LENGTH] for line in text.splitlines() if line.strip())[-_LAST_LINES:]


def _printed_traceback(name: str, lines: list[str], start: int, end: int) -> LoggedTraceback:
    content = [line.strip(" |+") for line in lines[start:end] if line.strip(" |+-")]
    return LoggedTraceback(f"{name}:{start + 1}", content[0][:_MAX_LINE_LENGTH], content[-1][:_MAX_LINE_LENGTH])


def _traceback_in_log_line(line: str) -> tuple[str, str] | None:
    """Returns the event of a JSON log line and the last line of its traceback, or None if it has no traceback."""
    record = _parse_log_line(line)
    exception = str(record.get("exception", ""))
    if "Traceback (most recent call last)" not in exception:
        return None
    return str(record.get("event", ""))[:_MAX_LINE_LENGTH], exception.rstrip().splitlines()[-1][:_MAX_LINE_LENGTH]


def _logged_errors(text: str) -> Iterator[str]:
    """Yields the event of each logged error, cut, with its numbers replaced; those of aiokafka are left out."""
    for line in text.splitlines():
        if line.startswith("{") and '"level": "error"' in line:
            record = _parse_log_line(line)
            # aiokafka logs an error for each broker that it cannot reach, which the faults cause all the time.
            if not str(record.get("logger", "")).startswith("aiokafka"):
                yield _NUMBERS.sub("…", str(record.get("event", "")))[:120]


def _parse_log_line(line: str) -> dict[str, object]:
    """Returns the fields of a JSON log line; none if it is cut off or no object."""
    try:
        record = json.loads(line)
    except ValueError:  # the process was killed while it wrote the line
        return {}
    return record if isinstance(record, dict) else {}


def _reason_kind(process_exit: ProcessExit) -> str:
    return f"{process_exit.worker.rpartition('-')[0]}: {_NUMBERS.sub('…', '; '.join(process_exit.reasons))}"
