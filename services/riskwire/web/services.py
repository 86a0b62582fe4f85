"""What the web asks of the rest of the process: a seam of plain functions, so that it can serve a store alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from riskwire.bus import Lag, lag_by_group, lag_by_partition
from riskwire.records import Command, Record, ScoreRequest, ScoreResult
from riskwire.watching import WatchlistEditor


class StageState(Record):
    """One stage as a probe sees it; `detail` says what is wrong when it is not `ok`."""

    name: str
    ok: bool
    detail: str = ""


class Readiness(Record):
    """Whether every stage makes progress."""

    stages: tuple[StageState, ...] = ()

    @property
    def ready(self) -> bool:
        """True when no stage is stuck."""
        return all(stage.ok for stage in self.stages)

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps it from being ready, a line a stage."""
        return tuple(f"stage {stage.name}: {stage.detail or 'no progress'}" for stage in self.stages if not stage.ok)


@dataclass(frozen=True, slots=True)
class BusState:
    """Records ever published per topic, and how far each group is behind."""

    topics: dict[str, int] = field(default_factory=dict)
    lag: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, dict[str, dict[int, int]]] = field(default_factory=dict)
    """The same by group, topic and partition."""

    @classmethod
    def of(cls, topics: dict[str, int], lags: Sequence[Lag]) -> BusState:
        """What a bus tells."""
        return cls(topics, lag_by_group(lags), lag_by_partition(lags))


async def _no_bus() -> BusState:
    return BusState()


@dataclass(frozen=True, slots=True)
class AppServices:
    """What a process that serves can do besides reading its store; what it cannot is None and answered with 503."""

    score: Callable[[Sequence[ScoreRequest]], Awaitable[list[ScoreResult]]] | None = None
    publish_command: Callable[[Command], Awaitable[None]] | None = None
    watchlist: WatchlistEditor | None = None
    ready: Callable[[], Readiness] = Readiness
    bus: Callable[[], Awaitable[BusState]] = _no_bus
    bundle: str = ""
    started: float = field(default_factory=time.monotonic)
