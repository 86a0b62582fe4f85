"""Sets the metrics that are read from the bus and the store, so that a scrape reads only memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import structlog

from riskwire import metrics
from riskwire.app.lag_clock import LagClock
from riskwire.bus import Bus, Lag
from riskwire.metrics.alerting import OTHER_TARGETS, WATCHED_TARGETS
from riskwire.store import Store, TargetFigures

log = structlog.get_logger(__name__)

_LAG_INTERVAL_S = 10.0
_TARGETS_INTERVAL_S = 30.0
_TIMEOUT_S = 30.0
_MAX_NAME = 100
"""Characters of the name of a target: others write the names that are found in news."""


class Measurements:
    """Reads the lag of the stages of a process every few seconds, and the figures of targets if it serves the page.

    A bus or a store that does not answer leaves the last figures. `riskwire_measured_timestamp_seconds` tells how old
    they are.
    """

    def __init__(
        self, bus: Bus, groups: Sequence[str], store: Store | None, watched: Callable[[], Sequence[str]]
    ) -> None:
        """Measures nothing yet.

        Args:
            groups: the consumer groups of the stages of this process.
            store: None if the process has no page; then it shows no targets.
            watched: returns the ids of the watched targets.
        """
        self._bus = bus
        self._groups = frozenset(groups)
        self._store = store
        self._watched = watched
        self._clocks: dict[tuple[str, str, int], LagClock] = {}

    async def run(self) -> None:
        """Measures until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._groups:
                group.create_task(self._every(_LAG_INTERVAL_S, "lag", self.measure_lag), name="measure-lag")
            if self._store is not None:
                group.create_task(
                    self._every(_TARGETS_INTERVAL_S, "targets", self.measure_targets), name="measure-targets"
                )

    async def measure_lag(self) -> None:
        """Sets the lag of each partition, in records and in seconds."""
        lags = [lag for lag in await self._bus.lag() if lag.group in self._groups]
        now = time.monotonic()
        seconds = {_labels(lag): self._seconds(lag, now) for lag in lags}
        by_length = sorted(lags, key=lambda lag: -lag.records)
        metrics.STAGE_LAG_RECORDS.replace({_labels(lag): lag.records for lag in by_length})
        metrics.STAGE_LAG_SECONDS.replace({_labels(lag): seconds[_labels(lag)] for lag in by_length})

    async def measure_targets(self) -> None:
        """Sets the figures of the watched targets and of the most striking others."""
        if self._store is None:
            return
        watched = list(self._watched())
        most = (WATCHED_TARGETS, OTHER_TARGETS)
        figures, blind = await self._store.off_loop(self._store.target_figures, watched, most)
        metrics.LISTED_TARGETS.set(len(watched))
        metrics.BLIND_TARGETS.set(blind)
        show_targets(figures, set(watched))

    async def _every(self, interval_s: float, figures: str, measure: Callable[[], Awaitable[None]]) -> None:
        """Measures every `interval_s` until cancelled. A failure is logged once until it succeeds again."""
        failed = False
        while True:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    await measure()
            except Exception as error:  # noqa: BLE001 - a stage must not end because it cannot be measured
                if not failed:
                    log.warning(
                        "figures cannot be read, metrics keep the last ones", figures=figures, error=repr(error)
                    )
                failed = True
            else:
                failed = False
                metrics.MEASURED.labels(figures=figures).set(datetime.now(UTC).timestamp())
            await asyncio.sleep(interval_s)

    def _seconds(self, lag: Lag, now: float) -> float:
        """Returns how long the oldest unread record has waited; 0 if there are only markers of transactions."""
        clock = self._clocks.setdefault((lag.group, lag.topic, lag.partition), LagClock())
        seconds = clock.lag_s(lag.position, lag.position + lag.records if lag.end is None else lag.end, now)
        return seconds if lag.records else 0.0


def _labels(lag: Lag) -> tuple[str, str]:
    return lag.group, str(lag.partition)


def show_targets(figures: Sequence[TargetFigures], watched: set[str]) -> None:
    """Replaces the metrics of targets.

    Args:
        watched: the ids of the watched targets.
    """
    rows = [(row, row.target) for row in figures]
    metrics.TARGET.replace(
        {(of.target, of.name[:_MAX_NAME], of.kind, "yes" if of.target in watched else "no"): 1.0 for _, of in rows}
    )
    metrics.TARGET_SCORE.replace({(of.target,): row.score for row, of in rows if row.score is not None})
    metrics.TARGET_ADVERSE.replace({(of.target,): row.adverse for row, of in rows if row.adverse is not None})
    metrics.TARGET_STORIES.replace({(of.target,): row.stories for row, of in rows})
    metrics.TARGET_SURPRISE.replace({(of.target,): of.surprise for _, of in rows})
    metrics.TARGET_THRESHOLD.replace({(of.target,): of.nearest.threshold for _, of in rows if of.nearest})
    metrics.TARGET_NEWEST.replace({(of.target, row.level, row.type): 1.0 for row, of in rows if of.last_seen})
    metrics.TARGET_NEWEST_AT.replace({(of.target,): of.last_seen.timestamp() for _, of in rows if of.last_seen})
