"""Waits until the store contains everything that infer read before a command took effect.

Records reach the store over several topics. A command becomes a change in `articles`. Infer reads the articles before
that change. The sinks write the results. `pipeline.route` names these hops, and the wait follows them in
order. It reads the end offsets of a hop's topics after the groups of the previous hop have read far enough. So all
that follows from an earlier record lies below these ends. Then it waits until the groups of the hop have reached them.

The wait compares positions. It does not wait for a lag of zero, because a group that is always busy never has one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from riskwire import metrics
from riskwire.bus import Lag
from riskwire.errors import BusError
from riskwire.pipeline import HISTORY, StageSpec, Topic, route
from riskwire.watching.history.positions import LogPositions

log = structlog.get_logger(__name__)

HOPS = route(Topic.COMMANDS, (Topic.ANALYSES, Topic.SIGNALS), without=HISTORY)
_POLL_S = 0.25
_MAX_POLL_S = 2.0
_WARN_EVERY_S = 60.0


class StoreWait:
    """Waits for the store on behalf of a history task.

    Args:
        superseded: whether another task of this process has taken over the partition.
    """

    def __init__(self, positions: LogPositions, superseded: Callable[[], bool]) -> None:
        self._positions = positions
        self._superseded = superseded

    async def wait_until_stored(self) -> int:
        """Waits until the store contains everything that was read before the existing commands took effect.

        It follows the stages between the commands and the store, hop by hop (`HOPS`): it reads how far the topics of a
        hop go, and waits until its stages have read that far. There is no deadline: infer may be hours behind.

        Returns:
            the end offset of the commands that existed when the wait began.

        Raises:
            BusError: the bus cannot be asked, or another worker or task has taken over the partition.
        """
        commands_end = 0
        for hop in HOPS:
            ends = {stage: await self._positions.ends(stage.reads) for stage in hop}
            for stage, stage_ends in ends.items():
                if stage.reads is Topic.COMMANDS:
                    commands_end = stage_ends[0]
                await self._wait_until_read(stage, stage_ends)
        return commands_end

    async def _wait_until_read(self, stage: StageSpec, ends: Sequence[int]) -> None:
        """Waits until a stage has read its topic up to given offsets. Warns every minute, and sets metrics of the wait.

        Args:
            ends: for each partition of the topic, the offset up to which the stage must have read.

        Raises:
            BusError: the bus cannot be asked, or another task of this process has taken over the partition.
        """
        waiting = metrics.HISTORY_WAITING.labels(group=stage.name)
        progress = metrics.STAGE_PROGRESS.labels(stage=HISTORY.name)
        started = warned = time.monotonic()
        poll_s = _POLL_S
        try:
            while not has_read(stage, ends, lags := await self._positions.lag_of_waiting_stage(HISTORY.name)):
                if self._superseded():
                    raise BusError(f"another task of {HISTORY.name} has taken over the partition, so this one ends")
                progress.set_to_current_time()
                now = time.monotonic()
                waiting.set(now - started)
                if now - warned > _WARN_EVERY_S:
                    warned = now
                    self._warn(stage, lags, waited_s=now - started)
                await asyncio.sleep(poll_s)
                poll_s = min(poll_s * 1.5, _MAX_POLL_S)
        finally:
            waiting.set(0)

    def _warn(self, stage: StageSpec, lags: Iterable[Lag], waited_s: float) -> None:
        """Logs how many records the stage still has to read."""
        log.warning(
            "waiting until a group has read what precedes a command",
            stage=HISTORY.name,
            group=stage.name,
            lag=sum(lag.records for lag in _of(stage, lags)),
            waited_s=round(waited_s),
        )


def has_read(stage: StageSpec, ends: Sequence[int], lags: Iterable[Lag]) -> bool:
    """Returns whether a stage has read every partition of its topic up to the given end offsets.

    A partition with the end 0 is empty and counts as read. A group that never joined has read nothing. An end may lie
    behind transaction markers, which no position passes until another record follows; so a partition without lag counts
    as read.
    """
    by_partition = {lag.partition: lag for lag in _of(stage, lags)}
    for partition, end in enumerate(ends):
        if end == 0:
            continue
        lag = by_partition.get(partition)
        if lag is None or (lag.position < end and lag.records):
            return False
    return True


def _of(stage: StageSpec, lags: Iterable[Lag]) -> list[Lag]:
    return [lag for lag in lags if (lag.group, lag.topic) == (stage.name, stage.reads)]
