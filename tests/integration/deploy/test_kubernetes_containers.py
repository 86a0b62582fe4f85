"""The container of the small overlay, started here with its very command, environment, files and probes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from containers.local import LocalContainer, image_environment
from containers.manifests import manifests, workloads
from containers.tools import DEPLOY
from services_on_kafka import wait_for_exit

pytestmark = pytest.mark.slow

SECRET = {
    "postgres-password": "a password that no test checks",
    "web-token": "a token of more than sixteen characters",
    "webhook-secret": "a secret of the webhook",
    "webhooks": '["http://127.0.0.1:9/hook"]',
}
FEEDS = "- {id: unreachable, url: https://news.example/rss.xml}\n"
START_S = 180.0


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
