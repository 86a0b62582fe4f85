"""Applies the decisions of people to notifications: whether an alert may be sent now, and what must be sent later.

A decision is a record of the same partition as the alerts (`records/decision.py`). It takes effect from its
place in the log, also after a restart. The time of a record decides whether a snooze or a mute covers it. The wall
clock decides when a snooze or a mute ends.

- Acknowledged: nothing more is sent until the alert resolves, unless its tier exceeds the acknowledged tier.
- Snoozed or muted: the newest record is held. When the snooze or mute ends and the alert still runs, that record is
  sent. If the alert has resolved, the resolved record is sent to the receivers that got an earlier record.
- False alarm: the alert is closed. Its receivers are notified that it is over.
- A page that was sent and not acknowledged is passed on to the second receivers. They get its resolved record as well.
- A record that still waits for a receiver is withdrawn when its alert is snoozed, muted or marked as a false alarm
  (`withdrawal.py`). It is then held for that receiver. A receiver that got no record of an alert does not get its
  resolved record.

If two decisions concern one alert, the later one in the log counts. A decision about an alert that has ended, or that
this partition never had, has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from riskwire.bus import Message
from riskwire.notify.obedience.open_alert import OpenAlert, update_alert
from riskwire.records import Alert, AlertStatus, Decision, covering_mute, mute_key
from riskwire.stage.state import KeyedState

Withheld = Literal["acknowledged", "snoozed", "muted", "false_alarm"]
"""Why an alert record is not sent."""

_ALERT_PREFIX: Final = "obeyed:"
_MUTE_PREFIX: Final = "mute:"
_NO_END: Final = 1e15
"""The `until` of a mute without an end, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """Whether an alert record may be sent now.

    Attributes:
        withheld: why it must not be sent, or None if it may be.
        receivers: the names of the receivers that get it, if it may be.
        detail: the mute in a sentence, if the record is muted.
    """

    withheld: Withheld | None
    receivers: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DueRecord:
    """A record to send now, after its snooze or mute has ended or because a page was not acknowledged.

    Attributes:
        message: the record as it was read; for a false alarm, a closing record made from it.
        receivers: the names of the receivers that get it.
    """

    message: Message
    receivers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Mute:
    """A mute.

    Attributes:
        until: when it ends, in epoch seconds.
        by: who decided it.
    """

    until: float
    by: str


class Obedience:
    """The decisions of people about the alerts of one partition. Pure: each call passes the time."""

    def __init__(
        self,
        state: Mapping[str, bytes],
        *,
        topic: str,
        partition: int,
        remember: int,
        second_receivers: Sequence[str] = (),
        pass_on_after_s: float = 0.0,
    ) -> None:
        """Restores decisions, and the records that they hold back, from the committed state.

        Args:
            topic, partition: the topic and the partition of the records.
            remember: the most open alerts that are remembered; the oldest are forgotten first.
            second_receivers: the names of the receivers that a page is passed on to if it is not acknowledged.
            pass_on_after_s: for how many seconds a page waits for an acknowledgement.
        """
        self._topic = topic
        self._partition = partition
        self._max_alerts = remember
        self._second_receivers = tuple(second_receivers)
        self._pass_on_after_s = pass_on_after_s
        self._alerts: KeyedState[OpenAlert] = KeyedState(
            _ALERT_PREFIX,
            state,
            encode=OpenAlert.encoded,
            decode=OpenAlert.decoded,
            oldest_first=lambda alert: alert.at,
        )
        self._mutes = KeyedState.of_dataclass(_MUTE_PREFIX, state, _Mute)
        self._ended_alert_ids = {alert_id for alert_id, alert in self._alerts.entries.items() if alert.is_finished}
        """Alerts that have ended. They are remembered while one of their records may wait for a receiver."""

    def apply_decision(self, message: Message, decision: Decision) -> bool:
        """Applies a decision.

        Args:
            message: the record of the decision, as it was read.

        Returns:
            whether it has an effect on this partition: it mutes or unmutes, or its alert is open here and not closed.
            A false alarm also has an effect on an alert that has ended: it withdraws the records that still wait.
        """
        if decision.subject is not None:
            self._apply_mute(decision, decision.subject)
            return True
        alert = self._alerts.get(decision.alert) if decision.alert is not None else None
        if decision.alert is None or alert is None or alert.closed:
            return False
        if alert.is_finished and decision.decision != "false_alarm":
            return False
        match decision.decision:
            case "acknowledge":
                # A held resolved record is still sent. The person who acknowledged has seen any other held record.
                held = alert.held and alert.status == "resolved"
                missing = alert.missing if held else ()
                changed = replace(
                    alert, acknowledged=alert.tier, snoozed_until=0.0, held=held, missing=missing, unanswered_since=0.0
                )
            case "snooze":
                until = 0.0 if decision.until is None else decision.until.timestamp()
                is_unanswered = alert.sent and alert.tier == "page" and not alert.passed_on
                changed = replace(
                    alert, acknowledged=None, snoozed_until=until, unanswered_since=until if is_unanswered else 0.0
                )
            case "false_alarm":
                changed = alert.as_false_alarm(message, decision)
            case _:
                return True  # an assignment or a comment changes nothing for the receivers
        self._alerts.set(decision.alert, changed)
        return True

    def judge(
        self, message: Message, alert: Alert, receivers: Sequence[str], *, would_be_sent: bool, now: datetime
    ) -> Ruling:
        """Returns whether an alert record may be sent now, and remembers it.

        Call it for every alert record, in the order of the log.

        Args:
            message: the record as it was read.
            receivers: the names of its receivers.
            would_be_sent: whether it would be sent without any decision of a person.
            now: the wall clock time.
        """
        previous = self._alerts.get(alert.id)
        current = update_alert(previous, message, alert, receivers, replaces_held=would_be_sent)
        if not would_be_sent:
            held = current.held and (current.closed or current.status != "resolved")
            self._remember_alert(alert.id, replace(current, held=held))
            return Ruling(None)
        withheld = self._reason_to_withhold(current)
        recipients = self._recipients(current)
        if previous is not None and current.status == "resolved":
            recipients = current.informed_among(recipients)
        if withheld is None:
            current = current.after_sending(recipients, now)
        elif withheld in ("snoozed", "muted"):
            current = replace(current, held=current.status != "resolved" or current.sent)
        self._remember_alert(alert.id, current)
        return Ruling(withheld, recipients, self._mute_text(current, current.at) if withheld == "muted" else "")

    def take_due(self, now: datetime, attempted: Container[str] = ()) -> list[DueRecord]:
        """Returns the records to send now, and remembers them as sent. Forgets mutes that have ended.

        Args:
            attempted: the ids of alerts that were silenced during an attempt to deliver one of their records. They are
                skipped until the attempt has ended, because its outcome decides which receivers were informed.
        """
        now_s = now.timestamp()
        for subject in [key for key, mute in self._mutes.entries.items() if mute.until <= now_s]:
            self._mutes.delete(subject)
        due_records: list[DueRecord] = []
        for alert_id, alert in list(self._alerts.entries.items()):
            if not (alert.held or alert.unanswered_since) or alert_id in attempted:
                continue
            if alert.snoozed_until > now_s or self._covering_mute(alert, now_s):
                continue
            if alert.held:
                recipients = alert.missing or self._recipients(alert)
                recipients = alert.informed_among(recipients) if alert.newest_is_final else recipients
                due_records.append(DueRecord(self._message(alert), recipients))
                self._remember_alert(alert_id, alert.after_sending(recipients, now))
            elif self._must_pass_on(alert, now_s):
                due_records.append(DueRecord(self._message(alert), self._second_receivers))
                passed_on = replace(
                    alert.after_sending(self._second_receivers, now), passed_on=True, unanswered_since=0.0
                )
                self._alerts.set(alert_id, passed_on)
        return due_records

    def reason_to_withdraw(self, alert_id: str, status: AlertStatus, receiver: str, now: datetime) -> Withheld | None:
        """Returns why a record that still waits for a receiver must not be sent any more; None if it may be.

        Only the resolved record of a false alarm is sent, and only to receivers that got an earlier record.

        Args:
            alert_id: the id of the record's alert.
            status: the status of the record.
            now: the wall clock time.
        """
        alert = self._alerts.get(alert_id)
        if alert is None:
            return None
        is_informed = alert.told.get(receiver, 0) > 1  # by another record than this one
        if alert.closed and not (status == "resolved" and is_informed):
            return "false_alarm"
        return self._mute_or_snooze(alert, now.timestamp())

    def reason_to_withdraw_only_record(self, alert_id: str, receiver: str, now: datetime) -> Withheld | None:
        """Returns why the only record that was sent to a receiver must not be sent any more; None if it may be.

        None as well if more than one record was sent to it.
        """
        alert = self._alerts.get(alert_id)
        if alert is None or alert.told.get(receiver, 0) != 1:
            return None
        return "false_alarm" if alert.closed else self._mute_or_snooze(alert, now.timestamp())

    def withdraw(self, alert_id: str, message: Message | None, receiver: str, now: datetime) -> str | None:
        """Records that a record which waited for a receiver was withdrawn, because its alert is silenced.

        Args:
            message: the record; None for the newest one of the alert.

        Returns:
            the mute in a sentence, if a mute silences the alert and no receiver got a record of it; else None.
        """
        previous = self._alerts[alert_id]
        alert = previous.after_withdrawal(message or self._message(previous), receiver)
        self._alerts.set(alert_id, alert)
        if not alert.is_finished:
            self._ended_alert_ids.discard(alert_id)
        if alert.told or not self._covering_mute(alert, now.timestamp()):
            return None
        return self._mute_text(alert, now.timestamp())

    def forget_ended(self, waiting_alert_ids: Callable[[], Container[str]]) -> None:
        """Forgets the alerts that have ended, except those with a record that waits for a receiver.

        Args:
            waiting_alert_ids: returns the ids of the alerts with a record that waits for a receiver.
        """
        kept_ids = waiting_alert_ids() if self._ended_alert_ids else ()
        for alert_id in [alert_id for alert_id in self._ended_alert_ids if alert_id not in kept_ids]:
            self._ended_alert_ids.discard(alert_id)
            if alert_id in self._alerts:
                self._alerts.delete(alert_id)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._alerts.take_changes() | self._mutes.take_changes()

    def _apply_mute(self, decision: Decision, subject: str) -> None:
        key = mute_key(subject)
        if decision.decision == "mute":
            until = _NO_END if decision.until is None else decision.until.timestamp()
            self._mutes.set(key, _Mute(until, decision.by))
        elif key in self._mutes:
            self._mutes.delete(key)

    def _reason_to_withhold(self, alert: OpenAlert) -> Withheld | None:
        """Returns why the newest record of an alert is not sent, as of the time of the record; None if it is sent."""
        ends_sent_alert = alert.status == "resolved" and alert.sent
        if alert.closed:
            return "false_alarm"
        if alert.acknowledged is not None and not alert.exceeds_acknowledged_tier and not ends_sent_alert:
            return "acknowledged"
        return self._mute_or_snooze(alert, alert.at)

    def _mute_or_snooze(self, alert: OpenAlert, at_s: float) -> Withheld | None:
        """Returns whether an alert is muted or snoozed at a time (epoch seconds); None for neither."""
        if self._covering_mute(alert, at_s):
            return "muted"
        return "snoozed" if alert.snoozed_until > at_s else None

    def _covering_mute(self, alert: OpenAlert, at_s: float) -> str | None:
        """Returns the key of the mute that covers an alert at a time (epoch seconds), or None."""
        mutes_in_force = {key for key, mute in self._mutes.entries.items() if mute.until > at_s}
        return covering_mute(
            mutes_in_force, target=alert.target, kind=alert.kind, types=alert.types, publishers=alert.publishers
        )

    def _mute_text(self, alert: OpenAlert, at_s: float) -> str:
        """Returns the mute that covers an alert at a time (epoch seconds), as a sentence."""
        key = str(self._covering_mute(alert, at_s))
        mute = self._mutes[key]
        end = "" if mute.until == _NO_END else f" until {datetime.fromtimestamp(mute.until, UTC):%Y-%m-%d %H:%M} UTC"
        return f"{mute.by} has muted {key}{end}."

    def _must_pass_on(self, alert: OpenAlert, now_s: float) -> bool:
        """Returns whether a page has waited for an acknowledgement for so long that it is passed on."""
        waiting_since = max(alert.unanswered_since, alert.snoozed_until)
        return bool(self._second_receivers) and now_s - waiting_since >= self._pass_on_after_s

    def _remember_alert(self, alert_id: str, alert: OpenAlert) -> None:
        """Remembers an alert as the newest. The record of a finished alert is not needed any more."""
        if alert.is_finished and not alert.told:
            if alert_id in self._alerts:
                self._alerts.delete(alert_id)
            return
        if alert.is_finished:
            self._ended_alert_ids.add(alert_id)
            alert = replace(alert, value=b"")
        self._alerts.set(alert_id, alert)
        self._alerts.move_to_end(alert_id)
        while len(self._alerts) > self._max_alerts:
            self._alerts.delete(next(iter(self._alerts)))

    def _recipients(self, alert: OpenAlert) -> tuple[str, ...]:
        """Returns the receivers of the newest record: also the second ones, if the alert was passed on."""
        return tuple(dict.fromkeys([*alert.receivers, *(self._second_receivers if alert.passed_on else ())]))

    def _message(self, alert: OpenAlert) -> Message:
        return Message(self._topic, self._partition, alert.offset, alert.key, alert.value)
