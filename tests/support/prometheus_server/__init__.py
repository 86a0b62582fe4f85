"""A Prometheus server for tests, with the configuration and the rules of deploy/prometheus, on a free port."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from broker import free_ports

RULES = Path(__file__).parents[3] / "deploy" / "prometheus"
_STOP_S = 120.0


def missing_prometheus() -> str | None:
    """Returns why no server can be started here, or None if one can."""
    if shutil.which("prometheus") is None:
        return "prometheus is not there (Debian: apt install prometheus)"
    return None


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **parameters: str) -> Any:
        """Returns `data` of an answer; None while it does not answer yet."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, OSError):
            return None

    def values(self, expression: str) -> dict[str, float]:
        """Returns the value of each series by its label `stage`, `state` or `alertname`, or by "" without one."""
        answer = self.get("query", query=expression) or {"result": []}
        return {
            next((row["metric"][label] for label in ("stage", "state", "alertname") if label in row["metric"]), ""): (
                float(row["value"][1])
            )
            for row in answer["result"]
        }


@contextmanager
def running_prometheus(
    folder: Path, targets: Sequence[str], alertmanager: str | None = None, scrape_s: int = 1
) -> Iterator[Prometheus]:
    """Runs Prometheus with the rules of deploy/prometheus and some targets, on a free port.

    Args:
        folder: for its configuration, its data and its log.
        targets: what it scrapes, as `host:port`.
        alertmanager: where it sends its alerts, as `host:port`; None for nowhere.
        scrape_s: the seconds between two scrapes of a target, and the deadline of one.
    """
    (port,) = free_ports(1)
    sample = yaml.safe_load((RULES / "prometheus.yml").read_text(encoding="utf-8"))
    every = f"{scrape_s}s"
    sample["global"] = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    sample["rule_files"] = [str(RULES / name) for name in sample["rule_files"]]
    sample["scrape_configs"][0]["static_configs"] = [{"targets": list(targets)}]
    if alertmanager is None:
        del sample["alerting"]
    else:
        sample["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(sample), encoding="utf-8")
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log, start_new_session=True)
    try:
        yield Prometheus(port)
    finally:
        process.terminate()
        process.wait(timeout=_STOP_S)
