"""The health of a process: readiness for `/readyz` and the page, the progress metric, and when a process gives up."""

from __future__ import annotations

import asyncio
import faulthandler
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from riskwire import metrics
from riskwire.bus import Bus
from riskwire.errors import BusError, RiskwireError
from riskwire.settings import Settings
from riskwire.web import Readiness, StageState

log = structlog.get_logger(__name__)

_CHECK_INTERVAL_S = 5.0
_UNREADY_AFTER_S = 60.0
_EXIT_WITHIN_S = 10.0
"""Time that a process which gives up has beyond the step in progress; a thread that hangs would keep it for ever."""


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """How long a process may go without progress.

    Attributes:
        bus_name: the name of the bus in readiness and log.
        unready_after_s: time without progress after which a stage, or the bus, is not ready.
        give_up_after_s: time without progress after which the process ends with an error (`kafka.stuck_after_s`);
            None to never give up.
        exit_within_s: time that a process which gives up has to end before it is killed.
    """

    bus_name: str
    unready_after_s: float = _UNREADY_AFTER_S
    give_up_after_s: float | None = None
    exit_within_s: float = _EXIT_WITHIN_S

    @classmethod
    def from_settings(cls, settings: Settings) -> HealthLimits:
        """Returns the limits for the bus of the settings.

        Only on Kafka can another process take the work over, so only there does a process give up. It is not ready from
        a quarter of that time on, or from `_UNREADY_AFTER_S` if that is shorter.
        """
        if settings.bus.url == "embedded":
            return cls("bus")
        stuck_after_s = settings.kafka.stuck_after_s
        return cls(
            "kafka",
            unready_after_s=min(_UNREADY_AFTER_S, stuck_after_s / 4),
            give_up_after_s=stuck_after_s,
            exit_within_s=settings.kafka.deadline_s + _EXIT_WITHIN_S,
        )

    @property
    def check_interval_s(self) -> float:
        """Time between two checks in seconds: at most 5, and at most a tenth of the time that they check."""
        limit_s = self.unready_after_s if self.give_up_after_s is None else self.give_up_after_s
        return min(_CHECK_INTERVAL_S, limit_s / 10)


@dataclass(frozen=True, slots=True)
class _Idle:
    """How long a stage has made no progress, and on which partition; without one, it has not joined its group."""

    seconds: float
    partition: str


class Health:
    """Watches whether the bus answers and whether each assigned partition makes progress.

    A partition makes progress when its worker fetches records, restores state or commits a step. A worker that joined
    its group and has no partition is on standby, which is ready. A worker that stays outside its group is not.

    Args:
        groups: the consumer groups of the stages of this process.
    """

    def __init__(self, bus: Bus, groups: Sequence[str], limits: HealthLimits) -> None:
        """Takes the consumer groups to watch. Registers the progress metric of each, which is computed when it is read.

        `_answered_at` is when the bus last answered (`time.monotonic()`); `_bus_failure` is its present error, if any.
        """
        self._bus = bus
        self._groups = tuple(groups)
        self._limits = limits
        self._answered_at = time.monotonic()
        self._bus_failure: BusError | None = None
        for group in self._groups:
            metrics.STAGE_PROGRESS.labels(stage=group).set_function(partial(self._progressed_at, group))

    def readiness(self) -> Readiness:
        """Returns the state of the bus and of each stage."""
        return Readiness(stages=(self._bus_state(), *(self._stage_state(group) for group in self._groups)))

    async def watch(self) -> None:
        """Checks the bus and the stages every few seconds, until it gives up or is cancelled.

        An event loop that hangs cannot check: a watchdog thread of the interpreter then ends the process. After the
        checks, the watchdog leaves the process `exit_within_s` to end. There is no watchdog if it never gives up.

        Raises:
            RiskwireError: the bus has not answered, or a partition has made no progress, for too long.
        """
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._check_bus(), name="health-bus")
                group.create_task(self._check_stages(), name="health-stages")
        except* RiskwireError as failures:
            failure = failures.exceptions[0]
        finally:
            if self._limits.give_up_after_s is not None:
                faulthandler.dump_traceback_later(self._limits.exit_within_s, exit=True)
        if failure is not None:
            # Raised outside the `except` block: otherwise its context would be the group that contains it.
            log.error("giving up", error=str(failure))
            raise failure

    async def _check_bus(self) -> None:
        """Asks the bus for an answer every `check_interval_s`, until cancelled. Logs a change of its answer.

        Raises:
            BusError: no answer for longer than `give_up_after_s`: the process exits to be restarted.
        """
        limits = self._limits
        while True:
            try:
                await self._bus.reach(min(limits.unready_after_s, _CHECK_INTERVAL_S))
            except BusError as error:
                if self._bus_failure is None:
                    log.warning("the bus does not answer", bus=limits.bus_name, error=str(error))
                self._bus_failure = error
            else:
                if self._bus_failure is not None:
                    log.warning("the bus answers again", bus=limits.bus_name, after_s=round(self._silence_s(), 1))
                self._bus_failure, self._answered_at = None, time.monotonic()
            silence_s = self._silence_s()
            if limits.give_up_after_s is not None and silence_s > limits.give_up_after_s:
                raise BusError(
                    f"Kafka has not answered for {silence_s:.0f} s (kafka.stuck_after_s): exiting to be restarted"
                ) from self._bus_failure
            await asyncio.sleep(limits.check_interval_s)

    async def _check_stages(self) -> None:
        """Checks every `check_interval_s` that each stage makes progress. Returns at once if there is no limit.

        A watchdog also ends the process if the event loop hangs.

        Raises:
            RiskwireError: a stage made no progress, or did not join its group, for longer than `give_up_after_s`.
        """
        give_up_after_s = self._limits.give_up_after_s
        if give_up_after_s is None:
            return
        while True:
            # Each check restarts the watchdog, so it fires only where the event loop hangs.
            faulthandler.dump_traceback_later(give_up_after_s, exit=True)
            for group in self._groups:
                idle = self._idle(group)
                if idle.seconds > give_up_after_s:
                    problem = "made no progress" if idle.partition else "not joined its group"
                    problem = f"{problem} for {idle.seconds:.0f} s (kafka.stuck_after_s)"
                    raise RiskwireError(f"{group} has {problem}: exiting to be restarted", where=idle.partition)
            await asyncio.sleep(self._limits.check_interval_s)

    def _silence_s(self) -> float:
        return time.monotonic() - self._answered_at

    def _bus_state(self) -> StageState:
        """Returns the state of the bus for the readiness report: not ok while it does not answer."""
        limits, silence_s = self._limits, self._silence_s()
        if self._bus_failure is not None or silence_s > limits.unready_after_s:
            return StageState(name=limits.bus_name, ok=False, detail=f"no answer for {silence_s:.0f} s")
        return StageState(name=limits.bus_name, ok=True)

    def _stage_state(self, group: str) -> StageState:
        """Returns the state of a stage for the readiness report; `group` is the consumer group of the stage.

        The stage is not ok if it has been idle, or outside its group, for longer than `unready_after_s`.
        """
        idle = self._idle(group)
        if idle.seconds > self._limits.unready_after_s:
            problem = f"{idle.partition}: no progress" if idle.partition else "has not joined its group"
            return StageState(name=group, ok=False, detail=f"{problem} for {idle.seconds:.0f} s")
        membership = self._bus.membership(group)
        if membership.outside_since is not None:
            return StageState(name=group, ok=True, detail="is joining its group")
        count = len(membership.partitions)
        return StageState(name=group, ok=True, detail=f"{count} partitions" if count else "on standby")

    def _idle(self, group: str) -> _Idle:
        """Returns which partition of a group has been idle longest, and how long; 0 s for a member without partitions.

        If this process is not a member of the group, returns how long it has not been one, and no partition.
        """
        now = time.monotonic()
        membership = self._bus.membership(group)
        if membership.outside_since is not None:
            return _Idle(now - membership.outside_since, "")
        idle = (
            _Idle(now - activity.active_at, f"{activity.topic}[{activity.partition}]")
            for activity in membership.partitions
        )
        return max(idle, key=lambda partition: partition.seconds, default=_Idle(0.0, ""))

    def _progressed_at(self, group: str) -> float:
        """Returns the Unix time at which every partition of a group had made progress, for the metric."""
        return time.time() - self._idle(group).seconds
