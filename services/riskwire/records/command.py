"""Records of the topic `commands`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from riskwire.records.codec import Record, Utc

CommandKind = Literal[
    "acknowledge",
    "assign",
    "snooze",
    "comment",
    "false_alarm",
    "correct",
    "mute",
    "unmute",
    "watchlist_set",
    "watchlist_remove",
    "rule_set",
]


class Command(Record):
    """A decision of a person about an alert, a target or the watchlist."""

    v: int = 1
    kind: CommandKind
    alert: str | None = None
    target: str | None = None
    by: str
    at: Utc
    comment: str = ""
    until: Utc | None = None
    value: dict[str, Any] = Field(default_factory=dict)
    """For `watchlist_set`, the fields of the entry, as in a watchlist file. For a decision, the fields of
    `DecisionRequest` that a command has none for, and what the alert was: `name`, `summary`, `evidence`."""
