"""What integration tests share: one Kafka for all of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A real broker (`broker.Broker`), started once; tests keep apart by `kafka.prefix`."""
    from broker import Broker, how_to_get_it

    missing = how_to_get_it()
    if missing is not None:
        pytest.skip(missing)
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.format()
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
