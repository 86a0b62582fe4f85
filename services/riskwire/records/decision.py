"""Decisions of people about alerts, as records of the topic `alerts`, and what that topic holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter

from riskwire.records.alert import Alert
from riskwire.records.codec import Record, Utc

DecisionKind = Literal["acknowledge", "assign", "snooze", "comment", "false_alarm", "correct", "mute", "unmute"]
FalseAlarmReason = Literal["not_adverse", "not_material", "wrong_party", "wrong_type", "old_news", "duplicate", "other"]
"""Why an alert was no alert.

- `not_adverse`: the news is not bad for the party.
- `not_material`: it is bad, and too small to matter.
- `wrong_party`: it speaks of another party than the alert says.
- `wrong_type`: something else happened than the alert says.
- `old_news`: it was known before.
- `duplicate`: another alert reported it already.
- `other`: the comment says why.
"""


class Decision(Record):
    """A decision of a person. It applies to the alert records after it on the same partition.

    It is on every partition of `alerts`.

    Attributes:
        decision: what was decided.
        alert: the id of the alert that it is about; None for a mute.
        subject: of a mute, what is muted: `target:ID`, `type:CODE` (an event type or a kind of alert) or
            `publisher:NAME`.
        until: of a snooze or a mute, when it ends; None for a mute without end.
        assignee: of an assignment, who takes care of the alert.
        reason: of a false alarm, why it was none.
        by, at: who decided, and when.
        command: the offset of the command in `commands`. It gives the decisions the same order on every partition.
    """

    v: int = 1
    kind: Literal["decision"] = "decision"
    decision: DecisionKind
    alert: str | None = None
    target: str | None = None
    subject: str | None = None
    until: Utc | None = None
    assignee: str = ""
    reason: FalseAlarmReason | None = None
    by: str
    at: Utc
    comment: str = ""
    command: int | None = Field(default=None, ge=0)


def mute_key(subject: str) -> str:
    """Returns what identifies the subject of a mute; publishers are equal without case."""
    scope, _, name = subject.partition(":")
    return f"{scope}:{name.casefold() if scope == 'publisher' else name}"


def covering_mute(
    mutes: Collection[str], *, target: str, kind: str, types: Sequence[str], publishers: Sequence[str]
) -> str | None:
    """Returns the key of a mute that covers an alert, or None.

    A mute of a type covers an alert if all its types are muted, or its kind is. A mute of a publisher covers it if the
    publishers of all its stories are muted.

    Args:
        mutes: the keys of the mutes in force.
        target, kind, types, publishers: those of the alert.
    """
    if not mutes:
        return None
    scopes = (("target", [target]), ("type", [kind]), ("type", types), ("publisher", publishers))
    for scope, names in scopes:
        keys = [mute_key(f"{scope}:{name}") for name in names]
        if keys and all(key in mutes for key in keys):
            return keys[0]
    return None


def publishers_of(alert: Alert) -> tuple[str, ...]:
    """Returns the keys of the publishers of the stories of an alert, each once."""
    return tuple(dict.fromkeys(story.source_key for story in alert.evidence))


def _tag(value: Any) -> str:
    """Returns which record of the topic a value is: `kind` of an alert says what kind of alert, and may be missing."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "decision" if kind == "decision" else "alert"


AlertOrDecision = Annotated[Annotated[Alert, Tag("alert")] | Annotated[Decision, Tag("decision")], Discriminator(_tag)]
ALERTS: TypeAdapter[Alert | Decision] = TypeAdapter(AlertOrDecision)
