"""Webhooks: the alert record as JSON, signed."""

from __future__ import annotations

import time

from riskwire.notify.notification import PreparedNotification
from riskwire.notify.receivers.http import HttpEndpoint, host_of
from riskwire.notify.receivers.receiver import Place
from riskwire.notify.text import signature


class WebhookReceiver:
    """POSTs the alert record unchanged, with a signature; does not follow redirects."""

    channel = "webhook"
    reads_text = False

    def __init__(self, place: Place, url: str, secret: str | None, timeout_s: float, concurrency: int) -> None:
        """Prepares a receiver; it connects at the first attempt.

        Args:
            place: where the settings have it, by which messages name it instead of by its URL.
            url: the address that alerts are posted to.
            secret: the key of the signature; None sends no signature.
            timeout_s: the longest time of one attempt.
            concurrency: the most connections at a time.

        Raises:
            SettingsError: the URL cannot be used.
        """
        host = host_of(url, place.key)
        self.name, self.setting = place.receiver_name(self.channel, url), place.name
        self.label = f"{place.key} ({host})"
        self._url = url
        self._secret = secret
        self._endpoint = HttpEndpoint(self.label, timeout_s, concurrency)

    async def attempt(self, notification: PreparedNotification) -> None:
        """Posts the alert record of a notification once, without following redirects. The record is signed.

        Raises:
            AttemptError: no answer in time, no connection, or a status other than 2xx; `final` if another attempt would
                fail as well. Its message never contains the URL, which may hold a secret.
        """
        await self._endpoint.request("POST", self._url, notification.record, self._headers(notification))

    async def close(self) -> None:
        await self._endpoint.close()

    def _headers(self, notification: PreparedNotification) -> dict[str, str]:
        """Returns the headers of a post: an idempotency key and, with a secret, the time (epoch s) and a signature."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": notification.key}
        if self._secret is not None:
            timestamp = str(int(time.time()))
            headers["X-Riskwire-Timestamp"] = timestamp
            headers["X-Riskwire-Signature"] = signature(self._secret, timestamp, notification.record)
        return headers
