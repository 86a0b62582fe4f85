"""Whether a service on Kafka gets on: for `/readyz`, and so that one that does not leaves for the orchestrator."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from prometheus_client import REGISTRY

from riskwire.bus.kafka import KafkaBus
from riskwire.errors import BusError, RiskwireError
from riskwire.web import Readiness, StageState

_LOOK_S = 5.0
_NOT_READY_AFTER_S = 60.0


class Vigil:
    """Looks at the cluster and at each group of this process.

    A worker that holds no partition stands by: that is ready. One that holds some must look for records.

    Args:
        stuck_after_s: without progress, or without an answer of the cluster, for this long it is given up.
    """

    def __init__(self, bus: KafkaBus, groups: Sequence[str], stuck_after_s: float) -> None:
        self._bus = bus
        self._groups = tuple(groups)
        self._stuck_after_s = stuck_after_s
        self._since = time.time()
        self._answered = time.time()
        self._failure: BusError | None = None

    def readiness(self) -> Readiness:
        """What a probe is told."""
        silent = time.time() - self._answered
        kafka = StageState(name="kafka", ok=True)
        if self._failure is not None or silent > _NOT_READY_AFTER_S:
            kafka = StageState(name="kafka", ok=False, detail=f"no answer for {silent:.0f} s")
        return Readiness(stages=(kafka, *(self._state(group) for group in self._groups)))

    async def keep(self) -> None:
        """Look every few seconds, until it has to be given up.

        Raises:
            RiskwireError: the cluster has not answered, or a stage has not looked for records, for too long.
        """
        while True:
            try:
                async with asyncio.timeout(self._stuck_after_s):
                    await self._bus.reach()
            except (BusError, TimeoutError) as error:
                self._failure = error if isinstance(error, BusError) else BusError("Kafka does not answer")
            else:
                self._failure, self._answered = None, time.time()
            if time.time() - self._answered > self._stuck_after_s:
                raise BusError(
                    f"Kafka has not answered for {time.time() - self._answered:.0f} s: leaving, to be started again"
                ) from self._failure
            for group in self._groups:
                silent = self._silent(group)
                if silent > self._stuck_after_s:
                    raise RiskwireError(f"stage {group} has made no progress for {silent:.0f} s: leaving")
            await asyncio.sleep(_LOOK_S)

    def _state(self, group: str) -> StageState:
        silent = self._silent(group)
        if silent > _NOT_READY_AFTER_S:
            return StageState(name=group, ok=False, detail=f"no progress for {silent:.0f} s")
        held = self._bus.holds(group)
        return StageState(name=group, ok=True, detail=f"{held} partitions" if held else "stands by")

    def _silent(self, group: str) -> float:
        held_since = self._bus.held_since(group)
        if held_since is None:
            return 0.0
        beat = REGISTRY.get_sample_value("riskwire_stage_progress_timestamp_seconds", {"stage": group}) or 0.0
        return time.time() - max(beat, held_since, self._since)
