"""Records of the topic `dead-letters`."""

from __future__ import annotations

from typing import Literal

from riskwire.records.codec import Record, Utc


class DeadLetter(Record):
    """A record that could not be processed, with the error. `record` is its unchanged content, as text or base64."""

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
    """Whether `record` is shortened, because the dead letter would have been too large."""
    receiver: str | None = None
    """For an abandoned delivery, the receiver, as notify names it."""
