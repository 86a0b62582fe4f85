"""Decisions by the API are obeyed from their place in the log on, by one process and by services on Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from broker import Broker
from decision_trial import KINDS, TriedMonitor, embedded_monitor, kafka_monitor

pytestmark = pytest.mark.slow

WITHIN_S = 60.0
"""What is promised, from the call of the API on. `bench_decisions.py` measures how long it takes."""


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.needs_kafka)])
def monitor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TriedMonitor]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        with embedded_monitor(folder, request.getfixturevalue("tiny_bundle")) as running:
            yield running
    else:
        broker: Broker = request.getfixturevalue("kafka_broker")
        with kafka_monitor(broker, "decisions-", folder) as running:
            yield running


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_a_decision_in_the_log_is_withheld_and_what_precedes_it_was_told(
    monitor: TriedMonitor, kind: str
) -> None:
    """A page fires and is sent, a decision follows, and its escalation is not sent. A false alarm ends the alert."""
    trial = monitor.try_decision(kind)
    assert trial.log == ("firing", kind, "escalated")
    assert trial.statuses == (("firing", "resolved") if kind == "false_alarm" else ("firing",))
    assert trial.taken_s < WITHIN_S
