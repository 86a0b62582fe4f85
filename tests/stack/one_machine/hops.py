"""The hops of a crisis through the stack, each with what must be seen there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services_on_kafka import wait_until

from one_machine.news import CRISIS, MUTED, Archives
from one_machine.servers import FEED, RunningStack, answer_of
from riskwire.pipeline import DECISIONS, INGEST, NOTIFY

HOP_S = 600.0
"""Longer than any hop takes that is not broken, also on a slow and busy machine."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop.

    Attributes:
        name: what is reached.
        act: what a person or the news does first; None for nothing.
        holds: whether it has been reached.
    """

    name: str
    holds: Callable[[], bool]
    act: Callable[[], None] | None = None

    def wait(self) -> None:
        """Acts, and waits until the hop has been reached.

        Raises:
            AssertionError: it takes too long.
        """
        if self.act is not None:
            self.act()
        wait_until(self.holds, HOP_S, lambda: f"the hop {self.name!r} was not reached")


def hops(stack: RunningStack, archives: Archives) -> list[Hop]:
    """Returns the hops of the crisis in their order."""
    articles = f"SELECT count(*) FROM articles WHERE adverse IS NOT NULL HAVING count(*) >= {archives.stories}"
    trend = f"SELECT 1 FROM trends WHERE target = '{CRISIS}' AND surprise > 0 LIMIT 1"
    muted = f"SELECT 1 FROM alert_heads WHERE target = '{MUTED}' LIMIT 1"
    people = People(stack)
    return [
        Hop("article → analysis", lambda: bool(stack.sql(articles)), lambda: stack.publish(archives.crisis)),
        Hop("analysis → trend row", lambda: bool(stack.sql(trend))),
        Hop("trend row → metric", lambda: _value(stack, f'riskwire_target_surprise{{target="{CRISIS}"}}') > 0),
        Hop("metric → rule", lambda: _value(stack, "sum(rate:riskwire_alerting_notifications:sum)") > 0),
        Hop("rule → alert", lambda: any(alert["tier"] == "page" for alert in people.alerts(CRISIS))),
        Hop("alert → webhook", lambda: "firing" in _told(stack, CRISIS)),
        Hop("alert → Alertmanager", lambda: bool(_active(stack, CRISIS))),
        Hop("Alertmanager → webhook", lambda: "firing" in _routed(stack, CRISIS)),
        Hop("watchdog of Prometheus → webhook", lambda: "firing" in _routed(stack, "RiskwireWatchdog")),
        Hop(
            "acknowledged",
            lambda: {alert["handling"] for alert in people.running(CRISIS)} == {"acknowledged"},
            people.acknowledge,
        ),
        Hop(
            "muted: its alert notifies nobody", lambda: bool(stack.sql(muted)), lambda: _publish_muted(people, archives)
        ),
        Hop(
            "resolved",
            lambda: (
                {alert["status"] for alert in people.alerts(CRISIS)} == {"resolved"}
                and "resolved" in _told(stack, CRISIS)
            ),
            lambda: stack.publish(archives.later),
        ),
        Hop("resolved in Alertmanager", lambda: not _active(stack, CRISIS)),
        Hop("Alertmanager → webhook: resolved", lambda: "resolved" in _routed(stack, CRISIS)),
        Hop("no receiver had the muted alert", lambda: not _told(stack, MUTED) and not _routed(stack, MUTED)),
        live_news(stack),
    ]


def live_news(stack: RunningStack) -> Hop:
    """Returns the hop of live news, which comes after all other news: ingest starts and polls a feed."""
    stored = f"SELECT 1 FROM articles WHERE source = '{FEED}' LIMIT 1"
    return Hop("feed → article", lambda: bool(stack.sql(stored)), lambda: stack.start(INGEST.service))


class People:
    """What people do on the page, by its API."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack

    def alerts(self, target: str) -> list[dict[str, Any]]:
        """Returns the alerts of a target; none while the API does not answer."""
        return self.stack.api(f"alerts?target={target}") or []

    def running(self, target: str) -> list[dict[str, Any]]:
        """Returns the alerts of a target that have not resolved."""
        return [alert for alert in self.alerts(target) if alert["status"] != "resolved"]

    def acknowledge(self) -> None:
        """Acknowledges the alerts of the crisis."""
        for alert in self.running(CRISIS):
            self.decide({"kind": "acknowledge", "alert": alert["id"]})

    def decide(self, decision: dict[str, Any]) -> None:
        """Publishes a decision.

        Raises:
            AssertionError: the API refused it.
        """
        assert self.stack.api("commands", decision | {"by": "stack"}) is not None, decision


def _publish_muted(people: People, archives: Archives) -> None:
    """Mutes a company, waits until notify has read it, and publishes bad news of that company."""
    people.decide({"kind": "mute", "subject": f"target:{MUTED}"})
    stack = people.stack
    wait_until(lambda: bool(stack.sql("SELECT 1 FROM commands WHERE kind = 'mute'")), HOP_S)
    for stage in (DECISIONS, NOTIFY):  # one reads what the other writes
        wait_until(lambda stage=stage: stack.lag(stage.name) == 0, HOP_S)  # type: ignore[misc]
    stack.publish(archives.muted)


def _value(stack: RunningStack, expression: str) -> float:
    """Returns the only value of an expression of Prometheus; -1 without one."""
    return next(iter(stack.prometheus.values(expression).values()), -1.0)


def _told(stack: RunningStack, target: str) -> set[str]:
    """Returns the statuses of the alerts on a target that riskwire's webhook has received."""
    records = [json.loads(request.body) for request in list(stack.webhooks.requests)]
    alerts = [record.get("alert", record) for record in records]
    return {alert["status"] for alert in alerts if alert.get("target") == target}


def _routed(stack: RunningStack, name: str) -> set[str]:
    """Returns the statuses of the alerts on a target, or with a name, that Alertmanager's webhook has received."""
    messages = [json.loads(request.body) for request in list(stack.routed.requests)]
    return {
        alert["status"]
        for message in messages
        for alert in message["alerts"]
        if name in (alert["labels"].get("target"), alert["labels"]["alertname"])
    }


def _active(stack: RunningStack, target: str) -> list[dict[str, Any]]:
    """Returns the alerts on a target that are active in Alertmanager."""
    alerts = answer_of(f"{stack.alertmanager}/api/v2/alerts?active=true") or []
    return [alert for alert in alerts if alert["labels"].get("target") == target]
