"""Explains each notification of a run with decisions, and each absence, by the log of alerts. Pure.

The log says what each record met when notify read it: nothing, or an acknowledgement, a snooze, a mute or a false
alarm. So a record must arrive, must not arrive, or may: a decision that came after it may have withdrawn it while it
waited for the receiver, and then the log of notify says so. This is a second implementation of the rules, for decisions
that do not expire.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from harness.verdict.comparison import TopicComparison

_TIERS = ("digest", "notice", "page")
_SILENCING = ("snooze", "mute", "false_alarm")

Withdrawn = tuple[str, str, str]
"""Alert, status and time of a record that notify says it has withdrawn."""


class Arrival(Enum):
    """Whether a record arrives."""

    MUST = "must"
    MAY = "may"
    NEVER = "never"


@dataclass(slots=True, eq=False)
class _Notification:
    """A record of an alert, and whether it arrives.

    Attributes:
        reason: why it need not arrive.
        released: whether it is due, since a mute was lifted and nothing came after that.
    """

    raw: bytes
    alert: str
    status: str
    at: str
    tier: str
    arrival: Arrival = Arrival.MUST
    reason: str = ""
    released: bool = False

    def set(self, arrival: Arrival, reason: str) -> None:
        """Sets whether it arrives, and why it need not."""
        self.arrival, self.reason = arrival, reason


@dataclass(slots=True, eq=False)
class _AlertLog:
    """An alert, as far as the log was read."""

    target: str
    records: list[_Notification] = field(default_factory=list)
    acknowledged: str | None = None
    snoozed: bool = False
    closed: bool = False
    closings: dict[str, Arrival] = field(default_factory=dict)
    """Of a false alarm, whether its closing record arrives, by the time of the decision."""

    @property
    def ended(self) -> bool:
        return bool(self.records) and self.records[-1].status == "resolved"


@dataclass(slots=True)
class Explanation:
    """Why each record arrived or did not arrive.

    Attributes:
        absences: the number of records that did not arrive, by reason.
        decisions: the number of decisions in the log, by kind, each once.
    """

    comparison: TopicComparison
    absences: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)


def explain(
    partitions: Iterable[Sequence[bytes]],
    arrived: Mapping[tuple[str, bytes], int],
    withdrawn: Collection[Withdrawn],
) -> Explanation:
    """Explains what arrived and what did not.

    Args:
        partitions: the records of the topic alerts, partition by partition, in order.
        arrived: how often each notification arrived, by idempotency key and body.
        withdrawn: the records that notify says it has withdrawn.
    """
    keys: dict[bytes, set[str]] = {}
    for key, body in arrived:
        keys.setdefault(body, set()).add(key)
    explanation = Explanation(TopicComparison("notifications", len(keys)))
    logs: dict[str, _AlertLog] = {}
    for number, partition in enumerate(partitions):
        logs |= _read(partition, explanation.decisions if number == 0 else Counter())
    unexplained = set(keys)
    for log in logs.values():
        unexplained -= _judge(log, keys, withdrawn, explanation)
    closings = {(alert, at): arrival for alert, log in logs.items() for at, arrival in log.closings.items()}
    for body in unexplained:
        record = json.loads(body)
        if closings.get((record["id"], record["at"]), Arrival.NEVER) is Arrival.NEVER:
            explanation.comparison.differing.append(f"{body[:200]!r} is no record that may arrive")
    told_closings = {(record["id"], record["at"]) for record in map(json.loads, unexplained)}
    explanation.comparison.lost += [
        f"the end of the false alarm {alert} at {at}"
        for (alert, at), arrival in closings.items()
        if arrival is Arrival.MUST and (alert, at) not in told_closings
    ]
    several = [body for body, names in keys.items() if len(names) > 1]
    explanation.comparison.doubled = [f"{body[:200]!r} arrived under keys {keys[body]}" for body in several]
    if len({key for names in keys.values() for key in names}) < len(keys):
        explanation.comparison.doubled.append("two records arrived under one key")
    return explanation


def _read(partition: Sequence[bytes], decisions: Counter[str]) -> dict[str, _AlertLog]:
    """Reads a partition. Returns its alerts by id, each with what its records met."""
    logs: dict[str, _AlertLog] = {}
    muted: set[str] = set()
    for raw in partition:
        record = json.loads(raw)
        if record.get("kind") == "decision":
            decisions[record["decision"]] += 1
            _decide(record, logs, muted)
        elif record["tier"] != "digest":
            log = logs.setdefault(record["id"], _AlertLog(record["target"]))
            _take(raw, record, log, muted)
    return logs


def _take(raw: bytes, record: Mapping[str, Any], log: _AlertLog, muted: Collection[str]) -> None:
    """Takes a record: whether it arrives, as far as the log says until here."""
    notification = _Notification(raw, record["id"], record["status"], record["at"], record["tier"])
    for earlier in log.records:
        earlier.released = False
    rises = log.acknowledged is not None and _TIERS.index(record["tier"]) > _TIERS.index(log.acknowledged)
    if log.closed:
        notification.set(Arrival.NEVER, "false alarm")
    elif log.acknowledged is not None and not rises and record["status"] != "resolved":
        notification.set(Arrival.NEVER, "acknowledged")
    elif log.target in muted:
        notification.set(Arrival.NEVER, "muted")
    elif log.snoozed:
        notification.set(Arrival.NEVER, "snoozed")
    elif rises:
        log.acknowledged = None
    log.records.append(notification)


def _decide(decision: Mapping[str, Any], logs: Mapping[str, _AlertLog], muted: set[str]) -> None:
    """Takes a decision, and applies it to the records before it and after it."""
    kind, subject = decision["decision"], decision["subject"]
    target = subject.removeprefix("target:") if subject else None
    if target is not None:
        about = [log for log in logs.values() if log.target == target]
        (muted.add if kind == "mute" else muted.discard)(target)
    else:
        about = [log for alert, log in logs.items() if alert == decision["alert"]]
    for log in about:
        if kind in ("acknowledge", *_SILENCING):
            for record in log.records:
                record.released = False
        if kind in _SILENCING and not (kind == "snooze" and log.ended) and not log.closed:
            for record in log.records:
                if record.arrival is Arrival.MUST:
                    record.set(Arrival.MAY, "withdrawn")
        if kind == "mute":
            log.closings = {
                at: Arrival.MAY if arrival is Arrival.MUST else arrival for at, arrival in log.closings.items()
            }
        elif kind == "unmute":
            _release(log)
        elif kind == "false_alarm" and not log.closed:
            log.closings[decision["at"]] = Arrival.MAY if log.ended or log.target in muted else Arrival.MUST
            log.closed = True
        elif kind == "acknowledge" and not log.ended:
            log.acknowledged, log.snoozed = log.records[-1].tier, False
        elif kind == "snooze" and not log.ended:
            log.acknowledged, log.snoozed = None, True


def _release(log: _AlertLog) -> None:
    """Says that the newest record of an alert is due, since its mute was lifted and nothing else holds it."""
    newest = log.records[-1]
    if log.closed or log.snoozed or (log.acknowledged is not None and newest.status != "resolved"):
        return
    if newest.reason in ("muted", "withdrawn"):
        newest.set(Arrival.MAY, "superseded after its mute was lifted")
        newest.released = True


def _judge(
    log: _AlertLog, keys: Mapping[bytes, object], withdrawn: Collection[Withdrawn], explanation: Explanation
) -> set[bytes]:
    """Adds what is wrong with the records of an alert to the explanation. Returns those that arrived and may.

    The closing record of an alert is for receivers that got an earlier record. If notify withdrew a record that had
    arrived, because it did not learn of the arrival, the closing record may arrive or not.
    """
    known = doubtful = False
    arrived: set[bytes] = set()
    for record in log.records:
        is_here = record.raw in keys
        is_withdrawn = (record.alert, record.status, record.at) in withdrawn
        if record.status == "resolved" and not known and record.arrival is not Arrival.NEVER:
            record.set(Arrival.MAY if doubtful else Arrival.NEVER, "nobody had heard of the alert")
        elif record.released:
            record.set(Arrival.MUST, "")
        if is_here:
            arrived.add(record.raw)
            known, doubtful = known or not is_withdrawn, doubtful or is_withdrawn
        name = f"{record.alert} {record.status} at {record.at}"
        if is_here and record.arrival is Arrival.NEVER:
            explanation.comparison.differing.append(f"{name} arrived although: {record.reason}")
        elif not is_here and record.arrival is Arrival.MUST:
            explanation.comparison.lost.append(name)
        elif not is_here and record.reason == "withdrawn" and not is_withdrawn:
            explanation.comparison.lost.append(f"{name}: a decision follows it, and notify does not say it withdrew it")
        elif not is_here:
            explanation.absences[record.reason] += 1
    if not known:
        later = Arrival.MAY if doubtful else Arrival.NEVER
        log.closings = dict.fromkeys(log.closings, later)
    return arrived


def withdrawn_records(entries: Iterable[Mapping[str, Any]]) -> set[Withdrawn]:
    """Returns what the entries of the logs of notify say was withdrawn."""
    return {
        (entry["alert"], entry["status"], _as_record(entry["at"]))
        for entry in entries
        if entry.get("event") == "delivery withdrawn" and "at" in entry
    }


def _as_record(at: str) -> str:
    """Returns a time as records write it."""
    return at.replace("+00:00", "Z")
