"""Figures from the bus and the store become metrics; where neither answers, a scrape still does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fictional import NOON
from prometheus_client import REGISTRY

from riskwire import metrics
from riskwire.app.measurements import Measurements, show_targets
from riskwire.bus import Lag
from riskwire.errors import BusError
from riskwire.store import TargetFigures, TargetRow


class LaggingBus:
    """A bus that only tells lags; each call of `lag` returns or raises the next answer."""

    def __init__(self, *answers: list[Lag] | Exception | None) -> None:
        self._answers = list(answers)
        self.last_asked = asyncio.Event()

    async def lag(self) -> list[Lag]:
        """Returns the next answer; None never answers."""
        answer = self._answers.pop(0)
        if not self._answers:
            self.last_asked.set()
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer


def measurements(bus: Any, groups: list[str] | None = None) -> Measurements:
    return Measurements(bus, groups or ["infer"], None, list)


def value(name: str, /, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_lag_is_shown_of_the_stages_of_this_process_only() -> None:
    lags = [Lag("infer", "articles", 1, 7, 3), Lag("alert", "signals", 0, 9, 0)]
    await measurements(LaggingBus(lags)).measure_lag()
    assert value("riskwire_stage_lag_records", stage="infer", partition="1") == 7
    assert value("riskwire_stage_lag_records", stage="alert", partition="0") is None


async def test_records_that_were_unread_at_the_start_wait_since_then() -> None:
    lags = [Lag("infer", "articles", 0, 4, 0)]
    reading = measurements(LaggingBus(lags, lags))
    await reading.measure_lag()
    assert value("riskwire_stage_lag_seconds", stage="infer", partition="0") == 0
    await reading.measure_lag()
    assert (value("riskwire_stage_lag_seconds", stage="infer", partition="0") or 0) > 0


async def test_a_bus_that_fails_leaves_the_last_figures_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskwire.app.measurements._LAG_INTERVAL_S", 0.01)
    answered = [Lag("infer", "articles", 0, 4, 0)]
    bus = LaggingBus(answered, BusError("away"), [Lag("infer", "articles", 0, 1, 3)], None)
    running = asyncio.create_task(measurements(bus).run())
    try:
        async with asyncio.timeout(30):
            await bus.last_asked.wait()
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert value("riskwire_stage_lag_records", stage="infer", partition="0") == 1


async def test_a_scrape_is_answered_while_the_bus_never_answers() -> None:
    """A hung bus cannot hang Prometheus: `/metrics` shows the last figures, and when they were read."""
    metrics.MEASURED.labels(figures="lag").set(1_000)
    bus = LaggingBus(None)
    running = asyncio.create_task(measurements(bus).run())
    try:
        async with asyncio.timeout(30):
            await bus.last_asked.wait()
            answer = await asyncio.to_thread(metrics.exposition)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert b'riskwire_measured_timestamp_seconds{figures="lag"} 1000.0' in answer


def test_a_target_is_shown_by_its_figures() -> None:
    row = TargetRow(
        target="entity:acme", name="Acme", kind="entity", stories=9, articles=9, score=0.1, surprise=2.5, last_seen=NOON
    )
    show_targets([TargetFigures(row, 3, -0.4, 0.5, "material", "recall")], {"entity:acme"})
    acme = {"target": "entity:acme"}
    assert value("riskwire_target_info", **acme, name="Acme", kind="entity", watched="yes") == 1
    assert value("riskwire_target_score", **acme) == -0.4
    assert value("riskwire_target_adverse_ratio", **acme) == 0.5
    assert value("riskwire_target_stories", **acme) == 3
    assert value("riskwire_target_surprise", **acme) == 2.5
    assert value("riskwire_target_newest_info", **acme, level="material", type="recall") == 1
    assert value("riskwire_target_newest_timestamp_seconds", **acme) == NOON.timestamp()
    show_targets([], set())
    assert value("riskwire_target_score", **acme) is None


async def test_markers_of_transactions_are_no_lag() -> None:
    """On Kafka a gap between position and end may hold no record, and never does the group read past it."""
    lags = [Lag("infer", "articles", 0, 0, 5, end=6)]
    reading = measurements(LaggingBus(lags, lags))
    await reading.measure_lag()
    await reading.measure_lag()
    assert value("riskwire_stage_lag_seconds", stage="infer", partition="0") == 0


async def test_an_unexpected_error_does_not_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskwire.app.measurements._LAG_INTERVAL_S", 0.01)
    bus = LaggingBus(KeyError("a bug"), [Lag("infer", "articles", 0, 2, 0)], None)
    running = asyncio.create_task(measurements(bus).run())
    try:
        async with asyncio.timeout(30):
            await bus.last_asked.wait()
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert value("riskwire_stage_lag_records", stage="infer", partition="0") == 2
