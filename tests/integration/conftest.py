"""What integration tests share: one Kafka for all of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def kafka_here() -> None:
    """A broker can be started here; the test is skipped where none can."""
    from broker import how_to_get_it

    missing = how_to_get_it()
    if missing is not None:
        pytest.skip(missing)


@pytest.fixture(scope="session")
def kafka_broker(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A real broker (`broker.Broker`), started once; tests keep apart by `kafka.prefix`."""
    from broker import Broker

    with Broker(tmp_path_factory.mktemp("kafka")).running() as broker:
        yield broker
