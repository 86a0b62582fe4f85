"""A stage that copies articles to analyses and counts them in its state. Both kill tests run it in a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from riskwire.bus import Message, Outgoing
from riskwire.pipeline import StageSpec, Topic
from riskwire.stage import Step, Task


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
