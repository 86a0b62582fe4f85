"""The mutes of riskwire as silences of Alertmanager. The task of the first partition keeps them.

A silence says in its comment of which mute it is, so that a restart of either side makes no second one. One that a
person ended in Alertmanager stays ended. Only mutes of a target or of a kind of alert become silences: an event type or
a publisher is no label, and such alerts do not get to Alertmanager while they are muted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

import structlog

from riskwire.notify.alertmanager.active import ALERT_NAME
from riskwire.notify.receivers import AlertmanagerReceiver
from riskwire.notify.retry import AttemptError
from riskwire.records import AlertKind, Decision, mute_key
from riskwire.settings import NotifySettings
from riskwire.stage.state import KeyedState

log = structlog.get_logger(__name__)

CREATOR: Final = "riskwire"
"""The `createdBy` of the silence of a mute."""
_PREFIX: Final = "silence:"
_WITHOUT_END: Final = timedelta(days=3_650)
"""How long the silence of a mute without end lasts: a silence needs an end."""
_SAME_END: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class MutedSubject:
    """A mute that is a silence. Times are epoch seconds.

    Attributes:
        subject: what is muted, as `Decision.subject`.
        until: when the mute ends; None without end.
        by, comment: who decided, and why.
        at: when it was decided.
        ended: whether somebody took it back.
    """

    subject: str
    until: float | None
    by: str
    comment: str
    at: float
    ended: bool = False

    @property
    def marker(self) -> str:
        """The text in the comment of the silence of this mute."""
        return f"[riskwire mute {self.subject} {self.at:.3f}]"

    @property
    def subject_marker(self) -> str:
        """The text in the comment of every silence of a mute of this subject."""
        return f"[riskwire mute {self.subject} "

    def silence(self, now: datetime) -> dict[str, Any]:
        """Returns the silence as the API takes it."""
        label, _, value = self.subject.partition(":")
        end = now + _WITHOUT_END if self.until is None else datetime.fromtimestamp(self.until, UTC)
        names = {"alertname": ALERT_NAME, "target" if label == "target" else "kind": value}
        why = f": {self.comment}" if self.comment else ""
        return {
            "matchers": [
                {"name": name, "value": text, "isRegex": False, "isEqual": True} for name, text in names.items()
            ],
            "startsAt": now.isoformat(),
            "endsAt": end.isoformat(),
            "createdBy": CREATOR,
            "comment": f"muted in riskwire by {self.by}{why} {self.marker}",
        }


@dataclass(frozen=True, slots=True)
class SilencePlan:
    """What one Alertmanager lacks: a silence to create, and the ids of silences to end."""

    create: dict[str, Any] | None
    end: tuple[str, ...]


def plan_silence(mute: MutedSubject, silences: Sequence[Mapping[str, Any]], now: datetime) -> SilencePlan:
    """Returns how the silences of an Alertmanager come to agree with a mute.

    Args:
        silences: all of its silences, also those that have ended.
    """
    ours = [row for row in silences if mute.subject_marker in str(row.get("comment", ""))]
    running = [row for row in ours if row["status"]["state"] in ("active", "pending")]
    running.sort(key=lambda row: str(row["id"]))  # members of a cluster share silences, and must keep the same one
    over = mute.ended or (mute.until is not None and mute.until <= now.timestamp())
    kept_silence = None if over else next((row for row in running if _stands_for(row, mute)), None)
    end = tuple(str(row["id"]) for row in running if row is not kept_silence)
    # One of this mute that has ended before the mute was ended by a person in Alertmanager.
    ended_there = any(mute.marker in str(row.get("comment", "")) for row in ours if row not in running)
    is_needed = not over and kept_silence is None and not ended_there
    return SilencePlan(mute.silence(now) if is_needed else None, end)


def _stands_for(row: Mapping[str, Any], mute: MutedSubject) -> bool:
    """Returns whether a running silence is that of a mute, with its end."""
    if mute.marker not in str(row.get("comment", "")):
        return False
    if mute.until is None:
        return True
    return abs(datetime.fromisoformat(row["endsAt"]).timestamp() - mute.until) <= _SAME_END.total_seconds()


class Silences:
    """The mutes of the log that are silences, and the task that makes them."""

    def __init__(
        self,
        state: Mapping[str, bytes],
        receivers: Sequence[AlertmanagerReceiver],
        settings: NotifySettings,
        wall: Callable[[], datetime],
    ) -> None:
        """Restores the mutes from the committed state.

        Args:
            wall: returns the time of day.
        """
        self._receivers = receivers
        self._settings = settings
        self._wall = wall
        self._mutes = KeyedState.of_dataclass(_PREFIX, state, MutedSubject)
        self._changed = asyncio.Event()

    def take(self, decision: Decision) -> None:
        """Takes a decision, if it is about a mute that can be a silence."""
        if decision.subject is None or not _is_expressible(decision.subject):
            return
        key = mute_key(decision.subject)
        if decision.decision == "mute":
            until = None if decision.until is None else decision.until.timestamp()
            at = decision.at.timestamp()
            self._mutes.set(key, MutedSubject(decision.subject, until, decision.by, decision.comment, at))
        elif decision.decision == "unmute" and key in self._mutes:
            self._mutes.set(key, replace(self._mutes[key], ended=True))
        self._changed.set()

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._mutes.take_changes()

    async def run(self) -> None:
        """Brings every Alertmanager up to date after each change, and regularly: it may have lost its silences."""
        while True:
            self._changed.clear()
            updated = await asyncio.gather(*(self._update(receiver) for receiver in self._receivers))
            if all(updated):
                self._forget_ended()
            wait_s = self._settings.resend_s if all(updated) else min(self._settings.backoff_s, self._settings.resend_s)
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _update(self, receiver: AlertmanagerReceiver) -> bool:
        """Brings one Alertmanager up to date. Returns whether it succeeded; without mutes nothing is asked."""
        mutes = list(self._mutes.entries.values())
        if not mutes:
            return True
        try:
            rows = await receiver.silences()
            for mute in mutes:
                plan = plan_silence(mute, rows, self._wall())
                if plan.create is not None:
                    await receiver.put_silence(plan.create)
                for identifier in plan.end:
                    await receiver.end_silence(identifier)
        except AttemptError as error:
            log.warning("a mute cannot be made a silence, trying again", error=str(error))
            return False
        except (KeyError, TypeError, ValueError) as error:
            log.warning("the silences of Alertmanager cannot be read", receiver=receiver.label, error=repr(error))
            return False
        return True

    def _forget_ended(self) -> None:
        """Forgets mutes that are over; their silences have ended."""
        now = self._wall().timestamp()
        for key, mute in list(self._mutes.entries.items()):
            if mute.ended or (mute.until is not None and mute.until <= now):
                self._mutes.delete(key)


def _is_expressible(subject: str) -> bool:
    """Returns whether the labels of alerts tell what a mute covers."""
    scope, _, name = subject.partition(":")
    return scope == "target" or (scope == "type" and name in get_args(AlertKind))
