"""Whether other tasks can run while the infer stage works on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from riskwire.bus import Message
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic


async def turns_of_others(stage: InferStage, batch: Sequence[Message]) -> int:
    """Counts how often an always ready task runs while the stage links and writes a batch.

    Each article of the batch must result in an analysis.
    """
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += stage.event_loop_turn.locked()
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    step = await stage.open(0, {}).process(batch)
    counting.cancel()
    assert sum(result.topic == Topic.ANALYSES for result in step.results) == len(batch)
    return turns
