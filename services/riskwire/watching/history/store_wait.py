"""When the store holds all that stood in the log before a moment.

It follows the log hop by hop: how far a topic reaches is looked up after the topic before it has been read that far, so
what comes of a record that stood there is below it. Positions tell, not times and not whether anybody has caught up: a
stage that is never idle gets past every place all the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog
from prometheus_client import Gauge

from riskwire import metrics
from riskwire.bus import Lag
from riskwire.errors import BusError
from riskwire.pipeline import Topic

log = structlog.get_logger(__name__)

HOPS = (
    (("watchlist", Topic.COMMANDS),),
    (("infer", Topic.ARTICLES),),
    (("sink-analyses", Topic.ANALYSES), ("sink-signals", Topic.SIGNALS)),
)
"""Who has to have read what, in this order, until a command has taken effect everywhere and what came before it is
stored."""
_LOOK_S = 0.25
_LOOK_AT_LEAST_S = 2.0
_TELL_S = 60.0

Ends = Callable[[str], Awaitable[Sequence[int]]]
Lags = Callable[[], Awaitable[Sequence[Lag]]]


class Stored:
    """Waits for the store, for a stage that reads it.

    Args:
        ends: how far each partition of a topic reaches.
        lag: how far every group is behind, and where it stands.
        stage: the stage that waits: that it gets on is said meanwhile.
        is_over: whether nobody needs to wait any more, since another has the stage's partition.
    """

    def __init__(self, ends: Ends, lag: Lags, stage: str, is_over: Callable[[], bool]) -> None:
        self._ends = ends
        self._lag = lag
        self._stage = stage
        self._is_over = is_over

    async def until(self) -> int:
        """Return once the store holds what was read before the commands that there are now took effect; the offset
        up to which commands are meant. However long it takes: infer may be hours behind.

        Raises:
            BusError: the bus cannot be asked, or the stage's partition is another's by now.
        """
        commands = 0
        for hop in HOPS:
            ends = {topic: await self._ends(topic) for _, topic in hop}
            commands = ends[Topic.COMMANDS][0] if Topic.COMMANDS in ends else commands
            for group, topic in hop:
                await self._until_read(group, topic, ends[topic])
        return commands

    async def _until_read(self, group: str, topic: str, ends: Sequence[int]) -> None:
        waiting = metrics.HISTORY_WAITING.labels(group=group)
        try:
            await self._wait(group, topic, ends, waiting)
        finally:
            waiting.set(0)

    async def _wait(self, group: str, topic: str, ends: Sequence[int], waiting: Gauge) -> None:
        began = told = time.monotonic()
        pause = _LOOK_S
        while not has_read(group, topic, ends, lags := await self._lag()):
            if self._is_over():
                raise BusError(f"{self._stage} has been taken over by another worker: it waits no longer")
            now = time.monotonic()
            waiting.set(now - began)
            if now - told > _TELL_S:
                told = now
                behind = sum(one.records for one in lags if (one.group, one.topic) == (group, topic))
                log.warning(
                    "waiting for what stood in the log before a command",
                    stage=self._stage,
                    slowest_group=group,
                    behind=behind,
                    since_s=round(now - began),
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LOOK_AT_LEAST_S)


def has_read(group: str, topic: str, ends: Sequence[int], lags: Iterable[Lag]) -> bool:
    """Whether a group has read every partition of a topic up to these ends. One that has not begun has not; an end may
    lie behind markers of transactions, so who has nothing left to read is there too."""
    there = {one.partition: one for one in lags if (one.group, one.topic) == (group, topic)}
    return all(
        end == 0 or (partition in there and (there[partition].position >= end or not there[partition].records))
        for partition, end in enumerate(ends)
    )
