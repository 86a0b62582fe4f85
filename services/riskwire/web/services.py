"""The interface between the web server and the rest of its process: functions, so that it can serve a store alone."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from riskwire.bus import Lag, lag_by_group, lag_by_partition
from riskwire.records import Command, Record, ScoreRequest, ScoreResult, Utc
from riskwire.store import AlertRow
from riskwire.watching import WatchlistEditor


class StageState(Record):
    """The readiness of one stage, or of the bus.

    Attributes:
        detail: what is wrong if it is not `ok`; else what it does.
    """

    name: str
    ok: bool
    detail: str = ""


class Readiness(Record):
    """The readiness of a process."""

    stages: tuple[StageState, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether every stage is ready."""
        return all(stage.ok for stage in self.stages)

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each stage that is not ready."""
        return tuple(f"stage {stage.name}: {stage.detail or 'no progress'}" for stage in self.stages if not stage.ok)


@dataclass(frozen=True, slots=True)
class BusState:
    """How many records were published, and how many are not read yet.

    Attributes:
        topics: the number of records published so far, by topic.
        lag: the number of unread records, by group.
        partitions: the number of unread records, by group, topic and partition.
    """

    topics: dict[str, int] = field(default_factory=dict)
    lag: dict[str, int] = field(default_factory=dict)
    partitions: dict[str, dict[str, dict[int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, topics: dict[str, int], lags: Sequence[Lag]) -> BusState:
        """Returns the state from the answers of `Bus.records` and `Bus.lag`."""
        return cls(topics, lag_by_group(lags), lag_by_partition(lags))


class SilenceRow(Record):
    """A silence of Alertmanager that is in force.

    Attributes:
        receiver: the Alertmanager.
        by, comment: who made it, and why.
        matchers: its conditions, such as `target=entity:acme`.
        alerts: the ids of the open alerts that it covers; `names` are those of their targets.
    """

    receiver: str
    id: str
    by: str
    comment: str
    until: Utc
    matchers: tuple[str, ...]
    alerts: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


async def _no_bus() -> BusState:
    return BusState()


@dataclass(frozen=True, slots=True)
class AppServices:
    """What the process offers to the web server besides its store. A request for one that is None is answered with 503.

    Attributes:
        score: scores texts with the model.
        publish_command: publishes a decision about an alert, and returns the decision that it replaces.
        watchlist: reads and changes the watchlist.
        ready: returns the readiness of the process.
        bus: returns the state of the bus.
        silences: returns the silences of Alertmanager, with those of the given alerts that they cover. None without an
            Alertmanager: then there are no silences.
        bundle: name and version of the model.
        started: when the process started (`time.monotonic()`).
    """

    score: Callable[[Sequence[ScoreRequest]], Awaitable[list[ScoreResult]]] | None = None
    publish_command: Callable[[Command], Awaitable[Command | None]] | None = None
    watchlist: WatchlistEditor | None = None
    ready: Callable[[], Readiness] = Readiness
    bus: Callable[[], Awaitable[BusState]] = _no_bus
    silences: Callable[[Sequence[AlertRow]], Awaitable[list[SilenceRow]]] | None = None
    bundle: str = ""
    started: float = field(default_factory=time.monotonic)
