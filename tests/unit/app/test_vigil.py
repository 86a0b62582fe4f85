"""A service on Kafka that gets nowhere is not ready, and leaves: also one that does not get into its group."""

from __future__ import annotations

import faulthandler
import time
from dataclasses import dataclass, field

import pytest

pytest.importorskip("aiokafka")

from riskwire.app.vigil import Vigil
from riskwire.errors import RiskwireError
from riskwire.settings import KafkaSettings


@dataclass
class Held:
    active_at: float
    topic: str = "alerts"
    partition: int = 0


@dataclass
class FakeBus:
    """Answers at once; what it says of the group is the test's."""

    held: list[Held] = field(default_factory=list)
    outside: float | None = None

    async def reach(self, within_s: float) -> None:
        pass

    def holds(self, group: str) -> list[Held]:
        return self.held

    def outside_since(self, group: str) -> float | None:
        return self.outside


def state(bus: FakeBus, stuck_after_s: float) -> tuple[bool, str | None]:
    vigil = Vigil(bus, ["notify"], KafkaSettings(stuck_after_s=stuck_after_s))
    found = vigil.readiness().stages[1]
    return found.ok, found.detail


def test_a_worker_inside_its_group_that_holds_nothing_stands_by() -> None:
    assert state(FakeBus(), 20) == (True, "stands by")


def test_a_worker_that_is_joining_is_ready_for_a_while_and_then_is_not() -> None:
    assert state(FakeBus(outside=time.monotonic() - 1), 20) == (True, "is joining")
    assert state(FakeBus(outside=time.monotonic() - 6), 20) == (False, "has not got into the group for 6 s")


def test_a_partition_that_does_not_get_on_is_named() -> None:
    assert state(FakeBus([Held(time.monotonic() - 6)]), 20) == (False, "alerts[0]: no progress for 6 s")


async def test_a_worker_that_does_not_get_into_its_group_leaves() -> None:
    vigil = Vigil(FakeBus(outside=time.monotonic() - 21), ["notify"], KafkaSettings(stuck_after_s=20))
    try:
        with pytest.raises(RiskwireError, match=r"^notify has not got into its group for 21 s \(kafka.stuck_after_s\)"):
            await vigil.keep()
    finally:
        faulthandler.cancel_dump_traceback_later()
