"""Who gets notifications: webhooks and Apprise services. A receiver makes one try; repeating is not its concern."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from riskwire import __version__
from riskwire.errors import SettingsError
from riskwire.notify.retry import TryError, failure_of_status
from riskwire.notify.text import idempotency_key, signature, text_of
from riskwire.records import Alert, content_id
from riskwire.settings import NotifySettings

MOST_ANSWER = 65_536
"""Bytes read of a receiver's answer; it says only why, so the rest is of no use."""


class Receiver(Protocol):
    """One configured way out."""

    way: str
    """Stable name, derived from the URL without telling it: what progress is kept under."""
    kind: str
    """`webhook` or `apprise`: what metrics are kept under."""
    label: str
    """What logs and dead letters call it: setting, position and host, never path, user or query."""

    async def attempt(self, alert: Alert, record: bytes) -> None:
        """Try once.

        Raises:
            TryError: it did not arrive.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...


class Webhook:
    """POSTs the alert record as it stands on the topic, signed; redirects are not followed."""

    kind = "webhook"

    def __init__(self, position: int, url: str, secret: str | None, timeout_s: float, concurrency: int) -> None:
        host = _checked(url, f"notify.webhooks[{position}]")
        self.way = f"webhook:{content_id(url)}"
        self.label = f"notify.webhooks[{position}] ({host})"
        self._url = url
        self._secret = secret
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None

    async def attempt(self, alert: Alert, record: bytes) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        try:
            async with self._session.post(
                self._url, data=record, headers=self._headers(alert, record), allow_redirects=False
            ) as answer:
                excerpt = await answer.content.read(MOST_ANSWER)
                failure = failure_of_status(
                    answer.status, answer.headers.get("Retry-After"), self.label, datetime.now(UTC)
                )
        except TimeoutError:
            raise TryError(f"no answer within {self._timeout.total:g} s", where=self.label) from None
        except aiohttp.InvalidURL:
            raise TryError("the URL cannot be used", where=self.label, final=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise TryError(f"{type(error).__name__}: no connection or it broke", where=self.label) from None
        if failure is not None:
            if excerpt:
                failure.what += f", saying {excerpt[:100]!r}"
            raise failure

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _headers(self, alert: Alert, record: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key(alert),
            "User-Agent": f"riskwire/{__version__}",
        }
        if self._secret is not None:
            timestamp = str(int(time.time()))
            headers["X-Riskwire-Timestamp"] = timestamp
            headers["X-Riskwire-Signature"] = signature(self._secret, timestamp, record)
        return headers


class Service:
    """One Apprise URL; Apprise blocks, so each try runs in a thread of the service's own."""

    kind = "apprise"

    def __init__(self, position: int, url: str, timeout_s: float) -> None:
        setting = f"notify.apprise[{position}]"
        self._apprise = _opened(url, setting)
        self.way = f"apprise:{content_id(url)}"
        self.label = f"{setting} ({url.partition(':')[0].lower()})"
        self._timeout_s = timeout_s
        self._thread: ThreadPoolExecutor | None = None

    async def attempt(self, alert: Alert, record: bytes) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="notify")
        text = text_of(alert)
        send = partial(
            self._apprise.notify,
            body=text.body,
            title=text.title,
            notify_type=_notify_type(alert),
            body_format="text",
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                arrived = await asyncio.get_running_loop().run_in_executor(self._thread, send)
        except TimeoutError:
            raise TryError(f"not done within {self._timeout_s:g} s", where=self.label) from None
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and its message may hold the URL
            raise TryError(f"{type(error).__name__} inside Apprise", where=self.label) from None
        if not arrived:
            raise TryError("Apprise says that it was not delivered", where=self.label)

    async def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None


def receivers_of(settings: NotifySettings) -> list[Receiver]:
    """Every receiver the settings name.

    Raises:
        SettingsError: a URL that cannot be used, by setting and position, never showing the URL itself.
    """
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret is not None else None
    if secret == "":
        raise SettingsError("the key is empty", where="notify.webhook_secret", do="Set one, or leave it out")
    receivers: list[Receiver] = [
        Webhook(position, url.get_secret_value(), secret, settings.timeout_s, settings.concurrency)
        for position, url in enumerate(settings.webhooks)
    ]
    receivers += [
        Service(position, url.get_secret_value(), settings.timeout_s) for position, url in enumerate(settings.apprise)
    ]
    names: dict[str, str] = {}
    for receiver in receivers:
        if receiver.way in names:
            raise SettingsError(f"the same URL as {names[receiver.way]}", where=receiver.label, do="Remove one")
        names[receiver.way] = receiver.label
    return receivers


def _checked(url: str, setting: str) -> str:
    """Host and port of a webhook URL that can be used."""
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


def _opened(url: str, setting: str) -> Any:
    import apprise  # noqa: PLC0415 - a third of a second that only those pay who use it

    service = apprise.Apprise()
    # One URL a setting: Apprise would read a comma or a space as the start of another.
    opened = apprise.Apprise.instantiate(url, suppress_exceptions=True) if url else None
    if opened is None or not service.add(opened):
        raise SettingsError(
            "Apprise cannot use this URL (it is not shown: it may hold a secret)",
            where=setting,
            do="`apprise --details` lists the services and how their URLs are written",
        )
    return service


def _notify_type(alert: Alert) -> str:
    """Apprise's name for how it looks: colour and icon."""
    if alert.status == "resolved":
        return "success"
    return "failure" if alert.severity == "critical" else "warning"
