"""The command line as a user runs it: a process of its own, and what it leaves in a data directory."""

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


def environment(**more: str) -> dict[str, str]:
    """This environment without riskwire settings of the developer's, plus `more`."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RISKWIRE_")}
    return plain | {"RISKWIRE_LOG__LEVEL": "warning"} | more


def riskwire(*words: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `riskwire …` to its end."""
    return subprocess.run(
        [str(RISKWIRE), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=env or environment(),
        **options,
    )


def started(*words: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start `riskwire …` and leave it running."""
    return subprocess.Popen(
        [str(RISKWIRE), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env or environment(),
        **options,
    )


def lines(*words: object, env: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """What a `--json` command prints."""
    done = riskwire(*words, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


_TRIED_AGAIN = {"a step failed and is tried again", "the answer to a commit was lost: looking what came of it"}


def not_of_a_contest(stderr: str) -> list[str]:
    """What a command says on standard error beside what it may where another takes its place for a moment: that a step
    is tried again, and aiokafka's own words about a producer that was fenced, each in a line."""
    return [line for line in stderr.splitlines() if not _is_of_a_contest(line)]


def _is_of_a_contest(line: str) -> bool:
    try:
        said = json.loads(line)
    except ValueError:
        return False
    known = said.get("event") in _TRIED_AGAIN or str(said.get("logger", "")).startswith("aiokafka.producer.")
    return known and "exception" not in said


@dataclass(frozen=True)
class Left:
    """Every record a run left on the bus downstream of `articles`, free of order, partition and batch."""

    analyses: Counter[str]
    signals: Counter[str]
    trends: Counter[str]
    alerts: Counter[str]

    def doubled(self) -> list[str]:
        """Records that stand there more than once."""
        every = self.analyses + self.signals + self.trends + self.alerts
        return [record for record, count in every.items() if count > 1]


def left_in(data: Path) -> Left:
    """Read the bus of a data directory."""
    return asyncio.run(_left_in(data))


async def _left_in(data: Path) -> Left:
    bus = await EmbeddedBus.open(data, BusSettings())
    try:
        found: dict[Topic, Counter[str]] = {}
        for topic in (Topic.ANALYSES, Topic.SIGNALS, Topic.TRENDS, Topic.ALERTS):
            found[topic] = Counter()
            for partition in range(bus.partitions(topic)):
                start = 0
                while messages := await bus.read(topic, partition, start, 5_000):
                    values = (message.value.decode() for message in messages)
                    found[topic].update(value for value in values if '"kind":"mark"' not in value)
                    start = messages[-1].offset + 1
        return Left(*found.values())
    finally:
        await bus.close()
