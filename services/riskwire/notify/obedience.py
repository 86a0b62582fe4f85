"""Obeys what people decided: whether an alert may be sent now, and what must be sent later.

A decision is a record of the same partition as the alerts (`records/decision.py`), so it applies from its place in the
log on, after every restart. Whether a record falls into a snooze or a mute is decided by the time of the record; when
one ends, by the clock.

- Acknowledged: nothing more is sent until the alert resolves, unless it rises to a higher tier than was acknowledged.
- Snoozed or muted: the newest record is held. When it ends and the alert still runs, that record is sent. If the alert
  resolved meanwhile, its end is sent to those who had received it; without receivers, nothing is sent.
- False alarm: the alert is closed. Its receivers are notified that it is over.
- A page that was sent and not acknowledged is passed on to the second receivers, which then get its end as well.

Of two decisions about one alert, the later one in the log counts. One about an alert that has ended, or that this
partition never had, has no effect.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

import orjson

from riskwire.bus import Message
from riskwire.records import (
    Alert,
    AlertStatus,
    Decision,
    Tier,
    covering_mute,
    mute_key,
    publishers_of,
)
from riskwire.stage.state import KeyedState

Withheld = Literal["acknowledged", "snoozed", "muted", "false_alarm"]
"""Why an alert record is not sent."""

_TIERS: Final[dict[Tier, int]] = {"digest": 0, "notice": 1, "page": 2}
_EPISODES: Final = "obeyed:"
_MUTES: Final = "mute:"
_FOR_EVER: Final = 1e15
"""Epoch seconds; the end of a mute without end."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether an alert record may be sent now.

    Attributes:
        withheld: why it must not be sent, or None if it may be.
        receivers: the names of the receivers that get it, if it may be.
        detail: of a muted record, the mute in a sentence.
    """

    withheld: Withheld | None
    receivers: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A record to send now, after its snooze or mute has ended or because a page was not acknowledged.

    Attributes:
        message: the record as it was read; of a false alarm, a closing record made from it.
        receivers: the names of the receivers that get it.
    """

    message: Message
    receivers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Mute:
    """A mute: until when (epoch seconds), and who decided."""

    until: float
    by: str


@dataclass(frozen=True, slots=True)
class _OpenAlert:
    """An open alert, and what people decided about it. Times are epoch seconds; 0 for none.

    Attributes:
        at, status, tier: those of its newest record.
        target, kind, types, publishers: what a mute of it may name; of a publisher, the key.
        receivers: the names of the receivers that its records are for.
        sent: whether a record of it was sent to them.
        acknowledged: the tier that somebody acknowledged; None without an acknowledgement.
        snoozed_until: the end of its snooze.
        closed: whether it is a false alarm.
        held: whether the record below waits for the end of a snooze or a mute.
        unanswered_since: since when a sent page has waited for an acknowledgement.
        passed_on: whether the second receivers got it.
        offset, key, value: the newest record, as it was read; of a closed alert that was sent, the closing record.
    """

    at: float
    status: AlertStatus
    tier: Tier
    target: str
    kind: str
    types: tuple[str, ...]
    publishers: tuple[str, ...]
    receivers: tuple[str, ...] = ()
    sent: bool = False
    acknowledged: Tier | None = None
    snoozed_until: float = 0.0
    closed: bool = False
    held: bool = False
    unanswered_since: float = 0.0
    passed_on: bool = False
    offset: int = 0
    key: str | None = None
    value: bytes = b""

    @property
    def rises(self) -> bool:
        """Whether it is of a higher tier than was acknowledged."""
        return self.acknowledged is not None and _TIERS[self.tier] > _TIERS[self.acknowledged]


class Obedience:
    """What people decided about the alerts of one partition. Pure: the time comes with each call."""

    def __init__(
        self,
        state: Mapping[str, bytes],
        *,
        topic: str,
        partition: int,
        remember: int,
        second: Sequence[str] = (),
        pass_on_after_s: float = 0.0,
    ) -> None:
        """Restores decisions, and what they hold back, from the committed state.

        Args:
            topic: the topic of the records; `partition` likewise.
            remember: the most open alerts that are remembered; the oldest are forgotten first.
            second: the names of the receivers that a page is passed on to if it is not acknowledged.
            pass_on_after_s: for how many seconds a page waits for that.
        """
        self._place = (topic, partition)
        self._remember = remember
        self._second = tuple(second)
        self._pass_on_after_s = pass_on_after_s
        self._alerts: KeyedState[_OpenAlert] = KeyedState(
            _EPISODES, state, encode=_encode, decode=_decode, oldest_first=lambda alert: alert.at
        )
        self._mutes: KeyedState[_Mute] = KeyedState(
            _MUTES, state, encode=orjson.dumps, decode=lambda value: _Mute(**orjson.loads(value))
        )

    def take(self, message: Message, decision: Decision) -> bool:
        """Takes a decision.

        Args:
            message: the record of the decision, as it was read.

        Returns:
            whether it has an effect here: it mutes, or its alert is open on this partition and not closed.
        """
        if decision.subject is not None:
            self._take_mute(decision, decision.subject)
            return True
        alert = self._alerts.get(decision.alert) if decision.alert is not None else None
        if decision.alert is None or alert is None or alert.closed:
            return False
        match decision.decision:
            case "acknowledge":
                # A held end is still sent. The person who acknowledged it has seen any other held record.
                held = alert.held and alert.status == "resolved"
                changed = replace(alert, acknowledged=alert.tier, snoozed_until=0.0, held=held, unanswered_since=0.0)
            case "snooze":
                until = 0.0 if decision.until is None else decision.until.timestamp()
                waits = alert.sent and alert.tier == "page" and not alert.passed_on
                changed = replace(
                    alert, acknowledged=None, snoozed_until=until, unanswered_since=until if waits else 0.0
                )
            case "false_alarm":
                changed = _closed(alert, message, decision)
            case _:
                return True  # an assignment or a comment changes nothing for the receivers
        self._alerts.set(decision.alert, changed)
        return True

    def judge(
        self, message: Message, alert: Alert, receivers: Sequence[str], *, tellable: bool, now: datetime
    ) -> Ruling:
        """Returns whether an alert record may be sent now, and remembers it.

        Call it for every alert record, in the order of the log.

        Args:
            message: the record as it was read.
            receivers: the names of the receivers that it is for.
            tellable: whether it would be sent without any decision.
            now: the wall clock time.
        """
        before = self._alerts.get(alert.id)
        newest = _with_record(before, message, alert, receivers, replaces=tellable)
        if not tellable:
            held = newest.held and (newest.closed or newest.status != "resolved")
            self._remember_alert(alert.id, replace(newest, held=held))
            return Ruling(None)
        withheld = self._reason(newest)
        audience = self._audience(newest)
        if withheld is None:
            newest = _after_sending(newest, now)
        elif withheld in ("snoozed", "muted"):
            newest = replace(newest, held=newest.status != "resolved" or newest.sent)
        self._remember_alert(alert.id, newest)
        return Ruling(withheld, audience, self._mute_text(newest) if withheld == "muted" else "")

    def due(self, now: datetime) -> list[Due]:
        """Returns the records to send now, and remembers them as sent. Forgets mutes that have ended."""
        moment = now.timestamp()
        for subject in [key for key, mute in self._mutes.entries.items() if mute.until <= moment]:
            self._mutes.delete(subject)
        due: list[Due] = []
        for alert_id, alert in list(self._alerts.entries.items()):
            if not alert.held and not alert.unanswered_since:
                continue
            if alert.snoozed_until > moment or self._covering_mute(alert, moment):
                continue
            if alert.held:
                due.append(Due(self._message(alert), self._audience(alert)))
                self._remember_alert(alert_id, _after_sending(alert, now))
            elif self._is_unanswered(alert, moment):
                due.append(Due(self._message(alert), self._second))
                self._alerts.set(alert_id, replace(alert, passed_on=True, unanswered_since=0.0))
        return due

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._alerts.take_changes() | self._mutes.take_changes()

    def _take_mute(self, decision: Decision, subject: str) -> None:
        key = mute_key(subject)
        if decision.decision == "mute":
            until = _FOR_EVER if decision.until is None else decision.until.timestamp()
            self._mutes.set(key, _Mute(until, decision.by))
        elif key in self._mutes:
            self._mutes.delete(key)

    def _reason(self, alert: _OpenAlert) -> Withheld | None:
        """Returns why the newest record of an alert is not sent, at the time of the record; None if it is."""
        ends_sent = alert.status == "resolved" and alert.sent
        if alert.closed:
            return "false_alarm"
        if alert.acknowledged is not None and not alert.rises and not ends_sent:
            return "acknowledged"
        if self._covering_mute(alert, alert.at):
            return "muted"
        return "snoozed" if alert.snoozed_until > alert.at else None

    def _covering_mute(self, alert: _OpenAlert, moment: float) -> str | None:
        """Returns the key of the mute that covers an alert at a time, or None."""
        in_force = {key for key, mute in self._mutes.entries.items() if mute.until > moment}
        return covering_mute(
            in_force, target=alert.target, kind=alert.kind, types=alert.types, publishers=alert.publishers
        )

    def _mute_text(self, alert: _OpenAlert) -> str:
        """Returns the mute that covers the newest record of an alert, as a sentence."""
        key = str(self._covering_mute(alert, alert.at))
        mute = self._mutes[key]
        end = "" if mute.until == _FOR_EVER else f" until {datetime.fromtimestamp(mute.until, UTC):%Y-%m-%d %H:%M} UTC"
        return f"{mute.by} has muted {key}{end}."

    def _is_unanswered(self, alert: _OpenAlert, moment: float) -> bool:
        """Returns whether a page has waited so long for an acknowledgement that it is passed on."""
        waiting_since = max(alert.unanswered_since, alert.snoozed_until)
        return bool(self._second) and moment - waiting_since >= self._pass_on_after_s

    def _remember_alert(self, alert_id: str, alert: _OpenAlert) -> None:
        """Remembers an alert as the newest, or forgets one that has ended and has nothing to send."""
        if alert.status == "resolved" and not alert.held:
            if alert_id in self._alerts:
                self._alerts.delete(alert_id)
            return
        self._alerts.set(alert_id, alert)
        self._alerts.move_to_end(alert_id)
        while len(self._alerts) > self._remember:
            self._alerts.delete(next(iter(self._alerts)))

    def _audience(self, alert: _OpenAlert) -> tuple[str, ...]:
        """Returns the receivers of the newest record of an alert: also the second ones, if they know of it."""
        return tuple(dict.fromkeys([*alert.receivers, *(self._second if alert.passed_on else ())]))

    def _message(self, alert: _OpenAlert) -> Message:
        topic, partition = self._place
        return Message(topic, partition, alert.offset, alert.key, alert.value)


def _with_record(
    before: _OpenAlert | None, message: Message, alert: Alert, receivers: Sequence[str], *, replaces: bool
) -> _OpenAlert:
    """Returns an alert as of its newest record.

    Args:
        replaces: whether the record takes the place of one that is held; the closing record of a false alarm stays.
    """
    newest = _OpenAlert(
        at=alert.at.timestamp(),
        status=alert.status,
        tier=alert.tier,
        target=alert.target,
        kind=alert.kind,
        types=alert.events,
        publishers=publishers_of(alert),
        receivers=tuple(receivers),
        offset=message.offset,
        key=message.key,
        value=message.value,
    )
    if before is None:
        return newest
    record = newest if not before.held or (replaces and not before.closed) else before
    return replace(
        newest,
        receivers=tuple(dict.fromkeys([*before.receivers, *receivers])),
        sent=before.sent,
        acknowledged=before.acknowledged,
        snoozed_until=before.snoozed_until,
        closed=before.closed,
        held=before.held,
        unanswered_since=before.unanswered_since,
        passed_on=before.passed_on,
        offset=record.offset,
        key=record.key,
        value=record.value,
    )


def _closed(alert: _OpenAlert, message: Message, decision: Decision) -> _OpenAlert:
    """Returns an alert that was a false alarm. If it was sent, its closing record is due.

    The closing record is the newest one, resolved at the time of the decision; its summary says who decided and why.
    """
    record = Alert.model_validate_json(alert.value)
    why = f" ({decision.reason.replace('_', ' ')})" if decision.reason else ""
    summary = f"False alarm{why}, says {decision.by}. It was: {record.summary}"
    closing = record.model_copy(update={"status": "resolved", "at": decision.at, "summary": summary})
    return replace(
        alert,
        closed=True,
        snoozed_until=0.0,
        unanswered_since=0.0,
        held=alert.sent,
        offset=message.offset,
        value=closing.to_bytes(),
    )


def _after_sending(alert: _OpenAlert, now: datetime) -> _OpenAlert:
    """Returns an alert whose newest record is sent now. A page starts to wait for an acknowledgement."""
    waits = alert.tier == "page" and alert.status != "resolved" and not alert.closed
    is_new = not alert.unanswered_since and (alert.rises or not alert.passed_on)
    return replace(
        alert,
        sent=True,
        held=False,
        acknowledged=None if alert.rises else alert.acknowledged,
        unanswered_since=now.timestamp() if waits and is_new else alert.unanswered_since if waits else 0.0,
    )


def _encode(alert: _OpenAlert) -> bytes:
    return orjson.dumps(asdict(alert) | {"value": base64.b64encode(alert.value).decode()})


def _decode(value: bytes) -> _OpenAlert:
    fields = orjson.loads(value)
    fields |= {name: tuple(fields[name]) for name in ("types", "publishers", "receivers")}
    return _OpenAlert(**fields | {"value": base64.b64decode(fields["value"])})
