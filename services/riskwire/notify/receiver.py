"""Receivers of notifications: webhooks and Apprise services. A receiver makes single attempts and never retries."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from riskwire import __version__
from riskwire.errors import SettingsError
from riskwire.notify.notification import Notification
from riskwire.notify.retry import AttemptError, error_of_status
from riskwire.notify.text import signature
from riskwire.records import content_id
from riskwire.settings import NotifySettings

MAX_ANSWER = 65_536
"""Bytes of an answer that are read. Only the beginning is used, in an error message."""
_MAX_EXCERPT = 100
"""Bytes of an answer that an error message shows."""


class Receiver(Protocol):
    """A configured destination of notifications.

    Attributes:
        name: stable over restarts; the key of pending deliveries. Derived from the URL without revealing it, or of a
            receiver with a name in the settings, from that.
        setting: its name in `notify.receivers`; empty if it is listed without one.
        channel: `webhook` or `apprise`; a label of metrics.
        reads_text: whether it shows text to people, so that several alerts can be one message.
        label: the name in logs and dead letters: setting, position and host, never path, user or query of the URL.
    """

    name: str
    setting: str
    channel: str
    reads_text: bool
    label: str

    async def attempt(self, notification: Notification) -> None:
        """Makes one attempt to deliver a notification.

        Raises:
            AttemptError: it was not delivered.
        """
        ...

    async def close(self) -> None:
        """Closes connections and threads."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the settings have a receiver.

    Attributes:
        key: the setting, for messages, such as `notify.webhooks[0]` or `notify.receivers.desk`.
        name: the name in `notify.receivers`; empty without one.
    """

    key: str
    name: str = ""

    def receiver_name(self, channel: str, url: str) -> str:
        """Returns the name of the receiver; without a name in the settings, it contains a hash of the URL."""
        return f"{channel}:{self.name or content_id(url)}"


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
        host = _webhook_host(url, place.key)
        self.name, self.setting = place.receiver_name(self.channel, url), place.name
        self.label = f"{place.key} ({host})"
        self._url = url
        self._secret = secret
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None

    async def attempt(self, notification: Notification) -> None:
        """Posts the alert record of a notification once, without following redirects. The record is signed.

        Raises:
            AttemptError: no answer in time, no connection, or a status other than 2xx; `final` if another attempt would
                fail as well. Its message never contains the URL, which may hold a secret.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        try:
            async with self._session.post(
                self._url, data=notification.record, headers=self._headers(notification), allow_redirects=False
            ) as answer:
                excerpt = await answer.content.read(MAX_ANSWER)
                error = error_of_status(answer.status, answer.headers.get("Retry-After"), self.label, datetime.now(UTC))
        except TimeoutError:
            raise AttemptError(f"no answer within {self._timeout.total:g} s", where=self.label) from None
        except aiohttp.InvalidURL:
            raise AttemptError("the URL cannot be used", where=self.label, final=True) from None
        except (aiohttp.ClientError, OSError) as failure:
            raise AttemptError(f"{type(failure).__name__}: no connection, or it broke", where=self.label) from None
        if error is not None:
            if excerpt:
                error.what += f", saying {excerpt[:_MAX_EXCERPT]!r}"
            raise error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self, notification: Notification) -> dict[str, str]:
        """Returns the headers of a post: an idempotency key and, with a secret, the time (epoch s) and a signature."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": notification.key,
            "User-Agent": f"riskwire/{__version__}",
        }
        if self._secret is not None:
            timestamp = str(int(time.time()))
            headers["X-Riskwire-Timestamp"] = timestamp
            headers["X-Riskwire-Signature"] = signature(self._secret, timestamp, notification.record)
        return headers


class AppriseReceiver:
    """One Apprise URL. Apprise blocks, so attempts run in a thread of this receiver."""

    channel = "apprise"
    reads_text = True

    def __init__(self, place: Place, url: str, timeout_s: float) -> None:
        """Prepares a receiver; it connects at the first attempt.

        Args:
            place: where the settings have it, by which messages name it instead of by its URL.
            url: the Apprise URL. The label shows only its scheme.
            timeout_s: the longest time of one attempt.

        Raises:
            SettingsError: Apprise cannot use the URL.
        """
        self._apprise = _apprise_client(url, place.key)
        self.name, self.setting = place.receiver_name(self.channel, url), place.name
        self.label = f"{place.key} ({url.partition(':')[0].lower()})"
        self._timeout_s = timeout_s
        self._thread: ThreadPoolExecutor | None = None

    async def attempt(self, notification: Notification) -> None:
        """Sends the text of a notification through Apprise once, in the receiver's own thread.

        After a timeout the call goes on in the thread, and the next attempt waits for it.

        Raises:
            AttemptError: it failed or timed out. Its message never contains the URL, which may hold a secret.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="notify")
        send = partial(
            self._apprise.notify,
            body=notification.text.body,
            title=notification.text.title,
            notify_type=notification.tone,
            body_format="text",
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                delivered = await asyncio.get_running_loop().run_in_executor(self._thread, send)
        except TimeoutError:
            raise AttemptError(f"not finished within {self._timeout_s:g} s", where=self.label) from None
        except Exception as error:  # noqa: BLE001 - plugins raise errors of any type, whose messages may contain the URL
            raise AttemptError(f"{type(error).__name__} inside Apprise", where=self.label) from None
        if not delivered:
            raise AttemptError("Apprise reports that it was not delivered", where=self.label)

    async def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None


def configured_receivers(settings: NotifySettings) -> list[Receiver]:
    """Returns the receivers of the settings, without connecting to them; those without a name first, webhooks first.

    Raises:
        SettingsError: the key of webhooks is empty, a named receiver has no URL or several, or a URL occurs twice or
            cannot be used. The message names its setting and never shows the URL.
    """
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret is not None else None
    if secret == "":
        raise SettingsError("the key is empty", where="notify.webhook_secret", do="Set a key, or leave the setting out")
    webhooks = [(Place(f"notify.webhooks[{position}]"), url) for position, url in enumerate(settings.webhooks)]
    services = [(Place(f"notify.apprise[{position}]"), url) for position, url in enumerate(settings.apprise)]
    for name, named in settings.receivers.items():
        place = Place(f"notify.receivers.{name}", name)
        if (named.webhook is None) == (named.apprise is None):
            raise SettingsError("a receiver needs one of `webhook` and `apprise`", where=place.key)
        if named.webhook is not None:
            webhooks.append((place, named.webhook))
        if named.apprise is not None:
            services.append((place, named.apprise))
    receivers: list[Receiver] = [
        WebhookReceiver(place, url.get_secret_value(), secret, settings.timeout_s, settings.concurrency)
        for place, url in webhooks
    ]
    receivers += [AppriseReceiver(place, url.get_secret_value(), settings.timeout_s) for place, url in services]
    labels: dict[str, str] = {}
    for (_, url), receiver in zip([*webhooks, *services], receivers, strict=True):
        key = f"{receiver.channel}:{url.get_secret_value()}"
        if key in labels:
            raise SettingsError(f"the same URL as {labels[key]}", where=receiver.label, do="Remove one")
        labels[key] = receiver.label
    return receivers


def _webhook_host(url: str, setting: str) -> str:
    """Returns the host of a webhook URL, with `:port` if the URL has one.

    Args:
        setting: the name of the setting that holds the URL, for the message.

    Raises:
        SettingsError: the URL is not http(s), has no host, or has outer white space or unprintable characters.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("this is not a URL (it is not shown: it may hold a secret)", where=setting) from None
    if parts.scheme not in {"http", "https"} or not host or url != url.strip() or not url.isprintable():
        raise SettingsError(
            "a webhook must be an http:// or https:// URL with a host (it is not shown: it may hold a secret)",
            where=setting,
            do="Use notify.apprise for other services",
        )
    return host if port is None else f"{host}:{port}"


def _apprise_client(url: str, setting: str) -> Any:
    """Returns an Apprise client for one URL.

    Args:
        setting: the name of the setting that holds the URL, for the message.

    Raises:
        SettingsError: the URL is empty, or Apprise does not know such a URL.
    """
    import apprise  # noqa: PLC0415 - the import takes a third of a second, and only Apprise receivers need it

    client = apprise.Apprise()
    # Apprise splits a text at commas and spaces into several URLs; a setting holds exactly one.
    service = apprise.Apprise.instantiate(url, suppress_exceptions=True) if url else None
    if service is None or not client.add(service):
        raise SettingsError(
            "Apprise cannot use this URL (it is not shown: it may hold a secret)",
            where=setting,
            do="`apprise --details` lists the services and how their URLs are written",
        )
    return client
