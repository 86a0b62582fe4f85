"""Alerts are counted by kind, tier, severity and type, near misses by reason, and each is an event of the log."""

from __future__ import annotations

import asyncio
from types import MappingProxyType, SimpleNamespace
from typing import Any

import fictional
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from riskwire.alerting.book import BookStep
from riskwire.alerting.stage import AlertTask
from riskwire.notify.deliverer import Deliverer
from riskwire.notify.outbox import Delivery
from riskwire.settings import NotifySettings


def value(name: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class DecidedBook:
    """A book that decides what it was given."""

    targets = MappingProxyType[str, object]({})
    rates: tuple[object, ...] = ()

    def __init__(self, step: BookStep) -> None:
        self._step = step

    def close(self) -> BookStep:
        """Returns the step."""
        return self._step


async def report(step: BookStep) -> list[Any]:
    """Lets a task report a step of its book. Returns the events of the log."""
    book: Any = DecidedBook(step)
    with capture_logs() as events:
        await AlertTask(0, book, asyncio.Lock(), lambda bundle: None).process([])
    return events


async def test_an_event_alert_is_counted_with_its_newest_type_and_a_spike_with_none() -> None:
    recall = fictional.alert(kind="event", tier="page", severity="critical", events=("recall", "penalty"))
    spike = fictional.alert(kind="spike", tier="notice", severity="high", events=())
    labels = [
        {"kind": "event", "tier": "page", "severity": "critical", "type": "recall"},
        {"kind": "spike", "tier": "notice", "severity": "high", "type": "none"},
    ]
    before = [value("riskwire_alerting_alerts_total", status="firing", **label) for label in labels]
    events = await report(BookStep(alerts=[recall, spike]))
    after = [value("riskwire_alerting_alerts_total", status="firing", **label) for label in labels]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1]
    alert_events = [event for event in events if event["event"] == "alert"]
    assert [event["id"] for event in alert_events] == [recall.id, spike.id]
    assert alert_events[0]["stories"] == [evidence.story for evidence in recall.evidence]


async def test_a_near_miss_is_counted_by_its_reason_and_told_with_its_article() -> None:
    before = value("riskwire_alerting_near_misses_total", reason="novelty")
    events = await report(BookStep(near_misses=[fictional.near_miss(1, reason="novelty")]))
    assert value("riskwire_alerting_near_misses_total", reason="novelty") - before == 1
    (near_miss_event,) = [event for event in events if event["event"] == "near miss"]
    assert (near_miss_event["article"], near_miss_event["reason"]) == ("near-1", "novelty")


async def test_a_delivered_alert_is_timed_from_its_newest_story_and_a_resolved_one_is_not() -> None:
    """The receiver accepts everything, 25 s after the newest story was seen."""
    firing, resolved = fictional.alert(status="firing"), fictional.alert(status="resolved")
    newest = max(evidence.seen_at for evidence in firing.evidence)
    moment = newest.timestamp() + 25

    async def attempt(*_: object) -> None:
        """Accepts a notification."""

    receiver = SimpleNamespace(name="test:1", setting="", label="a test", channel="test", attempt=attempt)
    deliverer = Deliverer(NotifySettings(), wall=lambda: type(newest).fromtimestamp(moment, newest.tzinfo))
    deliverer.receivers["test:1"] = receiver  # type: ignore[assignment]
    deliverer._limits["test:1"] = asyncio.Semaphore(1)
    before = [value("riskwire_notify_fetched_to_notified_seconds" + suffix, channel="test") for suffix in SUFFIXES]
    with capture_logs() as events:
        for alert in (firing, resolved):
            (message,) = fictional.messages("alerts", [alert])  # type: ignore[arg-type]
            assert await deliverer.deliver([Delivery(message, "test:1", moment)]) is None
    after = [value("riskwire_notify_fetched_to_notified_seconds" + suffix, channel="test") for suffix in SUFFIXES]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 25]
    assert [(event["id"], event["status"]) for event in events if event["event"] == "notified"] == [
        (firing.id, "firing"),
        (resolved.id, "resolved"),
    ]


SUFFIXES = ("_count", "_sum")
