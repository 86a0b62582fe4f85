"""What every receiver of notifications has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from riskwire.notify.notification import PreparedNotification
from riskwire.records import content_id


class Receiver(Protocol):
    """A configured destination of notifications.

    Attributes:
        name: stable over restarts; the key of pending deliveries. Derived from the URL without revealing it, or of a
            receiver with a name in the settings, from that.
        setting: its name in `notify.receivers`; empty if it is listed without one.
        channel: `webhook`, `apprise` or `alertmanager`; a label of metrics.
        reads_text: whether it shows text to people, so that several alerts can be one message.
        label: the name in logs and dead letters: setting, position and host, never path, user or query of the URL.
    """

    name: str
    setting: str
    channel: str
    reads_text: bool
    label: str

    async def attempt(self, notification: PreparedNotification) -> None:
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
