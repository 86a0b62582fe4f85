"""What the workers of a run said, and how they left: every exit must be explained, and no error is a traceback. Pure.

A service that cannot go on says in its last line what, where and what to do, and leaves with 2. That explains it where
it is what a fault of the run does to it. Whatever else ends a process that the run itself did not end is unexplained,
and so is every traceback: no documented fault leaves one.
"""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

REASON = "riskwire: "
"""How the one line of a service begins that says why it leaves."""
NAMED = 2
"""The code that goes with it."""

_STOPPED = 128 + signal.SIGTERM
"""The code of what ends by itself when its work is done, and was told to stop before."""

_AWAY = (
    r"(Kafka(Connection|Timeout)|NodeNotReady|(RequestTimedO|Timeo)ut|Connection\w*|\w*(Leader|Coordinator)\w*)Error"
)
_FENCED = r"(ProducerFenced|InvalidProducerEpoch)"
_FAULTS = re.compile(
    r"Kafka has not answered for \d"
    r"|Kafka cannot be reached"
    r"|: no answer within "
    rf"|cannot be (read|joined|counted|listed|written|taken over): ({_AWAY}|{_FENCED})"
    r"|has (made no progress|not got into its group) for \d"
    r"|nothing of it has happened \(got "
    r"|it may have happened"
    r"|another owner has (taken over|worked as) "
    r"|another publisher has the name "
    r"|is another worker's by now"
    r"|its partitions were taken over"
    r"|does not become readable\. A transaction that nobody ends"
)
"""The reasons that the faults of a run give: brokers that are away or late, and somebody else who has taken over while
one was asleep. A store, a model, a setting or a record that cannot be used is none of them: no fault hurts those."""

_MOST_KINDS = 12
_MOST_KIND = 160
_LAST = 6
_MOST_LINE = 300
_BEGINS = re.compile(
    r"[\s|+]*(Exception Group )?Traceback \(most recent call last\):"
    r"|Timeout \(\d+:\d\d:\d\d|Fatal Python error|Exception ignored in"
)
_LOG = re.compile(r"\{\"|riskwire \w+ is at |riskwire: ")
"""What begins a line of the log, so that whatever was being told before it is over."""
_NUMBERS = re.compile(r"\d+(\.\d+)?|\b[0-9a-f]{12,}\b")

_COUNTED = {
    "fenced, joined the group anew": "joining anew",
    "left because another owner had taken over": "another owner has taken over",
    "steps tried again": "a step failed and is tried again",
    "lost answers to a commit, settled by looking": "the answer to a commit was lost",
    "restores of state": '"state restored"',
}


@dataclass(frozen=True, slots=True)
class Departure:
    """How a process left.

    Attributes:
        told: the run had killed it or told it to stop.
        done: its role ends by itself when its work is done.
        said: the end of what it said.
    """

    worker: str
    code: int
    told: bool
    done: bool
    said: tuple[str, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """What it gave as the reason in its last line, or lines where there were several; empty where it gave none."""
        last = takewhile(lambda line: line.startswith(REASON), reversed(self.said))
        return tuple(line.removeprefix(REASON) for line in last)[::-1]

    @property
    def explained(self) -> bool:
        """Whether the run ended it, its work was done, or it said that a fault keeps it from going on."""
        if self.code in (-signal.SIGKILL, -signal.SIGTERM, _STOPPED):
            return self.told
        if self.code == 0:
            return self.told or self.done
        return self.code == NAMED and bool(self.reasons) and all(map(_FAULTS.search, self.reasons))


@dataclass(frozen=True, slots=True)
class Trace:
    """A traceback in a worker's log: where it begins there, its first line and its last."""

    where: str
    first: str
    last: str


@dataclass(slots=True)
class Testimony:
    """All that was said, in sum."""

    lines: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    """Why processes left of themselves, numbers taken out, by how often."""
    complaints: dict[str, int] = field(default_factory=dict)
    """What was logged as an error, by role and event; aiokafka's own complaints left out."""
    unexplained: list[Departure] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every exit is explained, and nobody left a traceback."""
        return not (self.unexplained or self.traces)

    def told(self) -> Iterator[str]:
        """For the report, line by line."""
        yield "what the workers said:"
        for what, count in self.lines.items():
            yield f"  {count:4}  {what}"
        for title, counts in (("what they logged as errors:", self.complaints), ("why they left:", self.reasons)):
            if counts:
                yield title
            ordered = sorted(counts.items(), key=lambda pair: -pair[1])
            for what, count in ordered[:_MOST_KINDS]:
                yield f"  {count:4}  {what[:_MOST_KIND]}"
            if rest := sum(count for _, count in ordered[_MOST_KINDS:]):
                yield f"  {rest:4}  for {len(ordered) - _MOST_KINDS} other reasons: the logs have them"
        yield f"exits that nothing explains: {len(self.unexplained)}"
        for one in self.unexplained:
            yield f"  {one.worker} left with {one.code}, and said last:"
            yield from (f"    {line}" for line in one.said)
        yield f"tracebacks: {len(self.traces)}"
        for trace in self.traces:
            yield f"  {trace.where}: {trace.first}"
            yield f"    … {trace.last}"


def heard(logs: Iterable[tuple[str, str]], departures: Iterable[Departure]) -> Testimony:
    """What there is to say of the logs (file name, text) and the departures of a run."""
    found = Testimony(lines=dict.fromkeys(_COUNTED, 0))
    complaints: Counter[str] = Counter()
    for name, text in logs:
        for what, words in _COUNTED.items():
            found.lines[what] += text.count(words)
        found.traces += traces(name, text)
        complaints.update(f"{name.rpartition('-')[0]}: {event}" for event in _errors(text))
    found.complaints = dict(complaints)
    left = list(departures)
    found.unexplained = [one for one in left if not one.explained]
    found.reasons = dict(Counter(_why(one) for one in left if one.code == NAMED and one.reasons))
    return found


def traces(name: str, text: str) -> list[Trace]:
    """Every traceback in a log: printed as it is, dumped for a thread that hangs, or inside a line of the log."""
    found: list[Trace] = []
    lines = text.splitlines()
    open_at: int | None = None
    for number, line in enumerate(lines):
        if open_at is not None and _LOG.match(line):
            found.append(_trace(name, lines, open_at, number))
            open_at = None
        if open_at is None and _BEGINS.match(line):
            open_at = number
        elif open_at is None and line.startswith("{") and (told := _told_in(line)) is not None:
            found.append(Trace(f"{name}:{number + 1}", *told))
    if open_at is not None:
        found.append(_trace(name, lines, open_at, len(lines)))
    return found


def last_lines(text: str) -> tuple[str, ...]:
    """The end of what a process said, as a departure keeps it."""
    return tuple(line[:_MOST_LINE] for line in text.splitlines() if line.strip())[-_LAST:]


def _trace(name: str, lines: list[str], begin: int, end: int) -> Trace:
    said = [line.strip(" |+") for line in lines[begin:end] if line.strip(" |+-")]
    return Trace(f"{name}:{begin + 1}", said[0][:_MOST_LINE], said[-1][:_MOST_LINE])


def _told_in(line: str) -> tuple[str, str] | None:
    record = _record(line)
    exception = str(record.get("exception", ""))
    if "Traceback (most recent call last)" not in exception:
        return None
    return str(record.get("event", ""))[:_MOST_LINE], exception.rstrip().splitlines()[-1][:_MOST_LINE]


def _errors(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("{") and '"level": "error"' in line:
            record = _record(line)
            if not str(record.get("logger", "")).startswith("aiokafka"):  # it complains of every broker that is away
                yield _NUMBERS.sub("…", str(record.get("event", "")))[:120]


def _record(line: str) -> dict[str, object]:
    try:
        record = json.loads(line)
    except ValueError:  # cut off by a kill
        return {}
    return record if isinstance(record, dict) else {}


def _why(one: Departure) -> str:
    return f"{one.worker.rpartition('-')[0]}: {_NUMBERS.sub('…', '; '.join(one.reasons))}"
