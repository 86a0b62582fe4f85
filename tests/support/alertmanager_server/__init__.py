"""Runs Debian's Alertmanager with the sample configuration, made fast, on a free port of 127.0.0.1."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from broker import free_ports
from services_on_kafka import wait_until

SAMPLE = Path(__file__).parents[3] / "deploy" / "alertmanager" / "alertmanager.yml"
BINARY = "prometheus-alertmanager"
MISSING = f"{BINARY} is not there (Debian: apt install prometheus-alertmanager)"
READY_S = 60.0


def is_installed() -> bool:
    """Returns whether Alertmanager and amtool can be run."""
    return shutil.which(BINARY) is not None and shutil.which("amtool") is not None


class AlertmanagerServer:
    """One Alertmanager, which can be stopped, killed, emptied and started again on the same port."""

    def __init__(self, folder: Path, webhook_url: str) -> None:
        """Writes the configuration: the sample, with short waits, without nights, and with one webhook."""
        (self._port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        config = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
        config["route"] |= {"group_wait": "200ms", "group_interval": "500ms"}
        for route in config["route"]["routes"]:
            route.pop("mute_time_intervals", None)
        for receiver in config["receivers"]:
            receiver["webhook_configs"] = [{"url": webhook_url}]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def start(self) -> None:
        """Starts it, and waits until it is ready."""
        arguments = [
            BINARY,
            f"--config.file={self._folder}/alertmanager.yml",
            f"--storage.path={self._folder}/data",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--cluster.listen-address=",
        ]
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        wait_until(self._is_ready, READY_S)

    def stop(self) -> None:
        """Asks it to stop, as a restart does. It keeps its silences and its log of notifications, but no alerts."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kills it."""
        self._end(signal.SIGKILL)

    def empty(self) -> None:
        """Deletes its data; it must have stopped."""
        shutil.rmtree(self._folder / "data")

    def get(self, path: str) -> Any:
        """Returns the answer of the API to a GET request."""
        with urllib.request.urlopen(f"{self.url}/api/v2/{path}", timeout=10) as answer:
            return json.load(answer)

    def post(self, path: str, body: object) -> Any:
        """Returns the answer of the API to a POST request."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def alerts(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Returns the running alerts by target and tier."""
        return {(row["labels"]["target"], row["labels"]["tier"]): row for row in self.get("alerts")}

    def _is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=READY_S)
            self._process = None


@contextmanager
def running_alertmanager(folder: Path, webhook_url: str) -> Iterator[AlertmanagerServer]:
    """Runs an Alertmanager until the body ends."""
    server = AlertmanagerServer(folder, webhook_url)
    server.start()
    try:
        yield server
    finally:
        server.kill()
