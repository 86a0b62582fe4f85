"""The settings of notifications: receivers, what goes to which, and when."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from riskwire.settings.section import Section
from riskwire.vocabulary import EVENT_TYPES, AlertKind, Severity

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _require_hours(text: str) -> str:
    """Returns a span of the day, or the empty text; raises a ValueError for any other text."""
    start, _, end = text.partition("-")
    if text and not (_TIME.fullmatch(start) and _TIME.fullmatch(end) and start != end):
        raise ValueError('not a span of the day: write two different times in quotes, such as "22:00-07:00"')
    return text


def _require_time(text: str) -> str:
    """Returns a time of day; raises a ValueError for any other text."""
    if not _TIME.fullmatch(text):
        raise ValueError('not a time of day: write hours and minutes in quotes, such as "07:30"')
    return text


def _require_name(text: str) -> str:
    """Returns the name of a receiver; raises a ValueError for any other text."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", text):
        raise ValueError("not a name of a receiver: use up to 40 of a-z, 0-9, - and _, and begin with a letter")
    return text


def _require_event_type(code: str) -> str:
    """Returns the code of an event type; raises a ValueError for any other text."""
    if code not in EVENT_TYPES:
        similar = get_close_matches(code, EVENT_TYPES, n=1)
        hint = f"did you mean {similar[0]}?" if similar else f"these are: {', '.join(EVENT_TYPES)}"
        raise ValueError(f"not an event type; {hint}")
    return code


PushTier = Literal["notice", "page"]
"""The tiers that are delivered one by one. An alert of tier digest is only a line of the digest."""
EventType = Annotated[str, AfterValidator(_require_event_type)]
"""The code of an event type."""
ReceiverName = Annotated[str, AfterValidator(_require_name)]
"""The name of a receiver."""


class ReceiverSettings(Section):
    """One named receiver. Give it exactly one of `webhook`, `apprise` and `alertmanager`."""

    webhook: SecretStr | None = None
    """URL (http or https) that receives every alert record as JSON, signed if `notify.webhook_secret` is set."""
    apprise: SecretStr | None = None
    """Apprise URL (mail, Slack, Teams, SMS, …) that receives alerts as text."""
    chart: bool = False
    """Attach a chart of a month of news about the target (extra `report`). The process of `notify` reads the store for
    it."""
    alertmanager: SecretStr | None = None
    """URL of an Alertmanager, such as `http://127.0.0.1:9093`. It gets every alert as long as it lasts."""
    quiet_hours: Annotated[str, AfterValidator(_require_hours)] = ""
    """Span of every day in which deliveries wait for its end, such as `"22:00-07:00"`, in `time_zone`. What is decided
    does not depend on it."""
    quiet_tiers: tuple[PushTier, ...] = ("notice",)
    """Tiers that wait in quiet hours. By default pages are delivered at any time. What resolves always waits."""
    alerts: bool = True
    """Deliver alerts one by one. `false`: only the digest."""
    digest: Literal["never", "daily", "weekly"] = "never"
    """One message with all alerts by rank, what was muted and what came near. Only for `apprise`."""
    digest_at: Annotated[str, AfterValidator(_require_time)] = "07:00"
    """Time of day of the digest, in `time_zone`."""
    digest_day: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = "monday"
    """Day of a weekly digest."""


class RouteSettings(Section):
    """Where some alerts go: those that meet every condition that is given, to every receiver of `to`."""

    to: tuple[str, ...] = Field(min_length=1)
    """Names of receivers."""
    groups: tuple[str, ...] = ()
    """Groups of the watchlist."""
    tiers: tuple[PushTier, ...] = ()
    """Tiers: `page`, `notice`."""
    kinds: tuple[AlertKind, ...] = ()
    """Kinds: `event`, `spike`, `slide`."""
    types: tuple[EventType, ...] = ()
    """Event types, of which the alert must have at least one. Spikes and slides have none."""
    min_severity: Severity = "warning"
    """Least severity."""


class NotifySettings(Section):
    """Delivery of alerts to receivers."""

    log: bool = True
    """Write every notification to the log."""
    webhooks: tuple[SecretStr, ...] = ()
    """URLs (http or https) that receive every alert record as JSON, signed if `webhook_secret` is set."""
    webhook_secret: SecretStr | None = None
    """Key of the HMAC-SHA256 signature of webhooks."""
    webhook_secret_file: Path | None = None
    """File with the `webhook_secret`."""
    apprise: tuple[SecretStr, ...] = ()
    """Apprise URLs (mail, Slack, Teams, SMS, …)."""
    receivers: dict[ReceiverName, ReceiverSettings] = Field(default_factory=dict)
    """Named receivers, by name."""
    routes: tuple[RouteSettings, ...] = ()
    """Which alerts go to which named receivers. All routes that match count. A receiver that no route names gets every
    alert."""
    min_severity: Severity = "warning"
    """Least severity of an alert that is delivered."""
    group_wait_s: float = Field(default=3.0, ge=0, le=300)
    """Seconds that a message of text waits for alerts on other targets that the same story raised."""
    attempts: int = Field(default=1_000, ge=1, le=1_000)
    """Most attempts of one delivery, before it becomes a dead letter."""
    timeout_s: float = Field(default=10.0, gt=0, le=300)
    """Deadline in seconds of one attempt."""
    backoff_s: float = Field(default=2.0, gt=0, le=3_600)
    """Wait in seconds before the second attempt. It doubles with each attempt, with jitter."""
    backoff_max_s: float = Field(default=300.0, gt=0, le=3_600)
    """Longest wait in seconds between two attempts, also if the receiver sends a longer `Retry-After`."""
    give_up_after_s: float = Field(default=86_400.0, gt=0, le=604_800)
    """A delivery becomes a dead letter this many seconds after its record was read, if its receiver is still away."""
    resend_s: float = Field(default=60.0, gt=0, le=3_600)
    """Seconds after which an Alertmanager gets every running alert again. After a restart it has none until then."""
    hold_s: float = Field(default=3_600.0, ge=60, le=604_800)
    """Seconds for which an Alertmanager takes an alert for running if nothing more comes, as while riskwire is down."""
    max_age_s: float = Field(default=86_400.0, gt=0)
    """An alert whose `at` is more than this many seconds from the wall clock (replay, demo) is logged and not sent."""
    max_pending: int = Field(default=1_000, ge=1, le=100_000)
    """Most pending deliveries of one receiver. A further one becomes a dead letter, so that other receivers are not
    blocked."""
    concurrency: int = Field(default=4, ge=1, le=64)
    """Most concurrent attempts per receiver."""
    escalate_to: tuple[str, ...] = ()
    """Names of receivers that get a page which nobody has acknowledged, and its end. A receiver that is only named here
    gets nothing else."""
    escalate_after_s: float = Field(default=900.0, ge=1, le=604_800)
    """Seconds that a page waits for an acknowledgement before it goes to `escalate_to`."""
    remember: int = Field(default=10_000, ge=100)
    """Open episodes remembered per partition, so that `resolved` is sent only for delivered ones. The oldest are
    forgotten first."""
