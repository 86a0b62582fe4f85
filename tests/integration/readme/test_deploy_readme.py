"""The commands of deploy/README.md, in their order, against a real broker."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from broker import Broker
from cli import riskwire
from services_on_kafka import Service, on_kafka, wait_for_exit

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow]

DEPLOY = (Path(__file__).parents[3] / "deploy" / "README.md").read_text(encoding="utf-8")
SERVICES = ("ingest", "infer", "alert", "sink", "notify", "serve")


def _commands() -> list[list[str]]:
    """Returns the words of each command after the line that sets the bus, in the README's block for a broker."""
    block = re.search(r"^```sh\nexport RISKWIRE_BUS__URL=kafka://127\.0\.0\.1:9092\n(.*?)^```", DEPLOY, re.M | re.S)
    assert block is not None
    return [line.split() for line in block[1].splitlines()]


def test_the_commands_of_deploy_readme_succeed(kafka_broker: Broker, tmp_path: Path) -> None:
    """A command that runs a service starts it on a free port, and does not end.

    Each other command is run once all services before it are ready. At the end every service stops when asked to.
    """
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("- {id: unreachable, url: https://news.example/rss.xml}\n")
    env = on_kafka(kafka_broker, "readme-") | {
        "RISKWIRE_DATA": str(tmp_path / "data"),
        "RISKWIRE_FEEDS": str(feeds),  # the shipped list would poll real feeds
    }
    running: dict[str, Service] = {}
    try:
        for program, command, *words in _commands():
            assert program == "riskwire"
            if command in SERVICES:
                running[command] = Service(command, env, tmp_path / f"{command}.log")  # on a free port
                continue
            for service in running.values():
                service.wait_until_ready()
            done = riskwire(command, *words, env=env)
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip()
        assert tuple(running) == SERVICES
        for service in running.values():
            service.process.send_signal(signal.SIGTERM)
        for name, service in running.items():
            assert wait_for_exit(service.process) == 0, f"{name}: {service.log_tail()}"
    finally:
        for service in running.values():
            if service.process.poll() is None:
                service.process.kill()
                service.process.wait(timeout=20)


def test_each_service_has_its_own_port() -> None:
    """All services but one are given a port, each a different one."""
    ports = [words[words.index("--port") + 1] for words in _commands() if "--port" in words]
    assert len(set(ports)) == len(ports) == len(SERVICES) - 1
