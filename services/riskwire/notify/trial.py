"""A test message to a receiver, for `riskwire notify test`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from riskwire.errors import SettingsError
from riskwire.notify.chart import SPAN, STEP, draw_chart
from riskwire.notify.notification import PreparedNotification, notification_of
from riskwire.notify.receivers import Receiver, configured_receivers
from riskwire.notify.retry import AttemptError
from riskwire.records import Alert, content_id
from riskwire.settings import Settings
from riskwire.store import Trend
from riskwire.store.rows import TrendBucket


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a test message to a receiver has come to; `error` is None if it was delivered."""

    label: str
    error: AttemptError | None


async def try_receivers(settings: Settings, name: str | None) -> list[TrialResult]:
    """Makes one attempt to deliver a test message to each receiver, or to one.

    Args:
        name: a name in `notify.receivers`, or a setting such as `notify.webhooks[0]`; None for every receiver.

    Raises:
        SettingsError: a receiver cannot be used, or there is none (of this name).
    """
    receivers = _chosen(configured_receivers(settings.notify), name)
    results: list[TrialResult] = []
    for receiver in receivers:
        named = settings.notify.receivers.get(receiver.setting)
        notification = _test_message(settings, with_chart=named is not None and named.chart)
        try:
            await receiver.attempt(notification)
        except AttemptError as error:
            results.append(TrialResult(receiver.label, error))
        else:
            results.append(TrialResult(receiver.label, None))
        finally:
            await receiver.close()
    return results


def _chosen(receivers: Sequence[Receiver], name: str | None) -> list[Receiver]:
    """Returns the receivers to try."""
    names = [receiver.setting or receiver.label.partition(" ")[0] for receiver in receivers]
    if name is None and receivers:
        return list(receivers)
    chosen = [receiver for receiver, receiver_name in zip(receivers, names, strict=True) if receiver_name == name]
    if not chosen:
        known = f"The settings have: {', '.join(names)}" if names else "Set notify.receivers"
        raise SettingsError("there is no such receiver" if name else "there is no receiver", value=name, do=known)
    return chosen


def _test_message(settings: Settings, *, with_chart: bool) -> PreparedNotification:
    """Returns a test message: an alert that says that it is none."""
    now = datetime.now(UTC)
    alert = Alert(
        id=content_id("notify test", now.isoformat()),
        target="test:riskwire",
        name="riskwire test",
        rule="test",
        status="firing",
        severity="warning",
        opened_at=now,
        at=now,
        window_s=21_600,
        stories=0,
        sources=0,
        expected=0.0,
        surprise=0.0,
        threshold=0.0,
        summary="This is a test of the receiver, sent by `riskwire notify test`. Nothing has happened.",
        would_not_fire="",
    )
    chart = draw_chart(alert, _test_trend(now), settings.zone) if with_chart else None
    return notification_of([alert], alert.to_bytes(), chart)


def _test_trend(now: datetime) -> Trend:
    """Returns a trend with a bar in every third step."""
    starts = [now - SPAN + number * STEP for number in range(0, int(SPAN / STEP), 3)]
    points = tuple(
        TrendBucket(
            start=start, stories=2, articles=2, negative=0.5, neutral=1.0, positive=0.5, score=0.0, surprise=0.0
        )
        for start in starts
    )
    step_s = int(STEP.total_seconds())
    return Trend(
        target="test:riskwire", name="riskwire test", since=now - SPAN, until=now, step_s=step_s, points=points
    )
