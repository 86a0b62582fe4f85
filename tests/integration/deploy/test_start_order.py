"""Services that start before the broker and the database: the table of failures in deploy/README.md."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker
from cli import riskwire
from containers.supervised import SupervisedService
from services_on_kafka import article_records, on_kafka, publish, wait_until
from stores.postgresql import PostgresServer, missing_postgresql

from riskwire.settings import KafkaSettings

pytestmark = [pytest.mark.needs_kafka, pytest.mark.needs_postgresql, pytest.mark.slow]

STORING = ("sink", "serve")
SERVICES = ("infer", "alert", "notify", *STORING)


@pytest.fixture
def postgresql() -> Iterator[PostgresServer]:
    """A server of PostgreSQL that is not started."""
    missing = missing_postgresql()
    if missing is not None:
        pytest.skip(missing)
    with PostgresServer.running() as server:
        server.stop()
        yield server


@pytest.fixture
def broker(kafka_here: None) -> Iterator[Broker]:
    """A broker with an empty cluster that is not started."""
    folder = Path(tempfile.mkdtemp(prefix="riskwire-broker-"))
    broker = Broker(folder)
    broker.format()
    yield broker
    broker.kill()
    shutil.rmtree(folder, ignore_errors=True)


def test_services_name_what_is_missing_and_work_once_broker_and_database_are_there(
    broker: Broker, postgresql: PostgresServer, tmp_path: Path, tiny_bundle: Path
) -> None:
    """Each ends with code 2 and one line, and its supervisor starts it again, until what it needs is there.

    The order is services, Kafka, PostgreSQL. Articles that came before the database are in the store at the end.
    """
    env = on_kafka(broker, "order-", tiny_bundle, partitions=2, deadline_s=5)
    env |= {"RISKWIRE_STORE__URL": postgresql.url(), "RISKWIRE_LOG__LEVEL": "warning"}
    services = {name: SupervisedService(name, env, tmp_path / f"{name}.log") for name in SERVICES}
    logs = {name: tmp_path / f"{name}.log" for name in SERVICES}

    def says(name: str, text: str) -> bool:
        return any(line.startswith("riskwire: ") and text in line for line in logs[name].read_text().splitlines())

    try:
        for name in SERVICES:
            missing = "PostgreSQL cannot be reached" if name in STORING else "Kafka cannot be reached"
            wait_until(lambda name=name, missing=missing: says(name, missing), why=services[name].service.log_tail)
        broker.start()
        wait_until(lambda: riskwire("topics", "create", env=env).returncode == 0)
        publish(broker, KafkaSettings(prefix="order-", partitions=2), article_records(range(20)))
        for name in ("infer", "alert", "notify"):
            wait_until(lambda name=name: services[name].service.readiness()[0] == 200, why=lambda: str(logs))
        assert all(services[name].service.readiness()[0] == 0 for name in STORING)
        postgresql.start()
        for name in STORING:
            wait_until(lambda name=name: services[name].service.readiness()[0] == 200, why=lambda: str(logs))
        wait_until(lambda: postgresql.sql("SELECT count(*) FROM articles") == [(20,)])
    finally:
        stopped = {name: service.stop() for name, service in services.items()}
        for log in logs.values():
            print(f"== {log.name}\n{log.read_text()[-1_500:]}")
    assert stopped == dict.fromkeys(SERVICES, 0)
    for name, service in services.items():
        assert service.codes, name
        assert set(service.codes) == {2}, name
        assert "Traceback" not in logs[name].read_text(), name
