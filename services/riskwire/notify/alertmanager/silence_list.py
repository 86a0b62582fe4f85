"""The silences in force in Alertmanager, by any author, for the page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from riskwire.errors import NotifyError
from riskwire.notify.alertmanager.active import labels_of
from riskwire.notify.receivers import AlertmanagerReceiver, configured_receivers
from riskwire.records import Alert
from riskwire.settings import NotifySettings

_TIMEOUT_S: Final = 3.0
_KEPT_S: Final = 5.0
"""Seconds for which an answer is used again, so that many readers of the page are one request."""


@dataclass(frozen=True, slots=True)
class SilenceMatcher:
    """A condition on one label. A missing label is an empty one."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Returns whether labels meet the condition. A regular expression of Go that Python cannot read meets none."""
        value = labels.get(self.name, "")
        try:
            does_match = re.fullmatch(self.value, value) is not None if self.is_regex else value == self.value
        except re.error:
            return False
        return does_match == self.is_equal

    def __str__(self) -> str:
        sign = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
        return f"{self.name}{sign[self.is_regex, self.is_equal]}{self.value}"


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence in force."""

    receiver: str
    id: str
    by: str
    comment: str
    until: datetime
    matchers: tuple[SilenceMatcher, ...]

    def covers(self, alert: Alert) -> bool:
        """Returns whether the silence covers an alert."""
        labels = labels_of(alert)
        return all(matcher.matches(labels) for matcher in self.matchers)


class SilenceList:
    """Reads the silences of every Alertmanager of the settings."""

    def __init__(self, settings: NotifySettings) -> None:
        """Prepares requests.

        Raises:
            SettingsError: a receiver cannot be used.
        """
        limited = settings.model_copy(update={"timeout_s": min(_TIMEOUT_S, settings.timeout_s)})
        self._receivers = [
            receiver for receiver in configured_receivers(limited) if isinstance(receiver, AlertmanagerReceiver)
        ]
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._silences: list[Silence] = []

    async def read(self) -> list[Silence]:
        """Returns the silences in force, at most some seconds old.

        Raises:
            AttemptError: an Alertmanager does not answer.
            NotifyError: an answer cannot be understood.
        """
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._read_at > _KEPT_S:
                rows = await asyncio.gather(*(_silences_of(receiver) for receiver in self._receivers))
                self._silences, self._read_at = (
                    [silence for receiver_silences in rows for silence in receiver_silences],
                    now,
                )
            return list(self._silences)

    async def close(self) -> None:
        """Closes the connections."""
        for receiver in self._receivers:
            await receiver.close()


async def _silences_of(receiver: AlertmanagerReceiver) -> list[Silence]:
    rows = await receiver.silences()
    try:
        return [_silence(receiver.label, row) for row in rows if row["status"]["state"] == "active"]
    except (KeyError, TypeError, ValueError) as error:
        raise NotifyError("the silences cannot be understood", where=receiver.label) from error


def _silence(receiver: str, row: Mapping[str, Any]) -> Silence:
    matchers: Sequence[Mapping[str, Any]] = row["matchers"]
    return Silence(
        receiver=receiver,
        id=str(row["id"]),
        by=str(row["createdBy"]),
        comment=str(row["comment"]),
        until=datetime.fromisoformat(row["endsAt"]),
        matchers=tuple(
            SilenceMatcher(
                str(matcher["name"]), str(matcher["value"]), matcher["isRegex"], matcher.get("isEqual", True)
            )
            for matcher in matchers
        ),
    )
