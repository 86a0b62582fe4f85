"""`riskwire alert` with a task that hangs on one partition; run as a process by test_kafka_stuck.py.

Arguments: where it hangs (await, thread, loop), then those of `riskwire`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence

from riskwire.alerting.stage import AlertStage, AlertTask
from riskwire.bus import Message
from riskwire.cli import main as cli
from riskwire.stage import Step

HANGING_PARTITION = 0
LONG_S = 3_600.0


class HangingTask:
    def __init__(self, how: str, partition: int, task: AlertTask) -> None:
        self._how = how if partition == HANGING_PARTITION else ""
        self._task = task

    async def process(self, batch: Sequence[Message]) -> Step:
        """Processes a batch as the real task does, but first hangs on the hanging partition.

        It waits for an event that never comes ("await"), for a sleeping thread ("thread"), or blocks the event loop
        ("loop").
        """
        if self._how == "await":
            await asyncio.Event().wait()
        elif self._how == "thread":
            await asyncio.to_thread(time.sleep, LONG_S)
        elif self._how == "loop":
            time.sleep(LONG_S)  # noqa: ASYNC251 (blocking the event loop is the fault)
        return await self._task.process(batch)


def main() -> None:
    """Runs `riskwire` with an alert stage whose tasks are `HangingTask`s; the first argument says how they hang."""
    how = sys.argv.pop(1)
    open_task = AlertStage.open

    def open_hanging(stage: AlertStage, partition: int, state: Mapping[str, bytes]) -> HangingTask:
        return HangingTask(how, partition, open_task(stage, partition, state))

    AlertStage.open = open_hanging  # type: ignore[method-assign, assignment]
    cli.main()


if __name__ == "__main__":
    main()
