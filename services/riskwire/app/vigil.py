"""Whether a service on Kafka gets on: for `/readyz`, and so that one that does not leaves for the orchestrator."""

from __future__ import annotations

import asyncio
import faulthandler
import time
from collections.abc import Sequence

import structlog

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.errors import BusError, RiskwireError
from riskwire.settings import KafkaSettings
from riskwire.web import Readiness, StageState

log = structlog.get_logger(__name__)

_LOOK_S = 5.0
_NOT_READY_AFTER_S = 60.0
_LEAVE_S = 10.0
"""A process that is leaving has this long beyond the step under way: a thread that hangs would keep it for ever."""


class Vigil:
    """Looks at the cluster and at each partition that this process has.

    A worker that is in its group and holds no partition stands by: that is ready. One that does not get into its group
    is not. One that holds partitions must get on with each: look for records, read its state, end steps. An event
    loop that stands still is noticed by a thread of the interpreter.

    Without progress, or without an answer of the cluster, for `kafka.stuck_after_s` it is given up.
    """

    def __init__(self, bus: KafkaBus, groups: Sequence[str], settings: KafkaSettings) -> None:
        self._bus = bus
        self._groups = tuple(groups)
        self._stuck_after_s = stuck_after_s = settings.stuck_after_s
        self._leave_s = settings.deadline_s + _LEAVE_S
        self._look_s = min(_LOOK_S, stuck_after_s / 10)
        self._not_ready_after_s = min(_NOT_READY_AFTER_S, stuck_after_s / 4)
        self._answered = time.monotonic()
        self._failure: BusError | None = None

    def readiness(self) -> Readiness:
        """What a probe is told."""
        return Readiness(stages=(self._cluster_state(), *(self._state(group) for group in self._groups)))

    async def keep(self) -> None:
        """Look every few seconds, until it has to be given up.

        Raises:
            RiskwireError: the cluster has not answered, or a partition has not got on, for too long.
        """
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_asking(), name="vigil-kafka")
                group.create_task(self._keep_looking(), name="vigil-stages")
        except* RiskwireError as given_up:
            failure = given_up.exceptions[0]
        finally:
            faulthandler.dump_traceback_later(self._leave_s, exit=True)
        if failure is not None:  # raised out here, so that it is not wrapped again
            log.error("given up", error=str(failure))
            raise failure

    async def _keep_asking(self) -> None:
        while True:
            try:
                await self._bus.reach(min(self._not_ready_after_s, _LOOK_S))
            except BusError as error:
                if self._failure is None:
                    log.warning("Kafka does not answer", error=str(error))
                self._failure = error
            else:
                if self._failure is not None:
                    log.warning("Kafka answers again", after_s=round(time.monotonic() - self._answered, 1))
                self._failure, self._answered = None, time.monotonic()
            if (silent := time.monotonic() - self._answered) > self._stuck_after_s:
                raise BusError(
                    f"Kafka has not answered for {silent:.0f} s (kafka.stuck_after_s): leaving, to be started again"
                ) from self._failure
            await asyncio.sleep(self._look_s)

    async def _keep_looking(self) -> None:
        while True:
            faulthandler.dump_traceback_later(self._stuck_after_s, exit=True)
            for group in self._groups:
                silent, where = self._silent(group)
                if silent > self._stuck_after_s:
                    what = "made no progress" if where else "not got into its group"
                    raise RiskwireError(
                        f"{group} has {what} for {silent:.0f} s (kafka.stuck_after_s): leaving, to be started again",
                        where=where,
                    )
            await asyncio.sleep(self._look_s)

    def _cluster_state(self) -> StageState:
        silent = time.monotonic() - self._answered
        if self._failure is not None or silent > self._not_ready_after_s:
            return StageState(name="kafka", ok=False, detail=f"no answer for {silent:.0f} s")
        return StageState(name="kafka", ok=True)

    def _state(self, group: str) -> StageState:
        silent, where = self._silent(group)
        if silent > self._not_ready_after_s:
            what = f"{where}: no progress" if where else "has not got into the group"
            return StageState(name=group, ok=False, detail=f"{what} for {silent:.0f} s")
        if self._bus.outside_since(group) is not None:
            return StageState(name=group, ok=True, detail="is joining")
        held = len(self._bus.holds(group))
        return StageState(name=group, ok=True, detail=f"{held} partitions" if held else "stands by")

    def _silent(self, group: str) -> tuple[float, str]:
        """For how long it has been outside its group ('' says so); inside, the partition slowest to get on has not, and
        which that is."""
        now = time.monotonic()
        if (since := self._bus.outside_since(group)) is not None:
            return now - since, ""
        held = ((now - one.active_at, f"{one.topic}[{one.partition}]") for one in self._bus.holds(group))
        return max(held, default=(0.0, ""))
