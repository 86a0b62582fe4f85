"""From a person's decision to silence: command, decision on every partition, notify and the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fictional
from pydantic import SecretStr

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.deciding import Decider, DecisionRequest, DecisionsStage, decision_command
from riskwire.notify import NotifyStage
from riskwire.pipeline import Topic
from riskwire.records import Alert
from riskwire.settings import BusSettings, NotifySettings, Settings
from riskwire.stage import Stage, run_stage
from riskwire.store import Store, sink_stages
from riskwire.store.reads.near_misses import NearMissQuery

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
STAGES = ("decisions", "notify", "sink-alerts", "sink-commands", "sink-near-misses")


async def settle(bus: EmbeddedBus) -> None:
    """Waits until every stage has read what was published."""
    async with asyncio.timeout(120):
        while any(lag.records for lag in await bus.lag() if lag.group in STAGES):
            await bus.wait_for_change(0.05)


async def publish(bus: EmbeddedBus, *alerts: Alert) -> None:
    async with bus.publisher("test") as publisher:
        await publisher.publish([Outgoing(Topic.ALERTS, alert.target, alert.to_bytes()) for alert in alerts], {})
    await settle(bus)


async def test_a_mute_silences_its_target_on_every_partition_and_is_told_by_the_store(tmp_path: Path) -> None:
    """Four targets are on two partitions. The receiver of the others is away, so that their deliveries stay pending."""
    targets = sorted(fictional.NAMES)[:4]
    alerts = [fictional.alert(target, target=target, at=NOW) for target in targets]
    settings = NotifySettings(webhooks=(SecretStr("http://127.0.0.1:9/away"),))
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=2))
    with Store.open(Settings(data=tmp_path)) as store:
        sinks = [stage for stage in sink_stages(store) if stage.spec.name in STAGES]
        notify = NotifyStage(settings, wall=lambda: NOW)
        stages: list[Stage] = [DecisionsStage(bus.partitions(Topic.ALERTS)), notify, *sinks]
        tasks = [asyncio.create_task(run_stage(bus, stage, batch=16, fetch_timeout_s=0.05)) for stage in stages]
        try:
            decider = Decider(bus)
            for muted in targets[:2]:
                request = DecisionRequest(kind="mute", subject=f"target:{muted}", until=NOW + timedelta(hours=1))
                await decider.publish(decision_command(request, None, "ada", NOW))
            await settle(bus)
            await publish(bus, *alerts)
            assert notify.pending == 2
            await settle(bus)
            for target in targets:
                misses = store.near_misses(target, NearMissQuery())
                assert [miss.reason for miss in misses] == (["muted"] if target in targets[:2] else [])
            assert {row.target for row in store.alerts()} == set(targets)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await bus.close()
