"""A stage that waits in the middle of a step, and looks how long it has to, is not one that hangs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

pytest.importorskip("aiokafka")

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.cluster import Cluster
from riskwire.bus.protocol import Lag
from riskwire.errors import BusError
from riskwire.settings import BusSettings, KafkaSettings


@dataclass
class Held:
    active_at: float = 0.0

    def note_activity(self) -> None:
        self.active_at = time.monotonic()


@dataclass
class Joined:
    assigned: list[Held] = field(default_factory=lambda: [Held()])


class Survey:
    async def lag(self) -> list[Lag]:
        return [Lag("infer", "articles", 0, 3)]


async def test_a_stage_that_looks_at_the_lag_in_the_middle_of_a_step_counts_as_getting_on() -> None:
    bus = KafkaBus(Cluster("kafka://broker:9092", KafkaSettings()), None, None, BusSettings(url="kafka://broker:9092"))
    bus._survey = Survey()
    history, other = Joined(), Joined()
    bus._joined = {("history", "commands"): history, ("watchlist", "commands"): other}
    before = time.monotonic()
    assert await bus.lag_of_waiting_stage("history") == [Lag("infer", "articles", 0, 3)]
    assert history.assigned[0].active_at >= before
    assert other.assigned[0].active_at == 0.0, "only the group that looks"


async def test_a_stage_whose_partition_was_taken_away_in_the_middle_of_a_step_is_told_when_it_looks() -> None:
    bus = KafkaBus(Cluster("kafka://broker:9092", KafkaSettings()), None, None, BusSettings(url="kafka://broker:9092"))
    bus._survey = Survey()
    bus._joined = {("history", "commands"): Joined([])}
    with pytest.raises(BusError, match="another worker owns the partitions of history now"):
        await bus.lag_of_waiting_stage("history")
