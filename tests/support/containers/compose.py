"""deploy/compose.yaml started on a container engine, with images of others made from Debian's packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from broker import free_ports, kafka_home

from containers.engine import FOLDER, ContainerEngine
from containers.tools import DEPLOY, require_tool

STAND_INS = {
    "kafka": ("KAFKA_IMAGE", "riskwire-test/kafka"),
    "postgres": ("POSTGRES_IMAGE", "riskwire-test/postgres"),
    "prometheus": ("PROMETHEUS_IMAGE", "riskwire-test/prometheus"),
    "alertmanager": ("ALERTMANAGER_IMAGE", "riskwire-test/alertmanager"),
}
"""By target of the Dockerfile of stand-ins: the variable of compose.yaml that names the image, and the image."""
_PROJECT = "riskwire-test"


def build_stand_ins(engine: ContainerEngine, source: Path, base: str) -> dict[str, float]:
    """Builds the images of others that are not there yet; returns how many seconds each took.

    Args:
        source: the folder with their Dockerfile.
        base: the image of Debian with Python that all are made from.
    """
    missing = [target for target, (_, image) in STAND_INS.items() if not engine.has_image(image)]
    home = kafka_home()
    assert home is not None, "no Kafka"
    context = FOLDER / "stand-ins"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(source, context)
    if "kafka" in missing:
        shutil.copytree(home / "libs", context / "libs")
    file = context / "Dockerfile"
    return {target: engine.build(STAND_INS[target][1], file, context, target=target, BASE=base) for target in missing}


class ComposeProject:
    """The services of compose.yaml, with a file of a test that adds to it."""

    def __init__(self, engine: ContainerEngine, addition: Path, variables: Mapping[str, str]) -> None:
        """Prepares the project; `up` starts it.

        Args:
            addition: a further Compose file.
            variables: the variables of compose.yaml.
        """
        images = dict(STAND_INS.values())
        self._engine = engine
        self._command = [
            *(require_tool("docker-compose"), "--project-name", _PROJECT, "--profile", "full"),
            *("--file", str(DEPLOY / "compose.yaml"), "--file", str(addition)),
        ]
        self._environment = engine.environment | images | variables

    def compose(self, *words: str, timeout_s: float = 600.0) -> str:
        """Runs `docker compose WORDS…`, which must succeed, and returns its output."""
        done = subprocess.run(
            [*self._command, *words],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"compose {' '.join(words)}: {done.stdout[-4_000:]}{done.stderr[-4_000:]}"
        return done.stdout

    def up(self, *services: str) -> None:
        """Creates and starts services with what they depend on, without waiting for them."""
        self.compose("up", "--detach", "--pull", "never", *services)

    def down(self) -> None:
        """Removes containers, networks and volumes."""
        self.compose("down", "--volumes", "--timeout", "20", "--remove-orphans")

    def container(self, service: str) -> str:
        """Returns the name of the container of a service."""
        return f"{_PROJECT}-{service}-1"

    def state(self, service: str) -> dict[str, Any]:
        """Returns the state of a container as the engine knows it, with `Restarts`."""
        details = self._engine.inspect(self.container(service))
        return {**details["State"], "Restarts": details["RestartCount"]}

    def healthy(self, service: str) -> bool:
        """Returns whether a container runs and, if it has a health check, is healthy."""
        state = self.state(service)
        return bool(state["Running"]) and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def kill(self, service: str) -> None:
        """Kills all of a container at once, as the kernel does when memory is short; its restart rule applies.

        `docker kill` would count as a wish of the operator, after which the engine leaves the container stopped.
        """
        os.kill(self.state(service)["Pid"], 9)

    def log(self, service: str, lines: int = 40) -> str:
        """Returns the end of the log of a container."""
        done = self._engine.try_run("logs", "--tail", lines, self.container(service))
        return done.stdout + done.stderr


class NewsContainer:
    """The client of tests/image/stand_ins/newsroom.py, which publishes stories and receives notifications."""

    def __init__(self) -> None:
        """Chooses the port of this machine on which it is reached."""
        (self.port,) = free_ports(1)

    def publish(self, titles: list[str]) -> None:
        """Publishes stories with these titles now."""
        self._call("/stories", json.dumps(titles).encode())

    def answer_with(self, status: int) -> None:
        """Answers notifications with a status from now on."""
        self._call(f"/status/{status}", b"")

    def notifications(self) -> list[dict[str, Any]]:
        """Returns the notifications so far: `key`, `record`, and the `status` of the answer."""
        answer: list[dict[str, Any]] = json.loads(self._call("/notifications"))
        return answer

    def _call(self, path: str, data: bytes | None = None) -> bytes:
        with urlopen(Request(f"http://127.0.0.1:{self.port}{path}", data), timeout=30) as response:
            raw: bytes = response.read()
            return raw


def wait_for(condition: Callable[[], bool], timeout_s: float, why: Callable[[], str]) -> float:
    """Waits until a condition holds; returns how many seconds that took.

    Args:
        why: returns text for the error, such as logs.
    """
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"not within {timeout_s:.0f} s: {why()}"
        time.sleep(0.5)
    return time.monotonic() - started
