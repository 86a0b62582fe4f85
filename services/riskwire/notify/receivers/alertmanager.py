"""Alertmanager, by its API v2. Alerts are states there, which `notify/alertmanager/` keeps up to date."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from riskwire.notify.notification import PreparedNotification
from riskwire.notify.receivers.http import HttpEndpoint, host_of
from riskwire.notify.receivers.receiver import Place
from riskwire.notify.retry import AttemptError

MAX_SILENCES = 16_000_000
"""Bytes of a list of silences or alerts that are read."""
_JSON = {"Content-Type": "application/json"}
_TEST_LASTS = timedelta(minutes=1)


class AlertmanagerReceiver:
    """One Alertmanager."""

    channel = "alertmanager"
    reads_text = False

    def __init__(self, place: Place, url: str, timeout_s: float) -> None:
        """Prepares a receiver; it connects at the first request.

        Args:
            place: where the settings have it, by which messages name it instead of by its URL.
            url: the address of Alertmanager, without `/api/v2`.
            timeout_s: the longest time of one request.

        Raises:
            SettingsError: the URL cannot be used.
        """
        host = host_of(url, place.key)
        self.name, self.setting = place.receiver_name(self.channel, url), place.name
        self.label = f"{place.key} ({host})"
        self._url = url.rstrip("/")
        self._endpoint = HttpEndpoint(self.label, timeout_s, 2)

    async def attempt(self, notification: PreparedNotification) -> None:
        """Raises a test alert, which ends after a minute. Alerts of the log are posted by `post_alerts`.

        Raises:
            AttemptError: Alertmanager did not take it.
        """
        now = datetime.now(UTC)
        text = notification.text
        await self.post_alerts(
            [
                {
                    "labels": {"alertname": "riskwire-test"},
                    "annotations": {"summary": text.title, "description": text.body},
                    "startsAt": now.isoformat(),
                    "endsAt": (now + _TEST_LASTS).isoformat(),
                }
            ]
        )

    async def post_alerts(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Posts alerts, in their order.

        Raises:
            AttemptError: Alertmanager did not take them all.
        """
        await self._endpoint.request("POST", f"{self._url}/api/v2/alerts", orjson.dumps(alerts), _JSON)

    async def silences(self) -> list[dict[str, Any]]:
        """Returns every silence, also those that have ended and are still remembered.

        Raises:
            AttemptError: Alertmanager did not answer with a list.
        """
        return await self._list("silences")

    async def put_silence(self, silence: dict[str, Any]) -> str:
        """Creates a silence, or changes the one of its `id`. Returns its id.

        Raises:
            AttemptError: Alertmanager did not take it.
        """
        answer = await self._endpoint.request("POST", f"{self._url}/api/v2/silences", orjson.dumps(silence), _JSON)
        try:
            return str(orjson.loads(answer)["silenceID"])
        except (ValueError, KeyError, TypeError):
            raise AttemptError("the answer has no id of a silence", where=self.label) from None

    async def end_silence(self, identifier: str) -> None:
        """Ends a silence.

        Raises:
            AttemptError: Alertmanager did not do it.
        """
        await self._endpoint.request("DELETE", f"{self._url}/api/v2/silence/{identifier}", None, {})

    async def close(self) -> None:
        await self._endpoint.close()

    async def _list(self, what: str) -> list[dict[str, Any]]:
        answer = await self._endpoint.request("GET", f"{self._url}/api/v2/{what}", None, {}, max_answer=MAX_SILENCES)
        try:
            rows = orjson.loads(answer)
        except ValueError:
            rows = None
        if not isinstance(rows, list):
            raise AttemptError("the answer is not a list", where=self.label)
        return rows
