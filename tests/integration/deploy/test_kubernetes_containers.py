"""The containers of the overlays, started here with their very commands, environments, files and probes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from broker import Broker
from containers.local import LocalContainer, image_environment
from containers.manifests import manifests, workloads
from containers.tools import DEPLOY
from services_on_kafka import wait_for_exit
from stores.postgresql import PostgresServer, missing_postgresql

pytestmark = pytest.mark.slow

SECRET = {
    "postgres-password": "a password that no test checks",
    "web-token": "a token of more than sixteen characters",
    "webhook-secret": "a secret of the webhook",
    "webhooks": '["http://127.0.0.1:9/hook"]',
}
FEEDS = "- {id: unreachable, url: https://news.example/rss.xml}\n"
START_S = 180.0
SERVICES = ("ingest", "infer", "alert", "sink", "notify", "serve")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresServer]:
    """A server of PostgreSQL."""
    missing = missing_postgresql()
    if missing is not None:
        pytest.skip(missing)
    with PostgresServer.running() as server:
        yield server


def run_until_ready(container: LocalContainer) -> None:
    """Starts a container, waits for its probes in the order in which a kubelet asks, and ends it with SIGTERM."""
    container.start()
    try:
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            container.wait_for(kind, START_S)
        container.process.send_signal(signal.SIGTERM)
        assert wait_for_exit(container.process) == 0, container.log_tail()
    finally:
        if container.process.poll() is None:
            container.process.kill()
            container.process.wait(timeout=20)


def test_the_container_of_the_small_overlay_starts_is_ready_and_stops(tmp_path: Path) -> None:
    resources = manifests("small")
    ((_, template),) = workloads(resources)
    container = LocalContainer(
        *(resources, template, tmp_path, SECRET, image_environment(DEPLOY / "Dockerfile")),
        RISKWIRE_INFERENCE__THREADS="1",
    )
    (tmp_path / "settings" / "feeds.yaml").chmod(0o640)
    (tmp_path / "settings" / "feeds.yaml").write_text(FEEDS)
    run_until_ready(container)
    assert (tmp_path / "data" / "data" / "store.sqlite").exists(), "the data are on the volume"


@pytest.mark.needs_kafka
@pytest.mark.needs_postgresql
def test_each_container_of_the_production_overlay_starts_is_ready_and_stops(
    tmp_path: Path, kafka_broker: Broker, postgresql: PostgresServer
) -> None:
    """Only addresses are other ones, and the feeds: these would be polled on the internet."""
    resources = manifests("production")
    templates = dict(workloads(resources))
    assert sorted(templates) == sorted(("topics", *SERVICES))
    addresses = {
        "RISKWIRE_BUS__URL": kafka_broker.url,
        "RISKWIRE_STORE__URL": postgresql.new_database(),
        "RISKWIRE_KAFKA__PREFIX": "production-",
        "RISKWIRE_INFERENCE__THREADS": "1",
    }
    containers = {}
    for name, template in templates.items():
        image = image_environment(DEPLOY / "Dockerfile")
        containers[name] = LocalContainer(resources, template, tmp_path / name, SECRET, image, **addresses)
        for feeds in (tmp_path / name).rglob("feeds.yaml"):
            feeds.chmod(0o640)
            feeds.write_text(FEEDS)
    containers["topics"].start()
    assert wait_for_exit(containers["topics"].process) == 0, containers["topics"].log_tail()
    for name in SERVICES:
        run_until_ready(containers[name])


@pytest.mark.needs_kafka
def test_the_gpu_overlay_differs_in_infer_alone_which_ends_where_there_is_no_gpu(
    tmp_path: Path, kafka_broker: Broker, tiny_bundle: Path
) -> None:
    """All other containers are those of production, which are started above. The model has a file for GPUs."""
    resources = manifests("gpu")
    templates, production = dict(workloads(resources)), dict(workloads(manifests("production")))
    assert {name for name in templates if templates[name] != production[name]} == {"infer"}
    image = image_environment(DEPLOY / "Dockerfile")
    addresses = {
        "RISKWIRE_BUS__URL": kafka_broker.url,
        "RISKWIRE_KAFKA__PREFIX": "gpu-",
        "RISKWIRE_INFERENCE__BUNDLE": str(tiny_bundle),
    }
    for name in ("topics", "infer"):
        container = LocalContainer(resources, templates[name], tmp_path / name, SECRET, image, **addresses)
        container.start()
        code = wait_for_exit(container.process)
    assert code == 2, container.log_tail()
    assert "device cuda was requested, but" in container.log_tail()


def test_a_secret_that_is_missing_ends_the_container_with_a_message_that_names_it(tmp_path: Path) -> None:
    """The table of failures in deploy/README.md."""
    resources = manifests("small")
    ((_, template),) = workloads(resources)
    container = LocalContainer(*(resources, template, tmp_path, SECRET, image_environment(DEPLOY / "Dockerfile")))
    (tmp_path / "secrets" / "web-token").unlink()
    container.start()
    assert wait_for_exit(container.process) == 2
    assert "web.token_file: the secret cannot be read" in container.log_tail()


def test_a_secret_that_every_user_can_write_ends_the_container_with_a_message_that_says_so(tmp_path: Path) -> None:
    """The table of failures in deploy/README.md."""
    resources = manifests("small")
    ((_, template),) = workloads(resources)
    container = LocalContainer(*(resources, template, tmp_path, SECRET, image_environment(DEPLOY / "Dockerfile")))
    (tmp_path / "secrets" / "web-token").chmod(0o666)
    container.start()
    assert wait_for_exit(container.process) == 2
    assert "every user can write this file" in container.log_tail()
