"""Health of a process: which stages are ready, and when a service on Kafka gives up."""

from __future__ import annotations

import faulthandler
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from riskwire.app.health import Health, HealthLimits
from riskwire.bus import Membership, PartitionActivity
from riskwire.errors import BusError, RiskwireError
from riskwire.settings import BusSettings, KafkaSettings, Settings


@dataclass
class FakeBus:
    """A bus that answers at once, with a given membership.

    Attributes:
        outside_s: seconds since which this process has been outside the group; None if it is a member.
        idle_s: for each owned partition of `alerts`, from 0 on, the seconds since its last activity.
        failure: what `reach` raises, as if the bus did not answer; None if it answers.
    """

    outside_s: float | None = None
    idle_s: tuple[float, ...] = ()
    failure: BusError | None = None

    async def reach(self, timeout_s: float) -> None:
        if self.failure is not None:
            raise self.failure

    def membership(self, group: str) -> Membership:
        """Returns the same membership for every group, as of now."""
        now = time.monotonic()
        outside_since = None if self.outside_s is None else now - self.outside_s
        activities = (PartitionActivity("alerts", number, now - idle_s) for number, idle_s in enumerate(self.idle_s))
        return Membership(outside_since, tuple(activities))


ON_KAFKA = HealthLimits.from_settings(
    Settings(bus=BusSettings(url="kafka://localhost:9092"), kafka=KafkaSettings(stuck_after_s=20))
)
EMBEDDED = HealthLimits.from_settings(Settings())


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """Stops the watchdog that `Health.watch` starts when it gives up; it would end the test run."""
    yield
    faulthandler.cancel_dump_traceback_later()


def stage_state(bus: FakeBus, limits: HealthLimits = ON_KAFKA) -> tuple[bool, str]:
    """Returns whether the stage `notify` is ready, and the reason that readiness gives. (State 0 is of the bus.)"""
    state = Health(bus, ["notify"], limits).readiness().stages[1]
    return state.ok, state.detail


def test_a_member_without_a_partition_is_on_standby_and_ready() -> None:
    assert stage_state(FakeBus()) == (True, "on standby")


def test_a_worker_outside_its_group_is_ready_for_a_while() -> None:
    """The limit is a quarter of `kafka.stuck_after_s`, 5 s here."""
    assert stage_state(FakeBus(outside_s=1)) == (True, "is joining its group")
    assert stage_state(FakeBus(outside_s=6)) == (False, "has not joined its group for 6 s")


def test_readiness_names_the_partition_that_makes_no_progress() -> None:
    """One of three partitions is idle longer than the limit of 5 s: the stage is not ready."""
    assert stage_state(FakeBus(idle_s=(0, 6, 1))) == (False, "alerts[1]: no progress for 6 s")
    assert stage_state(FakeBus(idle_s=(0, 1))) == (True, "2 partitions")


def test_a_stage_on_the_embedded_bus_is_unready_after_a_minute() -> None:
    """A partition may be idle for 60 s on the embedded bus."""
    assert stage_state(FakeBus(idle_s=(59,)), EMBEDDED) == (True, "1 partitions")
    assert stage_state(FakeBus(idle_s=(61,)), EMBEDDED) == (False, "alerts[0]: no progress for 61 s")


def test_the_progress_metric_follows_the_slowest_partition() -> None:
    """The metric is the Unix time of the last activity on the partition that has been idle longest, 50 s ago."""
    Health(FakeBus(idle_s=(0, 50)), ["notify"], EMBEDDED)
    progressed_at = REGISTRY.get_sample_value("riskwire_stage_progress_timestamp_seconds", {"stage": "notify"})
    assert progressed_at == pytest.approx(time.time() - 50, abs=5)


@pytest.mark.parametrize(
    ("bus", "message"),
    [
        (FakeBus(outside_s=21), r"^notify has not joined its group for 21 s \(kafka.stuck_after_s\)"),
        (FakeBus(idle_s=(0, 21)), r"^alerts\[1\]: notify has made no progress for 21 s \(kafka.stuck_after_s\)"),
    ],
    ids=["outside its group", "idle partition"],
)
async def test_a_service_on_kafka_that_makes_no_progress_gives_up(bus: FakeBus, message: str) -> None:
    """`watch` raises when a stage is idle, or outside its group, for longer than `kafka.stuck_after_s`, 20 s."""
    with pytest.raises(RiskwireError, match=message):
        await Health(bus, ["notify"], ON_KAFKA).watch()


async def test_a_service_on_kafka_gives_up_when_the_bus_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """`watch` raises, and readiness fails, 21 s after the last answer; the limit is 20 s. The clock is set ahead."""
    health = Health(FakeBus(failure=BusError("no route")), [], ON_KAFKA)
    assert health.readiness().ready
    later = time.monotonic() + 21
    monkeypatch.setattr("riskwire.app.health.time.monotonic", lambda: later)
    with pytest.raises(BusError, match=r"^Kafka has not answered for 21 s .*: BusError: no route"):
        await health.watch()
    assert health.readiness().problems == ("stage kafka: no answer for 21 s",)
