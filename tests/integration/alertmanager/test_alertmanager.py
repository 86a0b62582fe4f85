"""The notify stage and a real Alertmanager: its alerts, its notifications, and that no restart loses or doubles any."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fictional
import orjson
import pytest
from alertmanager_server import MISSING, SAMPLE, AlertmanagerServer, is_installed, running_alertmanager
from pydantic import SecretStr
from webhooks import WebhookServer, running_webhook_server

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.protocol import broadcast
from riskwire.notify import NotifyStage, SilenceList
from riskwire.pipeline import Topic
from riskwire.records import Alert, Decision
from riskwire.settings import BusSettings, NotifySettings, ReceiverSettings
from riskwire.stage import run_stage

pytestmark = [
    pytest.mark.needs_prometheus,
    pytest.mark.skipif(not is_installed(), reason=MISSING),
]
TIMEOUT_S = 60.0
RESEND_S = 1.0


def news(target: str, **changes: Any) -> Alert:
    """Returns an alert on a target of the group banks that fired just now."""
    now = datetime.now(UTC) - timedelta(seconds=5)
    fields = {"id": target, "target": f"entity:{target}", "name": target, "groups": ("banks",), "kind": "event"}
    times = {"opened_at": now, "at": now, "tier": "notice", "status": "firing"}
    return fictional.alert().model_copy(update=fields | times | changes)


def later(alert: Alert, **changes: Any) -> Alert:
    return alert.model_copy(update={"at": datetime.now(UTC)} | changes)


class RunningStage:
    """The notify stage on a bus."""

    def __init__(self, bus: EmbeddedBus, stage: NotifyStage) -> None:
        self._bus = bus
        self._stage = stage

    async def publish(self, *alerts: Alert) -> None:
        """Publishes alert records."""
        async with self._bus.publisher("test") as publisher:
            for alert in alerts:
                await publisher.publish([Outgoing(Topic.ALERTS, alert.target, alert.to_bytes())], {})

    async def decide(self, decision: Decision) -> None:
        """Publishes a decision on every partition of the alerts."""
        async with self._bus.publisher("test") as publisher:
            await publisher.publish(list(broadcast(Topic.ALERTS, decision.to_bytes(), 2)), {})

    async def wait_until_done(self) -> None:
        """Waits until Alertmanager has got everything."""
        async with asyncio.timeout(TIMEOUT_S):
            while any(lag.records for lag in await self._bus.lag() if lag.group == "notify") or self._stage.pending:
                await self._bus.wait_for_change(0.05)


@asynccontextmanager
async def running_stage(data: Path, url: str) -> AsyncIterator[RunningStage]:
    """Runs the stage until the body ends; the end is like that of a kill between two steps."""
    settings = NotifySettings(
        receivers={"am": ReceiverSettings(alertmanager=SecretStr(url))},
        resend_s=RESEND_S,
        backoff_s=0.1,
        timeout_s=2.0,
    )
    stage = NotifyStage(settings)
    bus = await EmbeddedBus.open(data, BusSettings())
    task = asyncio.create_task(run_stage(bus, stage, batch=16, fetch_timeout_s=0.05))
    try:
        yield RunningStage(bus, stage)
    finally:
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


@pytest.fixture
def people() -> Iterator[WebhookServer]:
    """The webhook of every receiver of Alertmanager, in place of the people whom it would notify."""
    with running_webhook_server() as server:
        yield server


def notices(people: WebhookServer) -> Counter[tuple[str, str, str, str]]:
    """Counts what people were notified of: receiver, target, tier, and firing or resolved."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for request in people.requests:
        message = orjson.loads(request.body)
        for alert in message["alerts"]:
            labels = alert["labels"]
            counts[message["receiver"], labels["target"], labels["tier"], alert["status"]] += 1
    return counts


async def eventually(condition: Callable[[], bool], why: Callable[[], object] = str) -> None:
    """Waits until a condition holds, and lets the stage run meanwhile."""
    deadline = asyncio.get_running_loop().time() + TIMEOUT_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, why()
        await asyncio.sleep(0.1)


def test_amtool_accepts_the_sample_configuration() -> None:
    done = subprocess.run(["amtool", "check-config", str(SAMPLE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 inhibit rules" in done.stdout


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=riskwire group=banks tier=page", "banks-oncall"),
        ("alertname=riskwire group=banks tier=notice", "banks-desk"),
        ("alertname=riskwire group=autos tier=page", "oncall"),
        ("alertname=riskwire tier=notice", "desk"),
        ("alertname=RiskwireStageStuck severity=page", "operators"),
    ],
)
def test_the_sample_routes_by_group_and_tier(labels: str, receiver: str) -> None:
    command = ["amtool", "config", "routes", "test", f"--config.file={SAMPLE}", *labels.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [receiver]


async def test_an_alert_is_routed_ended_where_a_label_changes_and_resolved_once(
    people: WebhookServer, tmp_path: Path
) -> None:
    """A notice becomes a page, and a target changes its group. A spike of the paged target stays silent meanwhile.

    The page also silences the ends of notices of its target. Alertmanager may tell them once the page has ended.
    """
    silenced_ends = ("banks-desk", "entity:alfa", "notice", "resolved")
    with running_alertmanager(tmp_path / "am", people.url) as alertmanager:
        async with running_stage(tmp_path / "data", alertmanager.url) as stage:
            alfa, beta = news("alfa"), news("beta")
            await stage.publish(alfa, beta)
            await eventually(lambda: len(notices(people)) == 2)
            await stage.publish(later(alfa, status="escalated", tier="page"))
            await stage.publish(later(beta, status="escalated", groups=("insurers",)))
            await eventually(lambda: len(notices(people)) == 5, lambda: notices(people))
            assert set(alertmanager.alerts()) == {("entity:alfa", "page"), ("entity:beta", "notice")}
            await stage.publish(news("alfa", id="spike", kind="spike"))
            await stage.wait_until_done()
            await eventually(lambda: bool(alertmanager.alerts()["entity:alfa", "notice"]["status"]["inhibitedBy"]))
            row = alertmanager.alerts()["entity:alfa", "page"]
            assert row["labels"] == {
                "alertname": "riskwire",
                "target": "entity:alfa",
                "group": "banks",
                "kind": "event",
                "tier": "page",
            }
            assert row["annotations"]["name"] == "alfa"
            await stage.publish(later(alfa, id="spike", kind="spike", status="resolved"))
            await stage.wait_until_done()
            await stage.publish(later(alfa, status="resolved", tier="page"))
            await stage.publish(later(beta, status="resolved", groups=("insurers",)))
            await eventually(lambda: len(notices(people).keys() - {silenced_ends}) == 7, lambda: notices(people))
            assert alertmanager.alerts() == {}
    counts = notices(people)
    counts.pop(silenced_ends, None)
    assert counts == {
        ("banks-desk", "entity:alfa", "notice", "firing"): 1,
        ("banks-desk", "entity:beta", "notice", "firing"): 1,
        ("banks-oncall", "entity:alfa", "page", "firing"): 1,
        ("banks-desk", "entity:beta", "notice", "resolved"): 1,
        ("desk", "entity:beta", "notice", "firing"): 1,
        ("banks-oncall", "entity:alfa", "page", "resolved"): 1,
        ("desk", "entity:beta", "notice", "resolved"): 1,
    }


async def test_no_restart_of_either_side_loses_or_doubles_an_alert(people: WebhookServer, tmp_path: Path) -> None:
    """riskwire is killed and started; Alertmanager is away at first, stopped and started; an alert ends meanwhile."""
    alertmanager = AlertmanagerServer(tmp_path / "am", people.url)
    alfa, beta = news("alfa"), news("beta")
    data = tmp_path / "data"
    try:
        async with running_stage(data, alertmanager.url) as stage:
            await stage.publish(alfa, beta)
        alertmanager.start()
        async with running_stage(data, alertmanager.url) as stage:
            await stage.wait_until_done()
            await eventually(lambda: len(notices(people)) == 2)
        async with running_stage(data, alertmanager.url) as stage:
            await eventually(lambda: len(alertmanager.alerts()) == 2)
            alertmanager.stop()
            await stage.publish(later(beta, status="resolved"))
            alertmanager.start()
            assert alertmanager.get("alerts") == [], "Alertmanager does not keep alerts over a restart"
            await eventually(lambda: list(alertmanager.alerts()) == [("entity:alfa", "notice")])
            await eventually(lambda: notices(people)["banks-desk", "entity:beta", "notice", "resolved"] == 1)
            await stage.publish(later(alfa, status="resolved"))
            await eventually(lambda: notices(people)["banks-desk", "entity:alfa", "notice", "resolved"] == 1)
    finally:
        alertmanager.kill()
    assert set(notices(people).values()) == {1}, notices(people)
    assert len(notices(people)) == 4


async def test_an_alertmanager_that_lost_everything_gets_the_running_alerts_again(
    people: WebhookServer, tmp_path: Path
) -> None:
    """It has forgotten whom it notified, so it sends a running alert once more, and never an ended alert."""
    with running_alertmanager(tmp_path / "am", people.url) as alertmanager:
        async with running_stage(tmp_path / "data", alertmanager.url) as stage:
            alfa, beta = news("alfa"), news("beta")
            await stage.publish(alfa, beta)
            await eventually(lambda: len(notices(people)) == 2)
            await stage.publish(later(beta, status="resolved"))
            await eventually(lambda: len(notices(people)) == 3)
            alertmanager.kill()
            alertmanager.empty()
            alertmanager.start()
            await eventually(lambda: notices(people)["banks-desk", "entity:alfa", "notice", "firing"] == 2)
            await eventually(lambda: list(alertmanager.alerts()) == [("entity:alfa", "notice")])
    assert notices(people)["banks-desk", "entity:beta", "notice", "firing"] == 1
    assert notices(people)["banks-desk", "entity:beta", "notice", "resolved"] == 1


def running_silences(alertmanager: AlertmanagerServer) -> list[dict[str, Any]]:
    return [row for row in alertmanager.get("silences") if row["status"]["state"] == "active"]


async def test_a_mute_is_one_silence_over_restarts_until_it_is_taken_back(
    people: WebhookServer, tmp_path: Path
) -> None:
    """riskwire is restarted, and Alertmanager loses everything; the silence comes again, once."""
    mute = Decision(
        decision="mute", subject="target:entity:alfa", by="ada", at=datetime.now(UTC), comment="known", until=None
    )
    data = tmp_path / "data"
    with running_alertmanager(tmp_path / "am", people.url) as alertmanager:
        async with running_stage(data, alertmanager.url) as stage:
            await stage.publish(news("alfa"))
            await eventually(lambda: len(notices(people)) == 1)
            await stage.decide(mute)
            await eventually(lambda: len(running_silences(alertmanager)) == 1)
            await eventually(lambda: bool(alertmanager.alerts()["entity:alfa", "notice"]["status"]["silencedBy"]))
        [silence] = running_silences(alertmanager)
        assert silence["createdBy"] == "riskwire"
        assert "muted in riskwire by ada: known" in silence["comment"]
        async with running_stage(data, alertmanager.url) as stage:
            await eventually(lambda: len(alertmanager.alerts()) == 1)
            assert [row["id"] for row in running_silences(alertmanager)] == [silence["id"]]
            alertmanager.kill()
            alertmanager.empty()
            alertmanager.start()
            await eventually(lambda: len(running_silences(alertmanager)) == 1)
            await stage.decide(mute.model_copy(update={"decision": "unmute", "at": datetime.now(UTC)}))
            await eventually(lambda: running_silences(alertmanager) == [])
        assert len(alertmanager.get("silences")) == 1, "no second silence was made"


async def test_a_silence_made_in_alertmanager_is_listed_with_the_alerts_that_it_covers(
    people: WebhookServer, tmp_path: Path
) -> None:
    with running_alertmanager(tmp_path / "am", people.url) as alertmanager:
        command = ["amtool", "silence", "add", "--alertmanager.url", alertmanager.url, "--author=bob"]
        command += ["--comment=maintenance", "--duration=2h", "alertname=riskwire", "target=~entity:al.*"]
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
        receiver = ReceiverSettings(alertmanager=SecretStr(alertmanager.url))
        silences = SilenceList(NotifySettings(receivers={"am": receiver}))
        [silence] = await silences.read()
        await silences.close()
    assert (silence.by, silence.comment) == ("bob", "maintenance")
    assert silence.covers(news("alfa"))
    assert not silence.covers(news("beta"))
    assert timedelta(hours=1) < silence.until - datetime.now(UTC) < timedelta(hours=3)
