"""What a person asks for: one decision about an alert, or a mute. The page, the API and the command line share it."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Final, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from riskwire.errors import SettingsError
from riskwire.records import (
    EVENT_TYPES,
    AlertKind,
    Command,
    DecisionKind,
    FalseAlarmReason,
    LevelLabel,
    Utc,
)
from riskwire.store import AlertRow

_SCOPES: Final = ("target", "type", "publisher")
_MAX_EVIDENCE: Final = 5
"""Stories of an alert that a label of it keeps."""
_OF_RUNNING: Final = ("acknowledge", "snooze", "assign")
"""The decisions that an alert which has ended cannot take."""


def _require_subject(subject: str) -> str:
    """Returns the subject of a mute. Raises a ValueError if it has no known scope, or names an unknown type."""
    scope, _, name = subject.partition(":")
    if scope not in _SCOPES or not name.strip():
        raise ValueError(f"write one of {', '.join(f'{scope}:NAME' for scope in _SCOPES)}")
    types = (*EVENT_TYPES, *get_args(AlertKind))
    if scope == "type" and name not in types:
        similar = get_close_matches(name, types, n=1)
        raise ValueError(
            f"not an event type; did you mean {similar[0]}?" if similar else f"the types are {', '.join(types)}"
        )
    return subject


def _require_event(code: str) -> str:
    if code not in EVENT_TYPES:
        raise ValueError(f"not an event type; the types are {', '.join(EVENT_TYPES)}")
    return code


class DecisionRequest(BaseModel):
    """One decision.

    Attributes:
        alert: the id of the alert; a mute has none.
        subject: of a mute, what is muted: `target:ID`, `type:CODE` or `publisher:NAME`.
        until: of a snooze or a mute, when it ends. A mute without it lasts until it is lifted.
        assignee: of an assignment, who takes care of the alert.
        reason: of a false alarm, why it was none.
        level, events: the right labels of the stories of the alert, where the model was wrong. Of a false alarm they
            may be left out, if the reason says the level.
    """

    model_config = ConfigDict(extra="forbid")

    kind: DecisionKind
    alert: str | None = Field(default=None, min_length=1, max_length=100)
    subject: Annotated[str, Field(max_length=300), AfterValidator(_require_subject)] | None = None
    until: Utc | None = None
    assignee: str | None = Field(default=None, min_length=1, max_length=100, pattern=r"\S")
    reason: FalseAlarmReason | None = None
    level: LevelLabel | None = None
    events: Annotated[tuple[Annotated[str, AfterValidator(_require_event)], ...], Field(max_length=5)] = ()
    comment: str = Field(default="", max_length=2_000)

    @model_validator(mode="after")
    def _require_fields_of_kind(self) -> DecisionRequest:
        """Checks that the decision has the fields of its kind. Raises a ValueError that names what is missing."""
        mutes = self.kind in ("mute", "unmute")
        if mutes != (self.subject is not None):
            raise ValueError(f"{self.kind} needs `subject`" if mutes else "`subject` is only for mute and unmute")
        if mutes == (self.alert is not None):
            raise ValueError("a mute has no `alert`" if mutes else f"{self.kind} needs `alert`")
        needs = {"snooze": ("until", self.until), "assign": ("assignee", self.assignee), "comment": ("comment", None)}
        field, value = needs.get(self.kind, ("", True))
        if not (self.comment.strip() if field == "comment" else value):
            raise ValueError(f"{self.kind} needs `{field}`")
        if self.kind == "correct" and self.level is None and not self.events:
            raise ValueError("correct needs `level` or `events`")
        if self.reason == "other" and not self.comment.strip():
            raise ValueError("the reason `other` needs `comment`")
        return self


def decision_command(request: DecisionRequest, alert: AlertRow | None, by: str, at: datetime) -> Command:
    """Returns the command of a decision. It says what the alert was, so that it can be read when that is deleted.

    Args:
        alert: the newest record of the alert; None for a mute.
        by: who decides, `at` when.

    Raises:
        SettingsError: the time has passed, or the alert has ended or was closed and cannot take such a decision.
    """
    if request.until is not None and request.until <= at:
        raise SettingsError("until: this time has passed", value=f"{request.until:%Y-%m-%dT%H:%M:%SZ}")
    if alert is not None and alert.handling == "false_alarm" and request.kind in (*_OF_RUNNING, "false_alarm"):
        raise SettingsError(
            f"{alert.handled_by} has marked this alert as a false alarm, which closes it", value=alert.id
        )
    if alert is not None and alert.status == "resolved" and request.kind in _OF_RUNNING:
        raise SettingsError(
            f"this alert ended at {alert.at:%Y-%m-%d %H:%M} UTC, so there is nothing to {request.kind}",
            value=alert.id,
            do="A comment, a correction or a false alarm can still be recorded",
        )
    value: dict[str, Any] = {
        "subject": request.subject,
        "assignee": request.assignee,
        "reason": request.reason,
        "level": request.level,
        "events": list(request.events),
    }
    if alert is not None:
        value |= {"name": alert.name, "summary": alert.summary, "alert_kind": alert.kind, "alert_events": alert.events}
        if request.kind in ("false_alarm", "correct"):
            value["evidence"] = [
                story.model_dump(mode="json", include={"text", "start", "end", "title", "url", "publisher", "source"})
                for story in alert.evidence[:_MAX_EVIDENCE]
            ]
    scope, _, name = (request.subject or "").partition(":")
    return Command(
        kind=request.kind,
        alert=request.alert,
        target=alert.target if alert is not None else name if scope == "target" else None,
        by=by,
        at=at,
        comment=request.comment,
        until=request.until,
        value={field: content for field, content in value.items() if content},
    )
