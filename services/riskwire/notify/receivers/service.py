"""Services that Apprise reaches: mail, chats, text messages and others."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from riskwire.errors import SettingsError
from riskwire.notify.notification import PreparedNotification
from riskwire.notify.receivers.receiver import Place
from riskwire.notify.retry import AttemptError


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

    async def attempt(self, notification: PreparedNotification) -> None:
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
            attach=_attachment(notification),
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


def _attachment(notification: PreparedNotification) -> Any:
    """Returns the chart of a notification as Apprise takes it, or None. Services without attachments leave it out."""
    if notification.chart is None:
        return None
    from apprise import AppriseAttachment  # noqa: PLC0415 - see below
    from apprise.attachment.memory import AttachMemory  # noqa: PLC0415

    picture = AttachMemory(content=notification.chart, name="chart.png", mimetype="image/png")
    return AppriseAttachment(picture)


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
