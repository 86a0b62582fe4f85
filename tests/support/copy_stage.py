"""A stage that copies articles to analyses and counts them in its state. Both kill tests run it in a process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from riskwire.bus import Message, Outgoing
from riskwire.pipeline import StageSpec, Topic
from riskwire.stage import Step, Task


def program_environment() -> dict[str, str]:
    """Returns the environment of a program that imports this module."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parent)}


class CopyStage:
    spec = StageSpec("copy", Topic.ARTICLES, (Topic.ANALYSES,), "copy", "stage")

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return CopyTask(partition, int(state.get("count", b"0")))


class CopyTask:
    def __init__(self, partition: int, count: int) -> None:
        self.partition = partition
        self.count = count

    async def process(self, batch: Sequence[Message]) -> Step:
        self.count += len(batch)
        results = [Outgoing(Topic.ANALYSES, None, message.value, self.partition) for message in batch]
        return Step(results, {"count": b"%d" % self.count})
