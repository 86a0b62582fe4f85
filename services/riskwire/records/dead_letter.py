"""Records of the topic `dead-letters`."""

from __future__ import annotations

from typing import Literal

from riskwire.records.codec import Record, Utc


class DeadLetter(Record):
    """A record that cannot be processed, kept with the reason; `record` is as read, text or base64."""

    v: int = 1
    stage: str
    topic: str
    partition: int
    offset: int
    key: str | None = None
    error: str
    at: Utc
    record: str
    encoding: Literal["text", "base64"] = "text"
    cut: bool = False
    """`record` is only the beginning of what was read: all of it would have been too large."""
    receiver: str | None = None
    """Of a notification that was given up: whom it was owed to, as notify names them."""
