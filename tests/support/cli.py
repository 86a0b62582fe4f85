"""The command line as a user runs it, in a process, and the records that it leaves in a data directory."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings

RISKWIRE = Path(sys.executable).with_name("riskwire")


def environment(**variables: str) -> dict[str, str]:
    """Returns this environment without the developer's settings of riskwire, and with `variables`.

    The log level is `warning` unless `variables` set another.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RISKWIRE_")}
    return inherited | {"RISKWIRE_LOG__LEVEL": "warning"} | variables


def riskwire(*words: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs `riskwire WORDS…` and waits for its exit. Returns its exit code, which may be any, and its output as text.

    Args:
        env: the environment; by default that of `environment`.
        options: further arguments of `subprocess.run`.
    """
    return subprocess.run(
        [str(RISKWIRE), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=env or environment(),
        **options,
    )


def start_riskwire(*words: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """Starts `riskwire WORDS…` and returns at once; its output can be read from pipes, as text.

    Args:
        env: the environment; by default that of `environment`.
        options: further arguments of `subprocess.Popen`.
    """
    return subprocess.Popen(
        [str(RISKWIRE), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env or environment(),
        **options,
    )


def json_lines(*words: object, env: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Returns the rows that `riskwire … --json` prints."""
    completed = riskwire(*words, "--json", env=env)
    assert completed.returncode == 0, completed.stderr
    return [json.loads(line) for line in completed.stdout.splitlines()]


_RETRY_EVENTS = {"a step failed: retrying", "the answer to a commit was lost: checking whether the step happened"}


def unexpected_lines(stderr: str) -> list[str]:
    """Returns the lines of standard error that a command does not print when another publisher fences it.

    Expected are log lines about a repeated step, and those of aiokafka about a producer that was fenced.
    """
    return [line for line in stderr.splitlines() if not _is_about_fencing(line)]


def _is_about_fencing(line: str) -> bool:
    """Returns whether a line is a JSON log entry without a traceback about a repeated step or a fenced producer."""
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    about_fencing = entry.get("event") in _RETRY_EVENTS or str(entry.get("logger", "")).startswith("aiokafka.producer.")
    return about_fencing and "exception" not in entry


@dataclass(frozen=True)
class DownstreamRecords:
    """The records of a run on the topics downstream of `articles`, without order, partition and batch."""

    analyses: Counter[str]
    signals: Counter[str]
    trends: Counter[str]
    alerts: Counter[str]
    near_misses: Counter[str]

    def repeated(self) -> list[str]:
        """Returns the records that were published more than once."""
        records = self.analyses + self.signals + self.trends + self.alerts + self.near_misses
        return [record for record, count in records.items() if count > 1]


def read_downstream(data: Path) -> DownstreamRecords:
    """Reads the downstream records of a data directory."""
    return asyncio.run(_read_downstream(data))


async def _read_downstream(data: Path) -> DownstreamRecords:
    """Returns how often each record (as JSON) occurs on each topic downstream of `articles`. Marks are left out."""
    bus = await EmbeddedBus.open(data, BusSettings())
    try:
        records: dict[Topic, Counter[str]] = {}
        for topic in (Topic.ANALYSES, Topic.SIGNALS, Topic.TRENDS, Topic.ALERTS, Topic.NEAR_MISSES):
            records[topic] = Counter()
            for partition in range(bus.partitions(topic)):
                start = 0
                while messages := await bus.read(topic, partition, start, 5_000):
                    values = (message.value.decode() for message in messages)
                    records[topic].update(value for value in values if '"kind":"mark"' not in value)
                    start = messages[-1].offset + 1
        return DownstreamRecords(*records.values())
    finally:
        await bus.close()
