"""Fixtures of all integration tests: one Kafka broker for each test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def kafka_here() -> None:
    """Skips the test where no broker can be started."""
    from broker import missing_prerequisite

    missing = missing_prerequisite()
    if missing is not None:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def kafka_broker(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A real broker (`broker.Broker`), started once; each test uses its own `kafka.prefix`."""
    from broker import Broker

    with Broker(tmp_path_factory.mktemp("kafka")).running() as broker:
        yield broker
