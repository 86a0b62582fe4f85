"""Posts to an Alertmanager that hangs, fails, asks to wait, or refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import structlog

from riskwire.notify.alertmanager.active import ActiveAlert, ActiveAlerts
from riskwire.notify.alertmanager.feed import AlertmanagerFeed
from riskwire.notify.receivers import AlertmanagerReceiver, Place
from riskwire.records import Alert
from riskwire.settings import NotifySettings

MakeAlert = Callable[..., Alert]
StartReceiver = Callable[[], Awaitable[Any]]
NAME = "alertmanager:am"


class RunningFeed:
    """A feed to a server, and the alerts that the server should have."""

    def __init__(self, server: Any, **settings: Any) -> None:
        url = server.url.removesuffix("/hook")
        self.receiver = AlertmanagerReceiver(Place("notify.receivers.am", "am"), url, timeout_s=0.2)
        self.alerts = ActiveAlerts({}, remember=100)
        self.arrived: list[ActiveAlert] = []
        self._changed = asyncio.Event()
        limits = {"backoff_s": 0.02, "resend_s": 60.0} | settings
        self.feed = AlertmanagerFeed(
            self.receiver, NotifySettings(**limits), self._take_arrived, lambda: datetime.now(UTC)
        )

    def take(self, *alerts: Alert) -> None:
        """Takes alert records, as a committed step does."""
        for alert in alerts:
            self.alerts.take(NAME, alert, alert.at)
        self.feed.want(self.alerts.of_receiver(NAME))

    async def __aenter__(self) -> RunningFeed:
        self._task = asyncio.create_task(self.feed.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.receiver.close()

    async def wait_until_arrived(self) -> None:
        """Waits until the server has everything in its newest form."""
        async with asyncio.timeout(20):
            while self.alerts.pending:
                self._changed.clear()
                await self._changed.wait()

    def _take_arrived(self, posted: list[ActiveAlert]) -> None:
        self.arrived += self.alerts.arrived(posted, datetime.now(UTC))
        self.feed.want(self.alerts.of_receiver(NAME))
        self._changed.set()


def posts(server: Any) -> list[list[tuple[str, bool]]]:
    """Returns the posts: tier of each alert, and whether it runs."""
    now = datetime.now(UTC)
    return [
        [(row["labels"]["tier"], datetime.fromisoformat(row["endsAt"]) > now) for row in orjson.loads(body)]
        for _, body in server.requests
    ]


@pytest.mark.parametrize("trouble", ["hangs", "500", "a year"])
async def test_an_alertmanager_that_was_away_gets_the_newest_state_once(
    start_receiver: StartReceiver, alert: MakeAlert, trouble: str
) -> None:
    """The alert becomes a page while no post succeeds."""
    server = await start_receiver()
    server.hang = trouble == "hangs"
    server.answers = {"hangs": [], "500": [500] * 3, "a year": [429] * 3}[trouble]
    server.headers = {"Retry-After": "31536000"} if trouble == "a year" else {}
    async with RunningFeed(server) as running:
        running.take(alert())
        await server.wait_for_requests(2)
        running.take(alert(tier="page", status="escalated"))
        await server.wait_for_requests(3)
        server.hang = False
        await running.wait_until_arrived()
    assert posts(server)[-1] == [("notice", False), ("page", True)]
    assert [(row.labels["tier"], row.ends_at is None) for row in running.arrived] == [
        ("notice", False),
        ("page", True),
    ]


async def test_what_alertmanager_refuses_is_logged_and_does_not_block_the_others(
    start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    """Alertmanager answers 400 and takes the alerts of the post that are valid."""
    server = await start_receiver()
    server.answers, server.body = [400], b"bad label"
    with structlog.testing.capture_logs() as logs:
        async with RunningFeed(server) as running:
            running.take(alert())
            await running.wait_until_arrived()
    assert len(server.requests) == 1
    [line] = [line for line in logs if line["log_level"] == "warning"]
    assert "bad label" in line["error"]


async def test_every_running_alert_is_sent_again_and_again(start_receiver: StartReceiver, alert: MakeAlert) -> None:
    server = await start_receiver()
    async with RunningFeed(server, resend_s=0.05) as running:
        running.take(alert())
        await server.wait_for_requests(4)
    assert {tuple(post) for post in posts(server) if post} == {(("notice", True),)}
    assert len(running.arrived) == 1


async def test_a_change_is_posted_without_what_has_not_changed(start_receiver: StartReceiver, alert: MakeAlert) -> None:
    server = await start_receiver()
    async with RunningFeed(server) as running:
        running.take(alert())
        await running.wait_until_arrived()
        running.take(alert(id="b", target="entity:b", tier="page"))
        await running.wait_until_arrived()
    assert [post for post in posts(server) if post][-1] == [("page", True)]


async def test_alertmanager_holds_an_alert_while_riskwire_is_down(
    start_receiver: StartReceiver, alert: MakeAlert
) -> None:
    server = await start_receiver()
    async with RunningFeed(server, hold_s=7_200) as running:
        running.take(alert())
        await running.wait_until_arrived()
    [row] = orjson.loads(server.requests[-1][1])
    assert datetime.fromisoformat(row["endsAt"]) > datetime.now(UTC) + timedelta(seconds=7_000)
