"""Obeys what people decided: whether an alert may be sent now, and what must be sent later.

A decision is a record of the same partition as the alerts (`records/decision.py`), so it applies from its place in the
log on, after every restart. Whether a record falls into a snooze or a mute is decided by the time of the record; when
one ends, by the clock.

- Acknowledged: nothing more is sent until the alert resolves, unless it rises to a higher tier than was acknowledged.
- Snoozed or muted: the newest record is held. When it ends and the alert still runs, that record is sent. If the alert
  resolved meanwhile, its end is sent to those who had received it; without receivers, nothing is sent.
- False alarm: the alert is closed. Its receivers are notified that it is over.
- A page that was sent and not acknowledged is passed on to the second receivers, which then get its end as well.
- A record that still waits for a receiver is withdrawn when its alert is snoozed, muted or marked as a false alarm
  (`withdrawal.py`). It is then held for that receiver. A receiver that heard nothing of an alert gets no end of it.

Of two decisions about one alert, the later one in the log counts. One about an alert that has ended, or that this
partition never had, has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from riskwire.bus import Message
from riskwire.notify.obedience.open_alert import OpenAlert, with_record
from riskwire.records import Alert, AlertStatus, Decision, covering_mute, mute_key
from riskwire.stage.state import KeyedState

Withheld = Literal["acknowledged", "snoozed", "muted", "false_alarm"]
"""Why an alert record is not sent."""

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
        self._alerts: KeyedState[OpenAlert] = KeyedState(
            _EPISODES, state, encode=OpenAlert.encoded, decode=OpenAlert.decoded, oldest_first=lambda alert: alert.at
        )
        self._mutes = KeyedState.of_dataclass(_MUTES, state, _Mute)
        self._over = {alert_id for alert_id, alert in self._alerts.entries.items() if alert.is_over}
        """Alerts that have ended, and are remembered while a record of them may wait for a receiver."""

    def take(self, message: Message, decision: Decision) -> bool:
        """Takes a decision.

        Args:
            message: the record of the decision, as it was read.

        Returns:
            whether it has an effect here: it mutes, or its alert is open on this partition and not closed. Of an alert
            that has ended, a false alarm withdraws what still waits.
        """
        if decision.subject is not None:
            self._take_mute(decision, decision.subject)
            return True
        alert = self._alerts.get(decision.alert) if decision.alert is not None else None
        if decision.alert is None or alert is None or alert.closed:
            return False
        if alert.is_over and decision.decision != "false_alarm":
            return False
        match decision.decision:
            case "acknowledge":
                # A held end is still sent. The person who acknowledged it has seen any other held record.
                held = alert.held and alert.status == "resolved"
                missing = alert.missing if held else ()
                changed = replace(
                    alert, acknowledged=alert.tier, snoozed_until=0.0, held=held, missing=missing, unanswered_since=0.0
                )
            case "snooze":
                until = 0.0 if decision.until is None else decision.until.timestamp()
                waits = alert.sent and alert.tier == "page" and not alert.passed_on
                changed = replace(
                    alert, acknowledged=None, snoozed_until=until, unanswered_since=until if waits else 0.0
                )
            case "false_alarm":
                changed = alert.closed_by(message, decision)
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
        newest = with_record(before, message, alert, receivers, replaces=tellable)
        if not tellable:
            held = newest.held and (newest.closed or newest.status != "resolved")
            self._remember_alert(alert.id, replace(newest, held=held))
            return Ruling(None)
        withheld = self._reason(newest)
        audience = self._audience(newest)
        if before is not None and newest.status == "resolved":
            audience = newest.known_to(audience)
        if withheld is None:
            newest = newest.after_sending(audience, now)
        elif withheld in ("snoozed", "muted"):
            newest = replace(newest, held=newest.status != "resolved" or newest.sent)
        self._remember_alert(alert.id, newest)
        return Ruling(withheld, audience, self._mute_text(newest, newest.at) if withheld == "muted" else "")

    def due(self, now: datetime, attempted: Container[str] = ()) -> list[Due]:
        """Returns the records to send now, and remembers them as sent. Forgets mutes that have ended.

        Args:
            attempted: the ids of alerts that were silenced while an attempt was being made. Nothing is due of them
                before it has ended and shows who knows of the alert.
        """
        moment = now.timestamp()
        for subject in [key for key, mute in self._mutes.entries.items() if mute.until <= moment]:
            self._mutes.delete(subject)
        due: list[Due] = []
        for alert_id, alert in list(self._alerts.entries.items()):
            if not (alert.held or alert.unanswered_since) or alert_id in attempted:
                continue
            if alert.snoozed_until > moment or self._covering_mute(alert, moment):
                continue
            if alert.held:
                names = alert.missing or self._audience(alert)
                names = alert.known_to(names) if alert.ends else names
                due.append(Due(self._message(alert), names))
                self._remember_alert(alert_id, alert.after_sending(names, now))
            elif self._is_unanswered(alert, moment):
                due.append(Due(self._message(alert), self._second))
                passed_on = replace(alert.after_sending(self._second, now), passed_on=True, unanswered_since=0.0)
                self._alerts.set(alert_id, passed_on)
        return due

    def silence_of(self, alert_id: str, status: AlertStatus, receiver: str, now: datetime) -> Withheld | None:
        """Returns why a record that still waits for a receiver must not be sent any more; None if it may be.

        Of a false alarm, only its end is sent, to those who know of it.

        Args:
            alert_id: the id of its alert.
            status: the status of the record.
            now: the wall clock time.
        """
        alert = self._alerts.get(alert_id)
        if alert is None:
            return None
        is_known = alert.told.get(receiver, 0) > 1  # by another record than this one
        if alert.closed and not (status == "resolved" and is_known):
            return "false_alarm"
        return self._silence(alert, now.timestamp())

    def silence_of_only(self, alert_id: str, receiver: str, now: datetime) -> Withheld | None:
        """Returns why the only record that was sent to a receiver must not be sent any more; None if it may be.

        None as well if more than one record was sent to it.
        """
        alert = self._alerts.get(alert_id)
        if alert is None or alert.told.get(receiver, 0) != 1:
            return None
        return "false_alarm" if alert.closed else self._silence(alert, now.timestamp())

    def withdraw(self, alert_id: str, message: Message | None, receiver: str, now: datetime) -> str | None:
        """Takes back that a record was sent to a receiver: it waited, and its alert is silenced.

        Args:
            message: the record; None for the newest one of the alert.

        Returns:
            the mute in a sentence, if it silences the alert and nobody was told of it; else None.
        """
        before = self._alerts[alert_id]
        alert = before.after_withdrawal(message or self._message(before), receiver)
        self._alerts.set(alert_id, alert)
        if not alert.is_over:
            self._over.discard(alert_id)
        if alert.told or not self._covering_mute(alert, now.timestamp()):
            return None
        return self._mute_text(alert, now.timestamp())

    def forget_ended(self, waiting: Callable[[], Container[str]]) -> None:
        """Forgets the alerts that have ended, but for those of which a record waits for a receiver.

        Args:
            waiting: returns the ids of these.
        """
        kept = waiting() if self._over else ()
        for alert_id in [alert_id for alert_id in self._over if alert_id not in kept]:
            self._over.discard(alert_id)
            if alert_id in self._alerts:
                self._alerts.delete(alert_id)

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

    def _reason(self, alert: OpenAlert) -> Withheld | None:
        """Returns why the newest record of an alert is not sent, at the time of the record; None if it is."""
        ends_sent = alert.status == "resolved" and alert.sent
        if alert.closed:
            return "false_alarm"
        if alert.acknowledged is not None and not alert.rises and not ends_sent:
            return "acknowledged"
        return self._silence(alert, alert.at)

    def _silence(self, alert: OpenAlert, moment: float) -> Withheld | None:
        """Returns whether an alert is muted or snoozed at a time."""
        if self._covering_mute(alert, moment):
            return "muted"
        return "snoozed" if alert.snoozed_until > moment else None

    def _covering_mute(self, alert: OpenAlert, moment: float) -> str | None:
        """Returns the key of the mute that covers an alert at a time, or None."""
        in_force = {key for key, mute in self._mutes.entries.items() if mute.until > moment}
        return covering_mute(
            in_force, target=alert.target, kind=alert.kind, types=alert.types, publishers=alert.publishers
        )

    def _mute_text(self, alert: OpenAlert, moment: float) -> str:
        """Returns the mute that covers an alert at a time, as a sentence."""
        key = str(self._covering_mute(alert, moment))
        mute = self._mutes[key]
        end = "" if mute.until == _FOR_EVER else f" until {datetime.fromtimestamp(mute.until, UTC):%Y-%m-%d %H:%M} UTC"
        return f"{mute.by} has muted {key}{end}."

    def _is_unanswered(self, alert: OpenAlert, moment: float) -> bool:
        """Returns whether a page has waited so long for an acknowledgement that it is passed on."""
        waiting_since = max(alert.unanswered_since, alert.snoozed_until)
        return bool(self._second) and moment - waiting_since >= self._pass_on_after_s

    def _remember_alert(self, alert_id: str, alert: OpenAlert) -> None:
        """Remembers an alert as the newest. Of one that is over, the record is not needed any more."""
        if alert.is_over and not alert.told:
            if alert_id in self._alerts:
                self._alerts.delete(alert_id)
            return
        if alert.is_over:
            self._over.add(alert_id)
            alert = replace(alert, value=b"")
        self._alerts.set(alert_id, alert)
        self._alerts.move_to_end(alert_id)
        while len(self._alerts) > self._remember:
            self._alerts.delete(next(iter(self._alerts)))

    def _audience(self, alert: OpenAlert) -> tuple[str, ...]:
        """Returns the receivers of the newest record of an alert: also the second ones, if they know of it."""
        return tuple(dict.fromkeys([*alert.receivers, *(self._second if alert.passed_on else ())]))

    def _message(self, alert: OpenAlert) -> Message:
        topic, partition = self._place
        return Message(topic, partition, alert.offset, alert.key, alert.value)
